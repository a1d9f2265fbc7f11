//! The entrance behind the entrance: claims letters that were kept, reads, routes and handles each in one transaction, and commits all that it caused.
use std::{ops::Range, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    aside,
    domain::command::Command,
    handlers::{
        Context, Incoming, Outcome, Site, bounces, brake, help, membership,
        relay::{self, Passing},
        sign_up, topics, unproven,
    },
    mail::{
        charset::{self, Readable},
        classify::{self, Class},
        message::Message,
        mime,
    },
    route::{self, Route},
    store::{
        Store, exchanges,
        health::{Trouble, in_time},
        idle::Idle,
        inbox::{self, Again, Claimed, Damaged, Due, End},
        ownership::{Owner, Term},
        people,
        recipients::Recipient,
        room::{Leaving, Places},
        tokens,
    },
};

/// Letters claimed at once.
const BATCH: i64 = 20;
/// … and no further one behind so many octets of them: they are held in memory, and a large letter several times over while it is handled.
const OCTETS: i64 = 2 << 20;
/// While there is work a worker looks for more no sooner than this after it looked last: a batch of some letters costs little more than one letter.
const GATHER: Duration = Duration::from_millis(4);
/// Letters beyond so many octets are worked on one at a time in a process, for the same reason.
const LARGE: i32 = 1 << 20;
static ONE_LARGE: Semaphore = Semaphore::const_new(1);
/// How long a worker sleeps at most when nothing wakes it; at first a moment only: what it was woken for may wait for another letter that is worked on.
const POLL: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(20);
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
    /// Woken after letters of ours were queued that are not the exit's yet.
    pub outbox: Arc<Notify>,
}

