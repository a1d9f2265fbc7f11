//! Keeps letters before 250 is said. Letters that end at the same moment in several sessions are kept by one statement: a letter by itself costs as much as
//! three of a dozen.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Door, body::Whole};
use crate::{
    domain::address::EmailAddress,
    mail::envelope::{Envelope, Verdict},
    store::{
        arrivals::{self, Accepted, Arrival},
        health::{Trouble, in_time},
        recipients::Recipient,
    },
};

/// Statements under way at once: while one waits for the disk, the next is made ready.
const AT_ONCE: usize = 2;
/// Letters of one statement, and octets behind which no further one joins them.
const LETTERS: usize = 32;
const OCTETS: usize = 2 << 20;

/// A letter that is whole and judged.
pub(super) struct Letter {
    pub(super) whole: Whole,
    pub(super) envelope: Envelope,
    pub(super) from: Option<EmailAddress>,
    pub(super) message_id: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) recipients: Vec<Recipient>,
    pub(super) session: String,
    pub(super) tls: Option<&'static str>,
    pub(super) records_refusals: bool,
}

/// One error may be several letters'.
type Kept = Result<Accepted, Arc<anyhow::Error>>;

/// The letters that wait to be kept. Nobody's task but that of the sessions themselves: whoever finds a place free keeps what has gathered.
pub(super) struct Keeper {
    waiting: Mutex<VecDeque<(Letter, oneshot::Sender<Kept>)>>,
    places: Arc<Semaphore>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// As many as go together.
    fn gather(&self) -> Vec<(Letter, oneshot::Sender<Kept>)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut together, mut octets) = (Vec::new(), 0);
        while together.len() < LETTERS
            && octets < OCTETS
            && let Some(next) = waiting.pop_front()
        {
            octets += next.0.whole.bytes.len();
            together.push(next);
        }
        together
    }
}

impl Door {
    /// Keeps a letter, with others or alone. Where this is given up, the letter may be kept all the same.
    pub(super) async fn keep(self: &Arc<Self>, letter: Letter) -> Kept {
        let (done, mut kept) = oneshot::channel();
        self.keeper.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back((letter, done));
        let died = || Arc::new(anyhow::anyhow!("the keeping of letters died"));
        loop {
            tokio::select! {
                biased;
                kept = &mut kept => return kept.unwrap_or_else(|_| Err(died())),
                place = self.keeper.places.clone().acquire_owned() => {
                    let place = place.map_err(|_| died())?;
                    let together = self.keeper.gather();
                    if together.is_empty() {
                        // Ours is among those that another session keeps.
                        drop(place);
                        return kept.await.unwrap_or_else(|_| Err(died()));
                    }
                    // In a task of its own: a session that ends does not take the letters of others with it.
                    tokio::spawn(self.clone().keep_together(together, place));
                }
            }
        }
    }

    async fn keep_together(self: Arc<Self>, letters: Vec<(Letter, oneshot::Sender<Kept>)>, place: OwnedSemaphorePermit) {
        let (letters, done): (Vec<_>, Vec<_>) = letters.into_iter().unzip();
        let kept = match self.accept(&letters).await {
            Ok(accepted) => accepted.into_iter().map(Ok).collect(),
            // One of them is at fault: the others are not to suffer for it.
            Err(error) if letters.len() > 1 && Trouble::of(&error).is_none() => {
                let mut kept = Vec::with_capacity(letters.len());
                for letter in letters.chunks(1) {
                    kept.push(self.accept(letter).await.map(|mut one| one.remove(0)).map_err(Arc::new));
                }
                kept
            }
            Err(error) => {
                let error = Arc::new(error);
                letters.iter().map(|_| Err(error.clone())).collect::<Vec<Kept>>()
            }
        };
        drop((place, letters));
        for (done, kept) in done.into_iter().zip(kept) {
            // Whoever is gone does not hear it.
            let _ = done.send(kept);
        }
    }

    async fn accept(&self, letters: &[Letter]) -> Result<Vec<Accepted>> {
        let arrivals: Vec<_> = letters
            .iter()
            .map(|letter| Arrival {
                raw: &letter.whole.bytes,
                envelope: &letter.envelope,
                from: letter.from.as_ref(),
                message_id: letter.message_id.as_deref(),
                verdict: &letter.verdict,
                recipients: &letter.recipients,
                domain: &self.domain,
                session: &letter.session,
                tls: letter.tls,
                records_refusals: letter.records_refusals,
            })
            .collect();
        let keeping = async {
            let mut conn = self.store.connection().await?;
            arrivals::accept(&mut conn, &arrivals, |arrival, recipient, known| self.admit(arrival, recipient, known), (self.clock)()).await
        };
        in_time(keeping).await
    }
}
