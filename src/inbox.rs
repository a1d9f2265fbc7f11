//! The entrance behind the entrance: claims letters that were kept, reads, routes and handles each in one transaction, and commits all that it caused.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::command::Command,
    handlers::{Context, Incoming, Outcome, Site, bounces, brake, help, membership, relay, sign_up, topics, unproven},
    mail::{
        classify::{self, Class},
        message::Message,
        reply,
    },
    route::{self, Route},
    store::{
        Store, exchanges,
        inbox::{self, Claimed},
        ownership::{self, Owner},
        people,
        recipients::Recipient,
        tokens,
    },
};

/// Letters claimed at once.
const BATCH: i64 = 20;
/// … and no further one behind so many octets of them: they are held in memory, and a large letter several times over while it is handled.
const OCTETS: i64 = 4 << 20;
/// How long a worker sleeps when nothing wakes it.
const POLL: Duration = Duration::from_secs(5);

/// Works letters off.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// The database.
    pub store: Store,
    /// Who we are, for claims.
    pub owner: Owner,
    /// The programme.
    pub site: Arc<Site>,
    /// Woken after letters of ours were queued.
    pub outbox: Arc<Notify>,
}

impl Inbox {
    /// Claims one batch and handles it; gives how many letters that were. Different writers' letters are independent, so one that fails stops no other.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<usize> {
        let claimed = {
            let mut conn = self.store.connection().await?;
            inbox::claim(&mut conn, self.owner.id(), BATCH, OCTETS, now).await?
        };
        // Where there is nothing else to do is time for those that are worked alone.
        if claimed.is_empty() { self.suspect(now).await } else { self.work_off(claimed, now).await }
    }

    /// Works one letter over which a process died, if there is one, and no other such letter beside it; gives how many letters that were.
    async fn suspect(&self, now: DateTime<Utc>) -> Result<usize> {
        let claimed = inbox::claim_suspect(&mut *self.store.connection().await?, self.owner.id(), now).await?;
        self.work_off(claimed, now).await
    }

    async fn work_off(&self, claimed: Vec<Claimed>, now: DateTime<Utc>) -> Result<usize> {
        let count = claimed.len();
        for letter in claimed {
            let (id, attempts, this) = (letter.id, letter.attempts, self.clone());
            self.attempt(id, attempts, async move { this.handle(&letter, now).await }, now).await?;
        }
        if count > 0 {
            self.outbox.notify_one();
        }
        Ok(count)
    }

    /// One attempt to handle the claimed letter `id`, its `attempts`-th. What it causes is committed by `handling`, or not at all; an error or a panic is
    /// noted, and the letter tried again later, or after the last attempt never again by itself.
    pub async fn attempt(&self, id: Uuid, attempts: i16, handling: impl Future<Output = Result<()>> + Send + 'static, now: DateTime<Utc>) -> Result<()> {
        let error = match tokio::spawn(handling).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{error:#}"),
            Err(died) => format!("the handler panicked: {died}"),
        };
        let again = (attempts < inbox::ATTEMPTS).then(|| now + back_off(attempts));
        tracing::error!(inbox = %id, attempts, error, again = again.is_some(), "a letter could not be handled");
        let mut tx = self.store.begin().await?;
        inbox::fail(&mut tx, id, &error, again, now).await?;
        tx.commit().await.context("cannot note a failed attempt")
    }

    /// Transaction 2.
    async fn handle(&self, claimed: &Claimed, now: DateTime<Utc>) -> Result<()> {
        let message = Message::parse(&claimed.raw);
        let class = classify::classify(claimed.reverse_path.is_none(), &message, &self.site.domain);
        let route = route::route(&claimed.recipient, class, claimed.held);
        let words = reply::split(message.text());

        let mut tx = self.store.begin().await?;
        // What the record says is done is not done again, whatever became of the row.
        if claimed.attempts > 1
            && let Some(outcome) = inbox::done_before(&mut tx, claimed.exchange_id).await?
        {
            inbox::finish(&mut tx, claimed.id, &outcome, now).await?;
            return tx.commit().await.context("cannot commit that a letter is done");
        }
        exchanges::decide(&mut tx, claimed.exchange_id, route.kind(), class.name()).await?;
        let writer = match claimed.writer_id {
            Some(id) => people::email(&mut tx, id).await?.map(|email| (id, email)),
            None => None,
        };
        let proven = claimed.verdict.is_aligned() || claimed.recipient.proves_mailbox();
        if let (Some((id, _)), Class::Personal, false, true) = (&writer, class, claimed.held, proven) {
            // Whoever writes from a mailbox can be written to: a bounce of last month no longer counts.
            people::unsuppress(&mut tx, *id).await?;
        }
        let mut context = Context { conn: &mut tx, now, site: &self.site, cause: Some(claimed.exchange_id) };
        let outcome = match &writer {
            Some((writer_id, writer)) => {
                let incoming = Incoming { claimed, message: &message, reply: &words, writer, writer_id: *writer_id };
                handle(&mut context, &route, &incoming).await?
            }
            None => handle_unsigned(&mut context, &route, claimed, &message).await?,
        };
        // A letter on hold waits; its row says so already.
        if route != Route::AskWriter {
            inbox::finish(&mut tx, claimed.id, &outcome, now).await?;
        }
        tx.commit().await.context("cannot commit what a letter caused")
    }

    /// Works until stopped: woken in this process, by a timer where another process or a retry is the reason.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let mut looked = Instant::now();
        while !stop.is_cancelled() {
            // A service that is never idle looks for letters over which a process died all the same.
            let worked = match self.owner.is_held() {
                true if looked.elapsed() >= POLL => {
                    looked = Instant::now();
                    self.suspect(Utc::now()).await
                }
                true => self.step(Utc::now()).await,
                false => Ok(0),
            };
            match worked {
                Ok(0) => {
                    tokio::select! {
                        () = wake.notified() => {}
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(POLL) => self.release_orphans().await,
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the inbox can't be worked off; trying again in a second");
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
                }
            }
        }
    }

    async fn release_orphans(&self) {
        let released = async { ownership::release_orphans(&mut *self.store.connection().await?, Utc::now()).await };
        match released.await {
            Ok(0) => {}
            Ok(rows) => tracing::warn!(rows, "rows of a process that is gone are free again"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot look for rows of processes that are gone"),
        }
    }
}