impl Inbox {
    /// Claims one batch and handles it; gives how many letters that were. Different writers' letters are independent, so one that fails stops no other.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<usize> {
        let term = self.owner.held().await;
        let turn = ONE_LARGE.try_acquire().ok();
        let claimed = {
            let mut conn = self.store.connection().await?;
            let largest = if turn.is_some() { i32::MAX } else { LARGE };
            // What is claimed and not known here would wait for ever.
            let claimed = in_time(inbox::claim(&mut conn, term.id(), BATCH, OCTETS, largest, now)).await.inspect_err(|_| term.end())?;
            conn.put_back();
            claimed
        };
        let count = claimed.len();
        let letters = self.read_all(&term, claimed, now).await;
        let _turn = turn.filter(|_| letters.iter().any(|letter| letter.raw.len() > LARGE as usize));
        self.work_off(&term, letters, now).await;
        Ok(count)
    }

    /// Reads what was claimed. One that can't be read is noted as an attempt that failed, and in no other letter's way.
    async fn read_all(&self, term: &Term, claimed: Vec<Due>, now: DateTime<Utc>) -> Vec<Claimed> {
        let mut letters = Vec::with_capacity(claimed.len());
        for mut due in claimed {
            match due.read(&self.store).await {
                Ok(()) => letters.push(due.letter),
                // It is given back, with those behind it.
                Err(_) if term.is_over() => break,
                Err(failure) => self.note(term, &due.letter, &failure, now).await,
            }
        }
        letters
    }

    async fn work_off(&self, term: &Arc<Term>, claimed: Vec<Claimed>, now: DateTime<Utc>) {
        if claimed.is_empty() {
            return;
        }
        // Partners' letters, by far the most, share one transaction; any other may write to much, and has its own.
        let (passing, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|letter| letter.recipient.partnership().is_some() && !letter.held);
        if !passing.is_empty() {
            self.work(term, passing.into(), now).await;
        }
        for letter in others {
            self.work(term, Arc::new([letter]), now).await;
        }
    }

    /// Handles letters in one transaction. What they cause is committed with them, or not at all; where that fails, or panics, each is tried by itself, and
    /// the one whose fault it is noted and tried again later. When the term ends all is left as it is: the letters are given back.
    async fn work(&self, term: &Arc<Term>, letters: Arc<[Claimed]>, now: DateTime<Utc>) {
        if letters.len() > 1 && caught(term, self.handling(&letters, 0..letters.len(), now)).await.is_ok() {
            return;
        }
        for (at, letter) in letters.iter().enumerate() {
            if term.is_over() {
                return;
            }
            self.attempt(term, letter, self.handling(&letters, at..at + 1, now), now).await;
        }
    }

    /// One attempt to handle a claimed letter. What it causes is committed by `handling`, or not at all; an error or a panic is noted, and the letter tried
    /// again later, or after the last attempt never again by itself.
    pub async fn attempt(&self, term: &Term, letter: &Claimed, handling: impl Future<Output = Result<()>> + Send + 'static, now: DateTime<Utc>) {
        match caught(term, handling).await {
            Ok(()) => {}
            // It is given back, as if nothing had been tried.
            Err(_) if term.is_over() => {}
            Err(failure) => self.note(term, letter, &failure, now).await,
        }
    }

    fn handling(&self, letters: &Arc<[Claimed]>, which: Range<usize>, now: DateTime<Utc>) -> impl Future<Output = Result<()>> + Send + use<> {
        let (this, letters) = (self.clone(), letters.clone());
        async move { this.handle(&letters[which], now).await }
    }

    /// Notes a failed attempt, and goes on trying to as long as the letter is ours.
    async fn note(&self, term: &Term, letter: &Claimed, failure: &anyhow::Error, now: DateTime<Utc>) {
        let (id, attempts, error) = (letter.id, letter.attempts, format!("{failure:#}"));
        let last = attempts >= inbox::ATTEMPTS || failure.is::<Damaged>();
        let again = match self.store.diagnose(failure) {
            Some(Trouble::Full | Trouble::Away) => Again::Uncounted(now + SOON),
            Some(Trouble::Cut) if !last => Again::At(now + SOON),
            None if !last => Again::At(now + back_off(attempts)),
            Some(Trouble::Cut) | None => Again::Never,
        };
        tracing::error!(inbox = %id, attempts, error, ?again, "a letter could not be handled");
        let noting = || async {
            let mut tx = self.store.begin().await?;
            let noted = inbox::fail(&mut tx, id, letter.owner, &error, again, now).await?;
            tx.commit().await.context("cannot note a failed attempt")?;
            Ok(noted)
        };
        loop {
            match in_time(noting()).await {
                Ok(true) => return,
                Ok(false) => return tracing::info!(inbox = %id, "the letter is handled after all, or another process has it"),
                Err(error) => tracing::warn!(inbox = %id, error = format!("{error:#}"), "a failed attempt could not be noted; trying again in a second"),
            }
            tokio::select! { () = term.lost() => return, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
        }
    }

    /// Transaction 2.
    async fn handle(&self, letters: &[Claimed], now: DateTime<Utc>) -> Result<()> {
        let Some(owner) = letters.first().map(|claimed| claimed.owner) else { return Ok(()) };
        let readable: Vec<_> = letters.iter().map(|claimed| charset::readable(&claimed.raw)).collect();
        let read: Vec<_> = letters.iter().zip(&readable).map(|(claimed, raw)| self.read(claimed, raw)).collect();
        let mut tx = self.store.begin().await?;
        let mut context = Context { places: self.store.room().ask(letters.len()), ..Context::new(&mut tx, now, &self.site) };
        let mut outcomes: Vec<Option<Outcome>> = vec![None; letters.len()];
        let mut passing = Vec::new();
        for (outcome, Read { claimed, tree, message, class, route }) in outcomes.iter_mut().zip(&read) {
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
                Route::Relay { partnership, reader } => passing.push((outcome, Passing { incoming, tree, partnership: *partnership, reader: *reader })),
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
        inbox::finish(context.conn, owner, &ends.collect::<Vec<_>>(), now).await?;
        let leaving = context.places.map(Places::leave);
        tx.commit().await.context("cannot commit what a letter caused")?;
        if leaving.is_none_or(Leaving::committed) {
            self.outbox.notify_one();
        }
        Ok(())
    }

    fn read<'a>(&self, claimed: &'a Claimed, raw: &'a Readable<'_>) -> Read<'a> {
        let (tree, message) = aside::work(raw.0.len(), || {
            let tree = mime::parse(&raw.0);
            let message = Message::read(raw, &tree);
            (tree, message)
        });
        let class = classify::classify(claimed.reverse_path.is_none(), &message, &self.site.domain);
        Read { claimed, class, route: route::route(&claimed.recipient, class, claimed.held), tree, message }
    }

    /// Works until stopped: called from the entrance where it waits, woken in this process, by a timer where another process or a retry is the reason.
    pub async fn run(self, idle: Idle<Claimed>, wake: Arc<Notify>, stop: CancellationToken) {
        let mut pause = Duration::ZERO;
        while !stop.is_cancelled() {
            let term = tokio::select! { term = self.owner.held() => term, () = stop.cancelled() => return };
            let mut waiting = idle.enter(term.clone());
            let looks = tokio::select! {
                biased;
                () = waiting.called() => false,
                () = stop.cancelled() => false,
                () = term.lost() => false,
                () = wake.notified() => {
                    pause = Duration::ZERO;
                    true
                }
                () = tokio::time::sleep(pause) => true,
            };
            self.work_off(&term, waiting.leave().await, Utc::now()).await;
            // What its exit has left of a term is given back only when nobody keeps it in mind.
            drop(term);
            if looks {
                pause = self.look(pause).await;
            }
        }
    }

    /// Looks for letters after a pause of so long; gives how long the next pause is to be.
    async fn look(&self, paused: Duration) -> Duration {
        let began = Instant::now();
        // A step would wait for one, and hear nothing of a stop meanwhile.
        if self.owner.term().is_none() {
            return MOMENT;
        }
        match self.step(Utc::now()).await {
            Ok(0) => (2 * paused).clamp(MOMENT, POLL),
            Ok(_) => GATHER.saturating_sub(began.elapsed()),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the inbox can't be worked off; trying again in a second");
                Duration::from_secs(1)
            }
        }
    }
}

/// A letter that was read.
struct Read<'a> {
    claimed: &'a Claimed,
    tree: mime::Tree<'a>,
    message: Message,
    class: Class,
    route: Route,
}

/// Runs in a task of its own, so that a panic is an error like others; cut when the term ends.
async fn caught(term: &Term, handling: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let mut handling = tokio::spawn(handling);
    tokio::select! {
        ended = &mut handling => ended.unwrap_or_else(|died| Err(anyhow!("the handler panicked: {died}"))),
        () = term.lost() => {
            handling.abort();
            Err(anyhow!("the lock of this process is lost"))
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

/// Seconds to hours: 10 s, 40 s, 90 s, … so that a passing trouble costs little and a lasting one is not hammered.
fn back_off(attempts: i16) -> TimeDelta {
    TimeDelta::seconds(10 * i64::from(attempts) * i64::from(attempts))
}
