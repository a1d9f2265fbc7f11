//! Who owns a claimed row: a session, not a clock. Each process holds an advisory lock on a connection of its own; rows of an owner whose lock is free are free.
//!
//! A **term** is one uninterrupted hold of such a lock. Rows are claimed under the number of a term, and marked only while they still bear it. When the
//! connection is lost, or can't be confirmed for [`TRUST`], the term is over and never comes back: the process takes another number. Letters that were on
//! their way keep the old term in mind (`Arc<Term>`), and as long as one does, its lock is held again beside the new one, so that nobody frees a row whose
//! letter is sent and not yet marked. Letters that came are given back at once, since what is done with one is committed only together with its row and only
//! while that bears the term; what else is left of a term, when nobody works under it any more.
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Connection, Store, health::in_time, wakes};

/// The first half of our advisory locks, so that they meet nobody else's.
const LOCK_CLASS: i32 = 7725;
/// After this many deaths of the process over one letter, the letter is set aside.
pub const DEATHS: i32 = 3;
/// So long a term is trusted after its session was last known to be well; the server frees the lock of a client that vanished only after 20 seconds.
pub const TRUST: Duration = Duration::from_secs(15);
/// A sign of life is waited for so long: a little shorter, so that whoever waits for the end hears of it in time.
const PATIENCE: Duration = Duration::from_secs(14);
/// Once in so many signs of life (one a second) we look for rows of processes that are gone.
const LOOK_EVERY: u32 = 3;
/// Who saw no other process this long ago, or longer, may not be alone any more.
const SIGHT: Duration = Duration::from_secs(3);
/// After so long all others know of a process that came, and have committed what they began while they did not.
const KNOWN: Duration = Duration::from_secs(5);

/// This process as an owner of rows, through all its terms.
#[derive(Debug, Clone)]
pub struct Owner {
    term: watch::Receiver<Option<Arc<Term>>>,
}

/// One uninterrupted hold of a lock.
#[derive(Debug)]
pub struct Term {
    id: i64,
    /// When the lock was there: others could see it no sooner.
    granted: Instant,
    /// When the session was last known to be well.
    confirmed: Mutex<Moment>,
    others: AtomicUsize,
    /// Others were there first.
    late: bool,
    over: CancellationToken,
}

impl Owner {
    /// Takes a lock for this process and keeps it until the returned future's task ends. The future must be spawned: it watches the connection, takes a
    /// new lock when the database comes back, and frees the rows of processes that are gone.
    pub async fn take(store: &Store) -> Result<(Self, impl Future<Output = ()> + use<>)> {
        let (tell, term) = watch::channel(None);
        let mut keeper = Keeper { store: store.clone(), session: None, past: Vec::new(), tell };
        keeper.begin().await?;
        Ok((Self { term }, keeper.run()))
    }

    /// The term under which rows may be claimed now, if there is one.
    pub fn term(&self) -> Option<Arc<Term>> {
        self.term.borrow().clone().filter(|term| term.is_held())
    }

    /// The same, waited for as long as it takes.
    pub async fn held(&self) -> Arc<Term> {
        let mut changes = self.term.clone();
        loop {
            match self.term() {
                Some(term) => return term,
                // Also a term that is only not confirmed, as after a pause of this process, may soon be.
                None => {
                    if let Ok(Err(_)) = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await {
                        // Nobody takes another.
                        return std::future::pending().await;
                    }
                }
            }
        }
    }
}

impl Term {
    /// A hold of the lock of this number, which was asked for when it `began` and is there now, beside so many other processes.
    pub(crate) fn new(id: i32, began: Instant, others: usize) -> Self {
        Self {
            id: i64::from(id),
            granted: Instant::now(),
            confirmed: Mutex::new(Moment::at(began)),
            others: AtomicUsize::new(others),
            late: others > 0,
            over: CancellationToken::new(),
        }
    }

    /// What stands in the `owner` column of the rows claimed under it.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The lock was held [`TRUST`] ago or later: what is ours is not anybody else's. To be asked before each step that cannot be taken back.
    pub fn is_held(&self) -> bool {
        self.was_well_within(TRUST)
    }

    fn was_well_within(&self, time: Duration) -> bool {
        !self.over.is_cancelled() && self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < time
    }

    /// It has ended, and what is left of it is given back.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// How many other processes were there a moment ago.
    pub fn others(&self) -> usize {
        self.others.load(Ordering::SeqCst)
    }

    /// No other process works on the same rows, nor will for two seconds: one that comes waits until it [is known](Self::is_known).
    pub fn is_alone(&self) -> bool {
        self.others() == 0 && self.was_well_within(SIGHT)
    }

    /// No other process believes any more that it is alone: what it claims in that belief, and has not committed yet, nobody else can see.
    pub fn is_known(&self) -> bool {
        !self.late || self.others() == 0 || self.granted.elapsed() >= KNOWN
    }

