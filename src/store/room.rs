//! Room at the exit of this process. While there is some, a letter is queued as one that the exit has claimed already, and goes to it as soon as that is
//! committed: nobody looks for it in the database, or reads it from there.
use std::{
    collections::HashSet,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::{
    Connection, breaker,
    outbox::{self, Claimed, NewLetter},
    ownership::Term,
    recent,
};

/// Signs a letter; none where that can't be done.
pub type Sign = dyn Fn(&[u8]) -> Option<String> + Send + Sync;

/// The exit tells how much there is, whoever queues letters asks for some of it.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Hall>);

#[derive(Debug, Default)]
struct Hall {
    state: Mutex<State>,
    changed: Notify,
    came: Notify,
}

#[derive(Default)]
struct State {
    /// How a letter is signed while it is being committed.
    sign: Option<Arc<Sign>>,
    /// Letters may be claimed under this term, so many, of so many octets in all. None: all are to be queued.
    open: Option<(Arc<Term>, usize, usize)>,
    /// Of those, asked for and not yet fetched by the exit.
    promised: usize,
    octets: usize,
    /// To be fetched.
    letters: Vec<(Arc<Term>, Vec<Claimed>)>,
}

impl fmt::Debug for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("State").field("open", &self.open).field("promised", &self.promised).finish_non_exhaustive()
    }
}

impl State {
    fn free(&self) -> Option<usize> {
        self.open.as_ref().map(|(_, places, _)| places.saturating_sub(self.promised))
    }

    /// Takes so many octets of the room, if there are as many.
    fn draw(&mut self, octets: usize) -> bool {
        let fits = self.open.as_ref().is_some_and(|(_, _, most)| self.octets + octets <= *most);
        if fits {
            self.octets += octets;
        }
        fits
    }
}

/// Places at the exit for letters of one transaction; those that are not needed are free again when this is dropped.
#[derive(Debug)]
pub struct Places {
    room: Room,
    term: Arc<Term>,
    places: usize,
    octets: usize,
    letters: Vec<Claimed>,
    /// Others were queued, without a place.
    others: bool,
}

impl Room {
    /// The exit has room for so many letters, of so many octets in all, those included that were promised and not fetched.
    pub fn open(&self, term: &Arc<Term>, places: usize, octets: usize) {
        self.state().open = Some((term.clone(), places, octets));
        self.0.changed.notify_waiters();
    }

    /// A letter that is queued by itself is signed by this while it is being committed.
    pub fn sign_with(&self, sign: Arc<Sign>) {
        self.state().sign = Some(sign);
    }

    /// It has none, and won't have any soon: letters wait in the database.
    pub fn shut(&self) {
        if self.state().open.take().is_some() {
            self.0.changed.notify_waiters();
        }
    }

    /// Waits for letters. Safe to be given up at any moment.
    pub async fn came(&self) {
        self.0.came.notified().await;
    }

    /// The letters that came, and what they were claimed under.
    pub fn fetch(&self) -> Vec<(Arc<Term>, Vec<Claimed>)> {
        let mut state = self.state();
        let letters = mem::take(&mut state.letters);
        for letter in letters.iter().flat_map(|(_, letters)| letters) {
            state.promised -= 1;
            state.octets -= octets(letter);
        }
        letters
    }

    /// Places for at most so many letters, if there is any.
    pub fn ask(&self, most: usize) -> Option<Places> {
        let mut state = self.state();
        let places = state.free()?.min(most);
        let term = state.open.as_ref().map(|(term, ..)| term.clone()).filter(|term| places > 0 && term.is_alone())?;
        state.promised += places;
        Some(Places { room: self.clone(), term, places, octets: 0, letters: Vec::new(), others: false })
    }

    /// The same for a crowd: where the exit only has too much in hand for `enough` of them, waits a moment until it has not.
    pub async fn ask_for_many(&self, enough: usize, most: usize, moment: Duration) -> Option<Places> {
        let wait = async {
            loop {
                let changed = self.0.changed.notified();
                if self.state().free().is_none_or(|free| free >= enough) {
                    return;
                }
                changed.await;
            }
        };
        // What there is by then is taken.
        let _in_time = tokio::time::timeout(moment, wait).await;
        self.ask(most)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// How many more letters there are places for.
    pub fn left(&self) -> usize {
        self.places - self.letters.len()
    }

    /// Queues letters as [`outbox::enqueue_all`] does, as claimed as long as there are places. What a breaker stops is not; and large ones that would have to be
    /// read back wait in the database.
    pub async fn enqueue(&mut self, conn: &mut Connection, letters: &[NewLetter<'_>], now: DateTime<Utc>) -> Result<HashSet<Uuid>> {
        let left = self.left();
        let mut fits = |letter: &&NewLetter<'_>| {
            let fits = letter.not_before <= now && letter.raw.len() <= recent::LARGEST && self.room.state().draw(letter.raw.len());
            self.octets += if fits { letter.raw.len() } else { 0 };
            fits
        };
        let ours = letters.iter().filter(&mut fits).take(left).map(|letter| letter.id).collect();
        let queued = outbox::enqueue_for(conn, letters, Some(self.term.id()), &ours, now).await?;
        self.others |= queued.claimed.len() < queued.all.len();
        let claimed = letters.iter().filter_map(|letter| Some(Claimed::new(letter, *queued.claimed.get(&letter.id)?))).collect::<Result<_>>()?;
        let mut passed = breaker::pass(conn, claimed, now).await?;
        // The others of a crowd keep the processors busy meanwhile.
        if let ([letter], 1) = (&mut passed[..], self.places) {
            self.sign(letter);
        }
        self.letters.extend(passed);
        Ok(queued.all)
    }

    fn sign(&self, letter: &mut Claimed) {
        let Some(sign) = self.room.state().sign.clone().filter(|_| letter.raw.len() == octets(letter)) else { return };
        let (tell, signature) = oneshot::channel();
        letter.signature = Early(Mutex::new(Some(signature)));
        let raw = letter.raw.clone();
        tokio::spawn(async move {
            if let Some(signature) = sign(&raw) {
                // Unheard where the letter was not committed.
                let _ = tell.send(signature);
            }
        });
    }

    /// The transaction is about to be committed. When what becomes of that is not known, nor told to [`Leaving::committed`], the term ends.
    pub fn leave(self) -> Leaving {
        Leaving(Some(self))
    }
}

/// A letter's signature, made while it was being committed, or just being made; once.
#[derive(Debug, Default)]
pub struct Early(Mutex<Option<oneshot::Receiver<String>>>);

impl Early {
    /// It, if it was made.
    pub async fn take(&self) -> Option<String> {
        let signature = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        signature.await.ok()
    }
}

fn octets(letter: &Claimed) -> usize {
    letter.size.unsigned_abs() as usize
}

/// Letters that are being committed.
#[derive(Debug)]
pub struct Leaving(Option<Places>);

impl Leaving {
    /// They are: the exit gets its letters. True when others were queued that wait to be claimed.
    pub fn committed(mut self) -> bool {
        let Some(mut places) = self.0.take() else { return true };
        let letters = mem::take(&mut places.letters);
        places.places -= letters.len();
        places.octets -= letters.iter().map(octets).sum::<usize>();
        if !letters.is_empty() {
            places.room.state().letters.push((places.term.clone(), letters));
            places.room.0.came.notify_one();
        }
        places.others
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // What is claimed and not known to anybody would wait for ever.
        if let Some(places) = self.0.take().filter(|places| !places.letters.is_empty()) {
            places.term.end();
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.promised -= self.places;
        state.octets -= self.octets;
    }
}
