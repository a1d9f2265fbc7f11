//! Who is connected, and how often they come: so many in all, so many of one client, so many new ones in a minute, so that nobody can shut the others out.
use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Smtp,
    domain::network::Network,
    telemetry::{self, Figure},
};

/// Counts are kept for so many clients, domains or networks at most; then the oldest windows are forgotten.
const REMEMBERED: usize = 20_000;

/// Where all places are taken, a client that has let us wait so long makes room for another; it also has so long to do so.
const SLOW: Duration = Duration::from_secs(1);

/// Who is connected now, and who has been lately.
#[derive(Debug)]
pub(super) struct Clients {
    all: Arc<Semaphore>,
    most_of_one: usize,
    of_one: Arc<Mutex<HashMap<Network, usize>>>,
    new: Rate<Network>,
    /// Networks that brought a letter: they need not wait for the greeting again.
    known: Rate<Network>,
    present: Mutex<Vec<Weak<Presence>>>,
}

/// One of all places, given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _one_of_all: OwnedSemaphorePermit,
}

/// A place among those of one client, given up when dropped.
#[derive(Debug)]
pub(super) struct OwnPlace {
    client: Network,
    of_one: Arc<Mutex<HashMap<Network, usize>>>,
}

/// A session among the others: how long its client has let us wait, and whether it is to make room.
#[derive(Debug)]
pub(super) struct Presence {
    /// Until then the client has kept pace.
    kept_pace: Mutex<Instant>,
    /// It is to make room for another.
    pub(super) evicted: CancellationToken,
    places: Mutex<Option<(Place, Option<OwnPlace>)>>,
}

impl Presence {
    /// The client has done what it was to do next: a command is through.
    pub(super) fn keeps_pace(&self) {
        *lock(&self.kept_pace) = Instant::now();
    }

    /// The client has sent so much of a letter as takes this long at the slowest pace.
    pub(super) fn came_on(&self, worth: Duration) {
        let mut kept = lock(&self.kept_pace);
        *kept = (*kept + worth).min(Instant::now());
    }

    /// Lets another have the place: what follows is only goodbye.
    pub(super) fn give_up(&self) {
        *lock(&self.places) = None;
    }

    fn lag(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*lock(&self.kept_pace))
    }
}

impl Clients {
    pub(super) fn new(limits: &Smtp) -> Self {
        let most = limits.max_connections;
        Self {
            all: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            most_of_one: limits.max_connections_per_client.unwrap_or(most.div_ceil(2).max(1)),
            of_one: Arc::default(),
            new: Rate::new(limits.max_new_connections_per_minute, Duration::from_secs(60)),
            known: Rate::new(u32::MAX, Duration::from_secs(24 * 60 * 60)),
            present: Mutex::default(),
        }
    }

    /// A place, whoever comes; none while all are taken.
    pub(super) fn enter(&self) -> Option<Place> {
        Some(Place::new(self.all.clone().try_acquire_owned().ok()?))
    }

    /// A place where all are taken: that of the client that has let us wait longest, if one has at all, or does soon.
    pub(super) async fn enter_instead(&self) -> Option<Place> {
        let until = Instant::now() + SLOW;
        while Instant::now() < until {
            if let Some(slowest) = self.slowest() {
                slowest.evicted.cancel();
                telemetry::count(Figure::Reasons, "made-room");
                let left = tokio::time::timeout(SLOW, self.all.clone().acquire_owned()).await;
                return left.ok()?.ok().map(Place::new);
            }
            let left = tokio::time::timeout(SLOW / 20, self.all.clone().acquire_owned()).await;
            if let Ok(Ok(place)) = left {
                return Some(Place::new(place));
            }
        }
        None
    }

    fn slowest(&self) -> Option<Arc<Presence>> {
        let mut present = lock(&self.present);
        present.retain(|weak| weak.strong_count() > 0);
        let now = Instant::now();
        let others = present.iter().filter_map(Weak::upgrade).filter(|other| !other.evicted.is_cancelled() && lock(&other.places).is_some());
        others.max_by_key(|other| other.lag(now)).filter(|other| other.lag(now) >= SLOW)
    }

    /// A session begins.
    pub(super) fn begin(&self, places: (Place, Option<OwnPlace>)) -> Arc<Presence> {
        let presence = Arc::new(Presence { kept_pace: Mutex::new(Instant::now()), evicted: CancellationToken::new(), places: Mutex::new(Some(places)) });
        let mut present = lock(&self.present);
        if present.len() == present.capacity() {
            present.retain(|weak| weak.strong_count() > 0);
        }
        present.push(Arc::downgrade(&presence));
        presence
    }

    /// A place as this client; none for one that has too many.
    pub(super) fn place_of(&self, ip: IpAddr) -> Option<OwnPlace> {
        let client = Network::of_client(ip);
        let mut of_one = lock(&self.of_one);
        let count = of_one.entry(client).or_default();
        if *count >= self.most_of_one {
            return None;
        }
        *count += 1;
        Some(OwnPlace { client, of_one: self.of_one.clone() })
    }

    /// Whether this client may come once more in this minute. Programs on this machine may.
    pub(super) fn may_come(&self, ip: IpAddr) -> bool {
        ip.to_canonical().is_loopback() || self.new.take(Network::of_client(ip), Instant::now())
    }

    /// The client has brought a letter that was kept.
    pub(super) fn note_good(&self, ip: IpAddr) {
        self.known.take(Network::of_service(ip), Instant::now());
    }