    /// Waits for that.
    pub async fn known(&self) {
        while !self.is_known() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends when the term does.
    pub async fn lost(&self) {
        self.over.cancelled().await;
    }

    /// Ends the term, because it is unknown what is claimed under it; another begins within two seconds.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// The session was well at `moment`.
    fn confirm(&self, moment: Moment) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }
}

/// A moment by two clocks, one of which stands still while the machine sleeps, and the other may be set. The one that says that more time has passed since is
/// believed: a clock set forward ends trust until the next sign of life, and one set back changes nothing.
#[derive(Debug, Clone, Copy)]
struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// A moment of a time during which the machine was awake.
    fn at(steady: Instant) -> Self {
        Self { steady, wall: SystemTime::now().checked_sub(steady.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    fn elapsed(self) -> Duration {
        // An error: by that clock it is yet to come.
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// A term that is over.
struct Past {
    id: i64,
    term: Weak<Term>,
    locked: bool,
}

/// Keeps the session and its locks.
struct Keeper {
    store: Store,
    session: Option<Connection>,
    past: Vec<Past>,
    tell: watch::Sender<Option<Arc<Term>>>,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let Some(term) = self.tell.borrow().clone() else { return };
            if let Err(error) = self.watch(&term).await {
                // Before the term ends: whatever is cut by that is to find that its connection is not used again.
                self.lose_session();
                tracing::warn!(error = format!("{error:#}"), "the connection that marks our rows is lost; nothing is claimed or sent until it is back");
            }
            self.past.push(Past { id: term.id, term: Arc::downgrade(&term), locked: self.session.is_some() });
            term.end();
            self.tell.send_replace(None);
            drop(term);
            while let Err(error) = self.begin().await {
                self.lose_session();
                tracing::debug!(error = format!("{error:#}"), "the connection that marks our rows is not back yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            self.store.health.set_troubled(false);
            tracing::info!("our rows are marked by a new connection or number; work goes on");
        }
    }

    fn lose_session(&mut self) {
        self.session = None;
        self.past.iter_mut().for_each(|past| past.locked = false);
        self.store.health.set_troubled(true);
        self.store.warm.clear();
    }

    /// Begins a term, under a number that nobody has; first the rows of terms that some still work under are made safe again.
    async fn begin(&mut self) -> Result<()> {
        if self.session.is_none() {
            self.session = Some(self.store.lone_connection().await?);
        }
        in_time(self.settle_past()).await?;
        let session = self.session.as_mut().context("there is a session")?;
        let began = Moment::now();
        for _ in 0..100 {
            let id = number();
            if in_time(try_lock(session, i64::from(id))).await? {
                let others = in_time(wait_and_see(session, 0.0)).await?;
                let term = Term::new(id, began.steady, others);
                term.confirm(began);
                self.tell.send_replace(Some(Arc::new(term)));
                return Ok(());
            }
        }
        bail!("every number for the lock of this process is taken")
    }

    /// Until the term ends: an error when the session is lost.
    async fn watch(&mut self, term: &Term) -> Result<()> {
        let mut beats = 0;
        while !term.over.is_cancelled() {
            let began = Moment::now();
            let others = tokio::time::timeout(PATIENCE, self.beat(beats)).await.context("it did not answer in time")??;
            // In this order: what was seen is never taken for newer than it is.
            term.others.store(others, Ordering::SeqCst);
            term.confirm(began);
            beats += 1;
        }
        Ok(())
    }

    /// A sign of life; gives how many other processes there are. The server sleeps, and not we, so that the end of the connection is noticed as it comes.
    async fn beat(&mut self, beats: u32) -> Result<usize> {
        if beats.is_multiple_of(LOOK_EVERY) {
            self.settle_past().await?;
            let session = self.session.as_mut().context("there is a session")?;
            let freed = release_orphans(session, Utc::now()).await?;
            if freed > 0 {
                tracing::warn!(rows = freed, "rows of a process that is gone are free again");
                wakes::tell(session, wakes::Work::Queues).await?;
            }
        }
        let session = self.session.as_mut().context("there is a session")?;
        wait_and_see(session, 1.0).await
    }

    /// Holds the locks of past terms and gives back what is left of them: letters that came at once, for nobody can finish one under a term that is over, and
    /// letters of ours when none of them is on its way any more. A term is forgotten only after all that: whatever fails here, or is given up midway, is done
    /// by the next call.
    async fn settle_past(&mut self) -> Result<()> {
        let session = self.session.as_mut().context("there is a session")?;
        let mut at = 0;
        while let Some(past) = self.past.get_mut(at) {
            past.locked = past.locked || try_lock(session, past.id).await?;
            // Asked before anything is given back: what somebody claims under it all the same is found by the next call.
            let nobody_works = past.term.strong_count() == 0;
            let (freed, busy) = give_back(session, past.id, nobody_works).await?;
            if freed > 0 {
                wakes::tell(session, wakes::Work::Queues).await?;
            }
            if busy > 0 || !nobody_works {
                at += 1;
                continue;
            }
            if past.locked {
                sqlx::query!("select pg_advisory_unlock($1, $2)", LOCK_CLASS, i32::try_from(past.id)?).fetch_all(&mut *session).await?;
            }
            self.past.swap_remove(at);
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Nobody confirms it any more.
        if let Some(term) = &*self.tell.borrow() {
            term.end();
        }
    }
}

/// A number that no other process has chosen for its lock, but once in two thousand million.
fn number() -> i32 {
    // The last half of such an id is chance.
    i32::try_from(Uuid::now_v7().as_u128() & 0x7fff_ffff).unwrap_or(i32::MAX)
}

async fn try_lock(session: &mut Connection, id: i64) -> Result<bool> {
    Ok(sqlx::query_scalar!("select pg_try_advisory_lock($1, $2) as \"locked!\"", LOCK_CLASS, i32::try_from(id)?).fetch_one(session).await?)
}

/// Waits at the server, and gives how many other sessions hold such a lock.
async fn wait_and_see(session: &mut Connection, seconds: f64) -> Result<usize> {
    let others = sqlx::query_scalar!(
        "select count(distinct l.pid) as \"others!\" from pg_sleep($2) left join pg_locks l
             on l.locktype = 'advisory' and l.classid::bigint = $1 and l.objid::bigint < 2147483648 and l.objsubid = 2 and l.granted
             and l.database = (select oid from pg_database where datname = current_database()) and l.pid <> pg_backend_pid()",
        i64::from(LOCK_CLASS),
        seconds
    )
    .fetch_one(session)
    .await?;
    Ok(usize::try_from(others)?)
}

/// Frees the letters that came and are still a past term's, and on demand also ours, and takes back the attempts: nothing was tried, or nobody can say so.
/// Gives how many, and how many are busy: a transaction that was given up and has not heard of it yet still has its hands on them, and nobody waits for that
/// here.
async fn give_back(session: &mut Connection, id: i64, also_ours: bool) -> Result<(i64, i64)> {
    let rows = sqlx::query!(
        "with in_letters as (select id from inbox where owner = $1 for update skip locked),
         letters as (
             update inbox set owner = null, attempts = greatest(attempts - 1, 0) where id = any(array(select id from in_letters)) returning 1),
         in_ours as (select id from outbox where owner = $1 and $2 for update skip locked),
         ours as (
             update outbox set owner = null, attempts = greatest(attempts - 1, 0) where id = any(array(select id from in_ours)) returning 1),
         freed as (select (select count(*) from letters) + (select count(*) from ours) as freed)
         select freed as \"freed!\",
             (select count(*) from inbox where owner = $1) + (select count(*) from outbox where owner = $1 and $2) - freed as \"busy!\" from freed",
        id,
        also_ours
    )
    .fetch_one(session)
    .await?;
    Ok((rows.freed, rows.busy))
}

/// Frees the rows of owners that are gone, and counts the death; a letter that saw [`DEATHS`] is `failed`, in the record as well, and never tried again by
/// itself. Gives how many rows were freed.
pub async fn release_orphans(conn: &mut Connection, now: DateTime<Utc>) -> Result<i64> {
    let gone = sqlx::query_scalar!(
        "with living as (
             select l.objid::bigint as owner from pg_locks l
             where l.locktype = 'advisory' and l.classid::bigint = $1 and l.objsubid = 2 and l.granted
               and l.database = (select oid from pg_database where datname = current_database()))
         select distinct owner as \"owner!\" from (select owner from inbox where owner is not null union all select owner from outbox where owner is not null) o
         where owner not in (select owner from living)",
        i64::from(LOCK_CLASS)
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut freed = 0;
    for owner in gone {
        // Its lock is ours until the statement ends, so its process can't come back meanwhile and hold these rows again. A row that is locked is being
        // finished by a process that lost only its lock.
        freed += sqlx::query_scalar!(
            "with gone as materialized (select pg_try_advisory_xact_lock($1, $2::bigint::integer) as is_gone),
             in_letters as (select i.id from inbox i where i.owner = $2 and (select is_gone from gone) for update skip locked),
             letters as (
                 update inbox i set owner = null, deaths = deaths + 1,
                     state = case when deaths + 1 >= $3 then 'failed' else state end,
                     last_error = 'the process ended while it worked on this letter'
                 from in_letters g where i.id = g.id returning i.exchange_id, i.state),
             told as (
                 update exchange e set outcome = 'failed', ended_at = $4 from letters where e.id = letters.exchange_id and letters.state = 'failed'),
             in_ours as (select o.id from outbox o where o.owner = $2 and (select is_gone from gone) for update skip locked),
             ours as (
                 update outbox o set owner = null, deaths = deaths + 1, state = case when deaths + 1 >= $3 then 'failed' else state end
                 from in_ours g where o.id = g.id returning o.exchange_id, o.state),
             noted as (
                 update exchange e set outcome = 'failed', reply = 'the process ended while it sent this letter', ended_at = $4
                 from ours where e.id = ours.exchange_id and ours.state = 'failed')
             select (select count(*) from letters) + (select count(*) from ours) as \"freed!\"",
            LOCK_CLASS,
            owner,
            DEATHS,
            now
        )
        .fetch_one(&mut *conn)
        .await?;
    }
    Ok(freed)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::AtomicBool,
        task::{self, Wake},
    };

    use sqlx::PgPool;

    use super::*;
    use crate::store::{health::Health, room::Room, warm::Warm};

    #[test]
    fn a_term_is_trusted_for_fifteen_seconds_and_never_again_once_it_is_over() {
        let Some(began) = Instant::now().checked_sub(Duration::from_secs(60)) else { return };
        let term = Term::new(7, began, 0);
        assert!(!term.is_held(), "a minute ago is too long");
        term.confirm(Moment::now());
        assert!(term.is_held());
        term.confirm(Moment::at(Instant::now() - TRUST));
        assert!(!term.is_held());
        term.confirm(Moment::now());
        term.end();
        assert!(!term.is_held());
    }

    #[test]
    fn who_slept_trusts_no_lock_until_its_session_answers_and_whose_clock_is_set_back_trusts_it_no_longer() {
        let (now, hour) = (Moment::now(), Duration::from_secs(3600));
        let term = Term::new(7, now.steady, 0);
        assert!(term.is_held() && term.is_alone());
        term.confirm(Moment { wall: now.wall - hour, ..now });
        assert!(!term.is_held() && !term.is_alone(), "the steady clock stood still for an hour");
        let Some(earlier) = now.steady.checked_sub(TRUST) else { return };
        term.confirm(Moment { steady: earlier, wall: now.wall + hour });
        assert!(!term.is_held(), "the clock on the wall was an hour ahead");
    }

    #[test]
    fn who_comes_beside_others_claims_nothing_until_none_of_them_can_believe_that_it_is_alone() {
        let Some(earlier) = Instant::now().checked_sub(SIGHT) else { return };
        let first = Term::new(7, Instant::now(), 0);
        assert!(first.is_alone() && first.is_known());
        assert!(!Term::new(7, earlier, 0).is_alone(), "nothing was heard for three seconds");
        let second = Term::new(8, earlier, 1);
        assert!(!second.is_alone() && !second.is_known(), "three seconds is how long it may be overlooked");
        first.others.store(1, Ordering::SeqCst);
        assert!(!first.is_alone() && first.is_known(), "whoever was there first goes on");
        second.others.store(0, Ordering::SeqCst);
        assert!(second.is_known(), "the other has gone");
        let Some(long_ago) = Instant::now().checked_sub(KNOWN) else { return };
        let third = Term::new(9, long_ago, 1);
        assert!(!third.is_known(), "it waited for its lock, and others know of it no longer than it has it");
        assert!(Term { granted: long_ago, ..third }.is_known());
    }
    /// Whoever hears of a term's end, and notes whether the trouble was known by then.
    struct Hears {
        store: Store,
        knew: AtomicBool,
    }

    impl Wake for Hears {
        fn wake(self: Arc<Self>) {
            self.knew.store(self.store.health.is_troubled(), Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn whoever_hears_that_a_term_is_over_because_its_session_is_lost_knows_that_no_other_can_be_trusted() {
        let (health, nowhere) = (Health::new(), PgPool::connect_lazy("postgres://127.0.0.1:1/").expect("an address"));
        let store = Store { pool: nowhere, warm: Warm::new(1, health.clone()), health, room: Room::default() };
        let term = Arc::new(Term::new(7, Instant::now(), 0));
        let (tell, _terms) = watch::channel(Some(term.clone()));
        let keeper = Keeper { store: store.clone(), session: None, past: Vec::new(), tell };
        let hears = Arc::new(Hears { store, knew: AtomicBool::new(false) });
        let mut lost = pin!(term.lost());
        assert!(lost.as_mut().poll(&mut task::Context::from_waker(&hears.clone().into())).is_pending());
        // The keeper has no session, and tries in vain to begin another.
        let kept = tokio::time::timeout(Duration::from_millis(1), keeper.run()).await;
        assert!(kept.is_err() && term.is_over());
        assert!(hears.knew.load(Ordering::SeqCst));
    }
}