/// Does with a letter what its route says.
async fn handle(ctx: &mut Context<'_>, route: &Route, incoming: &Incoming<'_>) -> Result<Outcome> {
    if let Recipient::Reply { token, .. } = &incoming.claimed.recipient {
        tokens::mark_used(ctx.conn, token, ctx.now).await?;
    }
    match route {
        Route::Bounce { .. } | Route::Quiet(_) => handle_unsigned(ctx, route, incoming.claimed, incoming.message).await,
        Route::Operator(mailbox) => help::for_operator(ctx, incoming, mailbox).await,
        Route::AskWriter => unproven::ask(ctx, incoming).await,
        Route::Relay { partnership, reader } => relay::forward(ctx, incoming, *partnership, *reader).await,
        Route::Vouch { mailbox } => unproven::answered(ctx, incoming, *mailbox).await,
        Route::SignUpReply => match sign_up::replied(ctx, incoming).await? {
            Some(outcome) => Ok(outcome),
            None => membership::told(ctx, incoming).await,
        },
        Route::TopicsReply => topics::answered(ctx, incoming).await,
        Route::Brake { hold } => brake::answered(ctx, incoming, *hold).await,
        Route::Reply | Route::Help => membership::told(ctx, incoming).await,
        Route::SignUp => match ctx.command(incoming) {
            Some(command) if !matches!(command, Command::Join | Command::Confirm | Command::Change) => membership::obey(ctx, incoming, command).await,
            Some(_) | None => sign_up::applied(ctx, incoming).await,
        },
        Route::Topics(address) => topics::written_to(ctx, incoming, address).await,
    }
}

/// The same for a letter whose header names no writer, as bounces may: such a letter is never answered.
async fn handle_unsigned(ctx: &mut Context<'_>, route: &Route, claimed: &Claimed, message: &Message) -> Result<Outcome> {
    match route {
        Route::Bounce { outbox } => bounces::returned(ctx, *outbox, message).await,
        Route::Quiet(why) => Ok(format!("not answered: {why}")),
        Route::Operator(_) => Ok("kept for the operator".into()),
        Route::AskWriter
        | Route::Relay { .. }
        | Route::Vouch { .. }
        | Route::SignUpReply
        | Route::TopicsReply
        | Route::Brake { .. }
        | Route::Reply
        | Route::SignUp
        | Route::Topics(_)
        | Route::Help => anyhow::bail!("a letter without a writer was admitted to {}", claimed.recipient.mailbox()),
    }
}

/// Seconds to hours: 10 s, 40 s, 90 s, … so that a passing trouble costs little and a lasting one is not hammered.
fn back_off(attempts: i16) -> TimeDelta {
    TimeDelta::seconds(10 * i64::from(attempts) * i64::from(attempts))
}