    /// The client has brought a letter within a day.
    pub(super) fn is_known(&self, ip: IpAddr) -> bool {
        self.known.has(&Network::of_service(ip), Instant::now())
    }
}

impl Place {
    fn new(one_of_all: OwnedSemaphorePermit) -> Self {
        telemetry::add(Figure::SessionsNow, "", 1);
        Self { _one_of_all: one_of_all }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        telemetry::add(Figure::SessionsNow, "", -1);
    }
}

impl Drop for OwnPlace {
    fn drop(&mut self) {
        let mut of_one = lock(&self.of_one);
        if let Some(count) = of_one.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                of_one.remove(&self.client);
            }
        }
    }
}

/// So many of each kind within a window of time that begins with the first.
#[derive(Debug)]
pub(super) struct Rate<K> {
    most: u32,
    window: Duration,
    counts: Mutex<HashMap<K, (Instant, u32)>>,
}

impl<K: Eq + Hash> Rate<K> {
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, counts: Mutex::default() }
    }

    /// One more, unless that is too many.
    pub(super) fn take(&self, key: K, now: Instant) -> bool {
        let mut counts = lock(&self.counts);
        if counts.len() >= REMEMBERED && !counts.contains_key(&key) {
            make_room(&mut counts, self.window, now);
        }
        let (began, count) = counts.entry(key).or_insert((now, 0));
        if now.duration_since(*began) >= self.window {
            (*began, *count) = (now, 0);
        }
        let within = *count < self.most;
        *count = count.saturating_add(u32::from(within));
        within
    }

    /// Whether one more would not be too many.
    pub(super) fn has_room(&self, key: &K, now: Instant) -> bool {
        lock(&self.counts).get(key).is_none_or(|(began, count)| *count < self.most || now.duration_since(*began) >= self.window)
    }

    fn has(&self, key: &K, now: Instant) -> bool {
        lock(&self.counts).get(key).is_some_and(|(began, _)| now.duration_since(*began) < self.window)
    }
}

/// Lets go of the windows that are over, and if that is not enough of the older half.
fn make_room<K: Eq + Hash>(counts: &mut HashMap<K, (Instant, u32)>, window: Duration, now: Instant) {
    counts.retain(|_, (began, _)| now.duration_since(*began) < window);
    if counts.len() >= REMEMBERED {
        let mut begun: Vec<Instant> = counts.values().map(|(began, _)| *began).collect();
        let (_, middle, _) = begun.select_nth_unstable(REMEMBERED / 2);
        let middle = *middle;
        counts.retain(|_, (began, _)| *began > middle);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_client_gets_half_of_the_places_and_gives_them_back() {
        let clients = Clients::new(&Smtp { max_connections: 4, ..Smtp::default() });
        let all: Vec<_> = (0..5).map(|_| clients.enter()).collect();
        assert_eq!(all.iter().flatten().count(), 4);
        let first: Vec<_> = (0..3).map(|_| clients.place_of(ip(1))).collect();
        assert_eq!(first.iter().flatten().count(), 2);
        assert!(clients.place_of(ip(2)).is_some());
        drop((first, all));
        assert!(clients.place_of(ip(1)).is_some() && clients.enter().is_some());
        assert!(lock(&clients.of_one).is_empty());
    }

    #[tokio::test]
    async fn where_all_places_are_taken_the_slowest_client_makes_room_and_no_quick_one_does() {
        let clients = Clients::new(&Smtp { max_connections: 2, ..Smtp::default() });
        let place = || (clients.enter().expect("a free place"), None);
        let (slow, quick) = (clients.begin(place()), clients.begin(place()));
        // However long the machine stands still in between.
        let (now, for_long) = (Instant::now(), Instant::now() + 60 * SLOW);
        *lock(&slow.kept_pace) = for_long;
        *lock(&quick.kept_pace) = for_long;
        assert!(clients.enter().is_none() && clients.slowest().is_none(), "both have just come");
        let lately = now.checked_sub(2 * SLOW).expect("the machine has run for seconds");
        *lock(&slow.kept_pace) = lately;
        *lock(&quick.kept_pace) = lately;
        quick.came_on(3 * SLOW);
        assert_eq!(quick.lag(now), Duration::ZERO);
        *lock(&quick.kept_pace) = for_long;
        let (place, ()) = tokio::join!(clients.enter_instead(), async {
            slow.evicted.cancelled().await;
            slow.give_up();
        });
        assert!(place.is_some() && !quick.evicted.is_cancelled());
        assert!(clients.slowest().is_none());
    }

    #[test]
    fn a_client_that_comes_too_often_waits_for_the_next_minute_and_others_do_not() {
        let clients = Clients::new(&Smtp { max_new_connections_per_minute: 2, ..Smtp::default() });
        assert_eq!([1, 1, 1, 2].map(|last| clients.may_come(ip(last))), [true, true, false, true]);
        let (rate, now) = (Rate::new(1, Duration::from_secs(60)), Instant::now());
        assert!(rate.take("a", now) && !rate.take("a", now + Duration::from_secs(59)) && rate.take("a", now + Duration::from_secs(60)));
    }

    #[test]
    fn a_flood_of_clients_takes_no_more_memory_than_is_set_aside() {
        let (rate, now) = (Rate::new(1, Duration::from_secs(60)), Instant::now());
        for client in 0..3 * REMEMBERED {
            assert!(rate.take(client, now + Duration::from_micros(client as u64)));
        }
        assert!(lock(&rate.counts).len() <= REMEMBERED);
        assert!(!rate.take(3 * REMEMBERED - 1, now + Duration::from_secs(1)), "the newest are remembered");
    }
}
