//! From a connection to a session: whose it is, whether they may come in, and whether they wait to be greeted.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Door, Visit, VisitId, clients::Place, proxy, replies};
use crate::telemetry::{self, Figure};

/// How long a balancer may take for its header.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);
/// How long a stranger of whom nothing is known waits for the greeting, where nothing is configured.
const GREETING_DELAY: Duration = Duration::from_millis(300);

/// Takes a connection through its session.
pub(super) async fn receive(door: Arc<Door>, mut stream: TcpStream, id: VisitId, peer: SocketAddr, stop: CancellationToken, place: Place) {
    let limits = &door.limits;
    let behind_balancer = limits.is_balancer(peer.ip());
    let client = match behind_balancer {
        false => peer,
        true => match tokio::time::timeout(PROXY_PATIENCE, proxy::read(&mut stream)).await {
            Ok(Ok(client)) => client.unwrap_or(peer),
            Ok(Err(error)) => {
                info!(error = format!("{error:#}"), "a balancer sent no header of the PROXY protocol");
                return turn_away(stream, &id, replies::NO_PROXY_HEADER, "no-proxy-header").await;
            }
            Err(_) => {
                telemetry::count(Figure::TimeOuts, "proxy");
                return turn_away(stream, &id, replies::NO_PROXY_HEADER, "no-proxy-header").await;
            }
        },
    };
    let front = limits.is_front(client.ip());
    telemetry::count(
        Figure::Sessions,
        if front {
            "front"
        } else if behind_balancer {
            "balancer"
        } else {
            "direct"
        },
    );
    // Many clients come by way of one front.
    let own_place = match front {
        true => None,
        false if !door.clients.may_come(client.ip()) => return turn_away(stream, &id, replies::TOO_OFTEN, "too-often").await,
        false => match door.clients.place_of(client.ip()) {
            Some(place) => Some(place),
            None => return turn_away(stream, &id, replies::TOO_MANY_OF_YOURS, "too-many-of-one").await,
        },
    };
    if !waits_to_be_greeted(&door, &stream, client, front).await {
        return turn_away(stream, &id, replies::SPOKE_TOO_EARLY, "early-talker").await;
    }
    let visit = Visit::new(door, id, client, front, stop, (place, own_place));
    visit.attend(stream).await;
}

/// Where all places are taken: somebody slower makes room, or there is none.
pub(super) async fn make_room(door: Arc<Door>, stream: TcpStream, id: VisitId, peer: SocketAddr, stop: CancellationToken, turn: OwnedSemaphorePermit) {
    match door.clients.enter_instead().await {
        Some(place) => {
            drop(turn);
            receive(door, stream, id, peer, stop, place).await;
        }
        None => turn_away(stream, &id, replies::TOO_MANY_CLIENTS, "too-many").await,
    }
}

/// One reply and no session; the client need not read it.
pub(super) async fn turn_away(mut stream: TcpStream, id: &VisitId, words: &str, reason: &'static str) {
    telemetry::count(Figure::Reasons, reason);
    let reply = id.sign(format!("{words}\r\n").into_bytes());
    let said = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&reply)).await;
    if matches!(said, Ok(Ok(()))) {
        let _ = stream.shutdown().await;
        // What it has sent already must be read, or a reset would overtake the reply.
        let mut rest = [0; 512];
        let listen = async { while matches!(tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await, Ok(1..)) {} };
        let _ = tokio::time::timeout(Duration::from_millis(200), listen).await;
    }
}

/// RFC 5321 3.1: the server speaks first. Programs that send junk often don't wait; those that brought a letter lately have shown that they do.
async fn waits_to_be_greeted(door: &Door, stream: &TcpStream, client: SocketAddr, front: bool) -> bool {
    let here = client.ip().to_canonical().is_loopback();
    let delay = match door.limits.greeting_delay_ms {
        _ if front || door.clients.is_known(client.ip()) => Duration::ZERO,
        Some(milliseconds) => Duration::from_millis(milliseconds),
        None if here => Duration::ZERO,
        None => GREETING_DELAY,
    };
    // Zero octets are the end of a connection, which the session will find.
    delay.is_zero() || !matches!(tokio::time::timeout(delay, stream.peek(&mut [0])).await, Ok(Ok(1..)))
}
