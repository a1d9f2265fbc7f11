//! Long work on large letters, done aside from the threads that serve clients: so that no client waits for another's letter.
use tokio::runtime::{Handle, RuntimeFlavor};

/// Work on fewer octets is done where it stands: it takes less than handing it over would.
const LONG: usize = 256 << 10;

/// Does work that goes over so many octets. Where there are several threads, another one takes over what else waits for this one.
pub fn work<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    if is_long(octets) { tokio::task::block_in_place(work) } else { work() }
}

/// Whether work on so many octets is done aside: it is long, and there are other threads.
pub fn is_long(octets: usize) -> bool {
    octets >= LONG && Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}
