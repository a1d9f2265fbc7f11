//! Rows of a graph shared out to the machine's cores.
use std::num::NonZero;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// So many rows are taken at a time.
const BLOCK: u32 = 16;

/// How many cores there are.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Has each core work on some of the rows, and each row worked on once. Which core gets which row is chance: what comes of it must not depend
/// on that.
pub fn share<T: Send>(rows: usize, cores: usize, work: impl Fn(Rows) -> T + Sync) -> Vec<T> {
    let next = AtomicU32::new(0);
    let rows = || Rows { next: &next, block: 0..0, end: rows as u32 };
    if cores < 2 || rows().end < 4 * BLOCK {
        return vec![work(rows())];
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(|| work(rows()))).collect();
        let own = work(rows());
        let join = |other: thread::ScopedJoinHandle<T>| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        std::iter::once(own).chain(others.into_iter().map(join)).collect()
    })
}

/// The rows that one core works on.
pub struct Rows<'a> {
    next: &'a AtomicU32,
    block: std::ops::Range<u32>,
    end: u32,
}

impl Iterator for Rows<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.block.is_empty() {
            let start = self.next.fetch_add(BLOCK, Ordering::Relaxed).min(self.end);
            self.block = start..(start + BLOCK).min(self.end);
        }
        self.block.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_worked_on_once() {
        for (rows, cores) in [(0, 2), (5, 2), (63, 3), (64, 1), (1000, 2), (1003, 5)] {
            let mut all: Vec<u32> = share(rows, cores, |rows| rows.collect::<Vec<u32>>()).concat();
            all.sort_unstable();
            assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
        }
    }
}
