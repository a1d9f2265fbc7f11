//! The entrance behind the entrance: claims letters that were kept, reads, routes and handles each in one transaction, and commits all that it caused.
use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::command::Command,
    handlers::{Context, Incoming, Outcome, Site, bounces, help, membership, relay, sign_up, topics, unproven},
    mail::{
        classify::{self, Class},
        message::Message,
        reply,
    },
    route::{self, Route},
    store::{
        Store,
        health::{Trouble, in_time},
        inbox::{self, Again, Claimed},
        ownership::{Owner, Term},
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
/// When a letter is tried again that failed because of the database.
const SOON: TimeDelta = TimeDelta::seconds(2);

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
        let term = self.owner.held().await;
        let claimed = {
            let mut conn = self.store.connection().await?;
            // What is claimed and not known here would wait for ever.
            in_time(inbox::claim(&mut conn, term.id(), BATCH, OCTETS, now)).await.inspect_err(|_| term.end())?
        };
        let count = claimed.len();
        for letter in claimed {
            self.work(&term, letter, now).await;
        }
        if count > 0 {
            self.outbox.notify_one();
        }
        Ok(count)
    }

    /// Handles one letter. What it causes is committed with it, or not at all; an error or a panic is noted, and the letter tried again later. When the
    /// term ends all is left as it is: the letter is given back.
    async fn work(&self, term: &Arc<Term>, letter: Claimed, now: DateTime<Utc>) {
        let (id, attempts, this, its) = (letter.id, letter.attempts, self.clone(), term.clone());
        let mut handling = tokio::spawn(async move { this.handle(&its, &letter, now).await });
        let ended = tokio::select! {
            ended = &mut handling => ended,
            () = term.lost() => return handling.abort(),
        };
        let (error, trouble) = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => (format!("{error:#}"), self.store.diagnose(&error)),
            Err(died) => (format!("the handler panicked: {died}"), None),
        };
        let last = attempts >= inbox::ATTEMPTS;
        let again = match trouble {
            Some(Trouble::Full | Trouble::Away) => Again::Uncounted(now + SOON),
            Some(Trouble::Cut) if !last => Again::At(now + SOON),
            None if !last => Again::At(now + back_off(attempts)),
            Some(Trouble::Cut) | None => Again::Never,
        };
        tracing::error!(inbox = %id, attempts, error, ?again, "a letter could not be handled");
        while let Err(error) = in_time(self.note(id, term.id(), &error, again, now)).await {
            tracing::warn!(inbox = %id, error = format!("{error:#}"), "a failed attempt could not be noted; trying again in a second");
            tokio::select! { () = term.lost() => return, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
        }
    }

    async fn note(&self, id: Uuid, owner: i64, error: &str, again: Again, now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if !inbox::fail(&mut tx, id, owner, error, again, now).await? {
            tracing::info!(inbox = %id, "the letter is handled after all, or another process has it");
        }
        tx.commit().await.context("cannot note a failed attempt")
    }

    /// Transaction 2.
    async fn handle(&self, term: &Term, claimed: &Claimed, now: DateTime<Utc>) -> Result<()> {
        let message = Message::parse(&claimed.raw);
        let class = classify::classify(claimed.reverse_path.is_none(), &message, &self.site.domain);
        let route = route::route(&claimed.recipient, class, claimed.held);
        let words = reply::split(message.text());

        let mut tx = self.store.begin().await?;
        if !inbox::begin(&mut tx, claimed.id, term.id(), route.kind(), class.name()).await? {
            tracing::info!(inbox = %claimed.id, "another process has the letter by now");
            return Ok(());
        }
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
        while !stop.is_cancelled() {
            if !self.owner.is_held() {
                tokio::select! { _ = self.owner.held() => {}, () = stop.cancelled() => return }
            }
            match self.step(Utc::now()).await {
                Ok(0) => {
                    tokio::select! { () = wake.notified() => {}, () = stop.cancelled() => {}, () = tokio::time::sleep(POLL) => {} }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the inbox can't be worked off; trying again in a second");
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
                }
            }
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
