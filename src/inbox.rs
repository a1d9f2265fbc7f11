//! The entrance behind the entrance: claims letters that were kept, reads, routes and handles each in one transaction, and commits all that it caused.
use std::{ops::Range, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::command::Command,
    handlers::{
        Context, Incoming, Outcome, Site, bounces, brake, help, membership,
        relay::{self, Passing},
        sign_up, topics, unproven,
    },
    mail::{
        classify::{self, Class},
        message::Message,
    },
    route::{self, Route},
    store::{
        Store, exchanges,
        inbox::{self, Claimed, End},
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
        let count = claimed.len();
        // Partners' letters, by far the most, share one transaction; any other may write to much, and has its own.
        let (passing, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|letter| letter.recipient.partnership().is_some() && !letter.held);
        if !passing.is_empty() {
            self.work(passing.into(), now).await?;
        }
        for letter in others {
            self.work(Arc::new([letter]), now).await?;
        }
        if count > 0 {
            self.outbox.notify_one();
        }
        Ok(count)
    }

    /// Handles letters in one transaction. What they cause is committed with them, or not at all; where that fails, or panics, each is tried by itself, and
    /// the one whose fault it is noted and tried again later.
    async fn work(&self, letters: Arc<[Claimed]>, now: DateTime<Utc>) -> Result<()> {
        if letters.len() > 1 && caught(self.handling(&letters, 0..letters.len(), now)).await.is_ok() {
            return Ok(());
        }
        for (at, letter) in letters.iter().enumerate() {
            self.attempt(letter.id, letter.attempts, self.handling(&letters, at..at + 1, now), now).await?;
        }
        Ok(())
    }

    /// One attempt to handle the claimed letter `id`, its `attempts`-th. What it causes is committed by `handling`, or not at all; an error or a panic is
    /// noted, and the letter tried again later, or after the last attempt never again by itself.
    pub async fn attempt(&self, id: Uuid, attempts: i16, handling: impl Future<Output = Result<()>> + Send + 'static, now: DateTime<Utc>) -> Result<()> {
        let Err(error) = caught(handling).await else { return Ok(()) };
        let again = (attempts < inbox::ATTEMPTS).then(|| now + back_off(attempts));
        tracing::error!(inbox = %id, attempts, error, again = again.is_some(), "a letter could not be handled");
        let mut tx = self.store.begin().await?;
        inbox::fail(&mut tx, id, &error, again, now).await?;
        tx.commit().await.context("cannot note a failed attempt")
    }

    fn handling(&self, letters: &Arc<[Claimed]>, which: Range<usize>, now: DateTime<Utc>) -> impl Future<Output = Result<()>> + Send + use<> {
        let (this, letters) = (self.clone(), letters.clone());
        async move { this.handle(&letters[which], now).await }
    }

    /// Transaction 2.
    async fn handle(&self, letters: &[Claimed], now: DateTime<Utc>) -> Result<()> {
        let read: Vec<_> = letters.iter().map(|claimed| self.read(claimed)).collect();
        let mut tx = self.store.begin().await?;
        let mut context = Context { conn: &mut tx, now, site: &self.site, cause: None };
        let mut outcomes: Vec<Option<Outcome>> = vec![None; letters.len()];
        let mut passing = Vec::new();
        for (outcome, Read { claimed, message, class, route }) in outcomes.iter_mut().zip(&read) {
            context.cause = Some(claimed.exchange_id);
            if claimed.attempts > 1 && inbox::is_done(context.conn, claimed.id).await? {
                continue;
            }
            let Some((writer_id, writer)) = claimed.writer_id.zip(claimed.writer.as_ref()) else {
                *outcome = Some(handle_unsigned(&mut context, route, claimed, message).await?);
                continue;
            };
            let proven = claimed.verdict.is_aligned() || claimed.recipient.proves_mailbox();
            if claimed.is_suppressed && *class == Class::Personal && !claimed.held && proven {
                // Whoever writes from a mailbox can be written to: a bounce of last month no longer counts.
                people::unsuppress(context.conn, writer_id).await?;
            }
            let incoming = Incoming::new(claimed, message, writer, writer_id);
            match route {
                Route::Relay { partnership, reader } => passing.push((outcome, Passing { incoming, partnership: *partnership, reader: *reader })),
                Route::AskWriter => {
                    // It waits, and its row says so.
                    unproven::ask(&mut context, &incoming).await?;
                    exchanges::decide(context.conn, claimed.exchange_id, route.kind(), class.name()).await?;
                }
                route => *outcome = Some(handle(&mut context, route, &incoming).await?),
            }
        }
        let (waiting, passing): (Vec<_>, Vec<_>) = passing.into_iter().unzip();
        for (outcome, became) in waiting.into_iter().zip(relay::forward(&mut context, &passing).await?) {
            *outcome = Some(became);
        }
        let ends = read
            .iter()
            .zip(outcomes)
            .filter_map(|(letter, outcome)| Some(End { id: letter.claimed.id, kind: letter.route.kind(), class: letter.class.name(), outcome: outcome? }));
        inbox::finish(&mut tx, &ends.collect::<Vec<_>>(), now).await?;
        tx.commit().await.context("cannot commit what a letter caused")
    }

    fn read<'a>(&self, claimed: &'a Claimed) -> Read<'a> {
        let message = Message::parse(&claimed.raw);
        let class = classify::classify(claimed.reverse_path.is_none(), &message, &self.site.domain);
        Read { claimed, class, route: route::route(&claimed.recipient, class, claimed.held), message }
    }

    /// Works until stopped: woken in this process, by a timer where another process or a retry is the reason.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let worked = if self.owner.is_held() { self.step(Utc::now()).await } else { Ok(0) };
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

/// A letter that was read.
struct Read<'a> {
    claimed: &'a Claimed,
    message: Message,
    class: Class,
    route: Route,
}

/// Does with a letter what its route says.
async fn handle(ctx: &mut Context<'_>, route: &Route, incoming: &Incoming<'_>) -> Result<Outcome> {
    if let Recipient::Reply { token, .. } = &incoming.claimed.recipient {
        tokens::mark_used(ctx.conn, token, ctx.now).await?;
    }
    match route {
        Route::Bounce { .. } | Route::Quiet(_) => handle_unsigned(ctx, route, incoming.claimed, incoming.message).await,
        Route::Operator(mailbox) => help::for_operator(ctx, incoming, mailbox).await,
        Route::AskWriter | Route::Relay { .. } => anyhow::bail!("handled with the others of its batch"),
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

/// Runs in a task of its own, so that a panic is an error like others.
async fn caught(handling: impl Future<Output = Result<()>> + Send + 'static) -> Result<(), String> {
    match tokio::spawn(handling).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(died) => Err(format!("the handler panicked: {died}")),
    }
}

/// Seconds to hours: 10 s, 40 s, 90 s, … so that a passing trouble costs little and a lasting one is not hammered.
fn back_off(attempts: i16) -> TimeDelta {
    TimeDelta::seconds(10 * i64::from(attempts) * i64::from(attempts))
}
