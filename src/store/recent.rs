//! Large letters that were written a moment ago: whoever works on one next is mostly this process, and need not read it back.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// So many octets of them at most; the oldest give way.
const OCTETS: usize = 6 << 20;
/// Larger ones are read back: memory is dearer than time there.
pub(super) const LARGEST: usize = 512 << 10;

/// By the letter's id, under which no other bytes are ever written: so that these are right, whatever became of the transaction that wrote them. Nobody asks
/// for one that was not committed.
static RECENT: Mutex<VecDeque<(Uuid, Vec<u8>)>> = Mutex::new(VecDeque::new());

fn recent() -> MutexGuard<'static, VecDeque<(Uuid, Vec<u8>)>> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a large letter for a moment.
pub(super) fn keep(id: Uuid, raw: Vec<u8>) {
    if raw.len() > LARGEST {
        return;
    }
    let mut recent = recent();
    let mut octets = raw.len() + recent.iter().map(|(_, raw)| raw.len()).sum::<usize>();
    while octets > OCTETS
        && let Some((_, oldest)) = recent.pop_front()
    {
        octets -= oldest.len();
    }
    recent.push_back((id, raw));
}

/// Gives a letter away, if it is remembered.
pub(super) fn take(id: Uuid) -> Option<Vec<u8>> {
    let mut recent = recent();
    let at = recent.iter().position(|(one, _)| *one == id)?;
    recent.remove(at).map(|(_, raw)| raw)
}

/// Forgets them all.
pub(super) fn forget() {
    *recent() = VecDeque::new();
}
