//! The way of one letter: its bytes read, signed, and handed to the next hop or kept in a Maildir.
use std::path::PathBuf;

use super::{
    capture,
    hop::{Failure, NextHop, Parcel},
    sign::{Signed, Signer, travelling},
};
use crate::{
    aside,
    domain::address::EmailAddress,
    handlers::bounces::Refused,
    store::{Store, health::in_time, outbox, outbox::Claimed, ownership::Term},
};

/// Where letters go.
pub enum Way {
    /// To the smarthost.
    Send(Box<NextHop>),
    /// Into Maildirs.
    Capture(PathBuf),
}

/// What became of one letter.
pub enum Fate {
    /// The next hop took it, with these words.
    Sent(String),
    /// It did not, and may later.
    Later(String),
    /// It never will, for this or that.
    Never(String, Refused),
    /// There is nobody any more to send it to.
    Nobody,
    /// It was not sent: it may be another process's by now, or its turn did not come.
    Back,
}

/// Goes it with a letter of a term.
pub async fn deliver(store: &Store, way: &Way, signer: &Signer, letter: &Claimed, term: &Term) -> Fate {
    let Some(to) = &letter.to else { return Fate::Nobody };
    if letter.size == 0 {
        return Fate::Never("its words are no longer kept".into(), Refused::Letter);
    }
    let large = match in_time(outbox::bytes_of(store, letter)).await {
        Ok(large) => large,
        Err(error) if store.diagnose(&error).is_some() => return Fate::Back,
        Err(error) => return Fate::Later(format!("it could not be read: {error:#}")),
    };
    let raw = large.as_ref().unwrap_or(&letter.raw);
    let signed = match letter.signature.take().await {
        Some(signature) => Signed { signature, letter: travelling(raw) },
        None => match aside::work(raw.len(), || signer.sign(raw)) {
            Ok(signed) => signed,
            Err(error) => return Fate::Later(format!("it could not be signed: {error:#}")),
        },
    };
    // A return path that is no address could carry a command: it does not leave.
    let from = match letter.reverse_path.as_str() {
        "" => None,
        path => match EmailAddress::parse(path) {
            Ok(path) => Some(path),
            Err(error) => return Fate::Never(format!("its return path is no address: {error}"), Refused::Letter),
        },
    };
    match way {
        Way::Send(hop) => match hop.deliver(Parcel { from: from.as_ref(), to, letter: &signed, term }).await {
            Ok(reply) => Fate::Sent(reply),
            Err(Failure::Later(reply)) => Fate::Later(reply),
            Err(Failure::Never(reply, refused)) => Fate::Never(reply, refused),
            Err(Failure::NotOurs) => Fate::Back,
        },
        Way::Capture(_) if !term.is_held() => Fate::Back,
        Way::Capture(dir) => match capture::keep(dir.clone(), from, to.clone(), letter.id, &signed).await {
            Ok(()) => Fate::Sent("captured".into()),
            Err(error) => Fate::Later(format!("it could not be captured: {error:#}")),
        },
    }
}
