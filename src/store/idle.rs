//! Workers that have nothing to do. A letter that comes meanwhile is kept as one that such a worker has claimed, and goes to it straight away: nobody looks
//! for it in the database, or reads it from there.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::oneshot;

use super::ownership::Term;

/// The workers of this process that wait.
#[derive(Debug)]
pub struct Idle<Letter> {
    calls: Arc<Mutex<Vec<Call<Letter>>>>,
    numbers: Arc<AtomicU64>,
}

/// A worker that will take the letters claimed for it.
#[derive(Debug)]
pub struct Call<Letter> {
    number: u64,
    /// What they are claimed under.
    pub term: Arc<Term>,
    letters: oneshot::Sender<Vec<Letter>>,
}

/// A worker's place among those that wait; to be left by [`Waiting::leave`].
#[derive(Debug)]
pub struct Waiting<Letter> {
    idle: Idle<Letter>,
    number: u64,
    letters: oneshot::Receiver<Vec<Letter>>,
    came: Option<Vec<Letter>>,
}

impl<Letter> Clone for Idle<Letter> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), numbers: self.numbers.clone() }
    }
}

impl<Letter> Default for Idle<Letter> {
    fn default() -> Self {
        Self { calls: Arc::default(), numbers: Arc::default() }
    }
}

impl<Letter> Idle<Letter> {
    /// A worker has nothing to do.
    pub fn enter(&self, term: Arc<Term>) -> Waiting<Letter> {
        let (send, letters) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { number, term, letters: send });
        Waiting { idle: self.clone(), number, letters, came: None }
    }

    /// Takes the worker that began to wait last; it waits for what is claimed for it, or for this to be dropped.
    pub fn call(&self) -> Option<Call<Letter>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).pop().filter(|call| call.term.is_held())
    }
}

impl<Letter> Call<Letter> {
    /// Gives the worker its letters.
    pub fn give(self, letters: Vec<Letter>) {
        if self.letters.send(letters).is_err() {
            // It died. What is claimed and not known to anybody would wait for ever.
            self.term.end();
        }
    }
}

impl<Letter> Waiting<Letter> {
    /// Waits to be called, and for what comes of it. Safe to be given up at any moment.
    pub async fn called(&mut self) {
        if self.came.is_none() {
            self.came = Some((&mut self.letters).await.unwrap_or_default());
        }
    }

    /// Waits no more; gives the letters of whoever called already.
    pub async fn leave(mut self) -> Vec<Letter> {
        let was_called = {
            let mut calls = self.idle.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let before = calls.len();
            calls.retain(|call| call.number != self.number);
            calls.len() == before
        };
        if was_called {
            self.called().await;
        }
        self.came.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn a_term() -> Arc<Term> {
        Arc::new(Term::new(7, Instant::now(), 0))
    }

    #[tokio::test]
    async fn a_worker_that_was_called_gets_its_letters_though_it_has_turned_to_other_work() {
        let idle = Idle::default();
        let waiting = idle.enter(a_term());
        let call = idle.call().expect("somebody waits");
        assert!(idle.call().is_none(), "nobody is called twice");
        let leaving = tokio::spawn(waiting.leave());
        call.give(vec!["a letter"]);
        assert_eq!(leaving.await.expect("left").len(), 1);
    }

    #[tokio::test]
    async fn a_worker_that_is_called_for_nothing_goes_on() {
        let idle = Idle::<&str>::default();
        let mut waiting = idle.enter(a_term());
        drop(idle.call());
        waiting.called().await;
        assert!(waiting.leave().await.is_empty());
        assert!(idle.enter(a_term()).leave().await.is_empty(), "nobody called");
        assert!(idle.call().is_none(), "nobody waits any more");
    }

    #[tokio::test]
    async fn the_letters_of_a_worker_that_died_end_the_term_under_which_they_were_claimed() {
        let (idle, term) = (Idle::default(), a_term());
        let waiting = idle.enter(term.clone());
        let call = idle.call().expect("somebody waits");
        drop(waiting);
        call.give(vec!["a letter"]);
        assert!(term.is_over());
        idle.enter(term);
        assert!(idle.call().is_none(), "nothing is claimed under a term that is over");
    }
}
