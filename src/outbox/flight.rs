//! Letters between claim and mark: in hand until a connection is free, on their way, and landed until their reply is committed.
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{self, JoinSet};

use super::way::Fate;
use crate::store::{
    outbox::{Claimed, Mine},
    ownership::Term,
};

/// Letters are claimed, and marked, no more often than this while many are under way: the next may go along with those that come meanwhile.
pub const TURN_EVERY: Duration = Duration::from_millis(5);
/// … and, with enough in hand, claimed no more often than this: a more urgent letter waits no longer to be seen.
const CLAIM_EVERY: Duration = Duration::from_millis(20);
/// Once in this time a claim looks past the letters to domains at their limit, so that a long row of them delays nobody else by more.
const FAR_EVERY: Duration = Duration::from_millis(500);
/// What waits in hand for longer is given back: its domain, or the next hop, has become slow.
const IN_HAND: Duration = Duration::from_millis(300);
/// At most so many times as many letters are claimed ahead as may fly.
const AHEAD: usize = 2;
/// … and of those that are claimed as they are queued.
const ROOM: usize = 8;
/// One in so many places is for domains that have only as small a share of their own: some that are slow must not fill all.
const RESERVE: usize = 4;
/// With fewer places than this there is nothing to reserve.
const PLENTY: usize = 8;

/// How many may fly at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub most: usize,
    /// To one recipient domain.
    pub per_domain: usize,
}

impl Limits {
    /// Of `free` places: how many are for letters to any domain, and how many one domain may have then. The last are for domains that have few.
    pub fn reserve(self, free: usize) -> (usize, usize) {
        let reserve = if self.most >= PLENTY { self.most / RESERVE } else { 0 };
        match free > reserve {
            true => (free - reserve, self.per_domain),
            false => (free, self.smallest_share()),
        }
    }

    /// How many letters to one domain there is a place for in any case.
    fn smallest_share(self) -> usize {
        (self.per_domain / RESERVE).max(1)
    }
}

/// A letter that is ours as long as the term lasts under which it was claimed. Holding the term keeps the letter's row from being freed.
#[derive(Clone)]
pub struct Travelling {
    /// The letter.
    pub letter: Arc<Claimed>,
    /// Its term.
    pub term: Arc<Term>,
}

impl Travelling {
    /// What marks it.
    pub fn mine(&self) -> Mine {
        Mine { id: self.letter.id, owner: self.term.id() }
    }

    fn domain(&self) -> &str {
        self.letter.to.as_ref().map(|to| to.domain()).unwrap_or_default()
    }
}

/// A letter whose reply is known.
pub type Landed = (Travelling, Fate);

/// All letters of one exit that are under way.
#[derive(Default)]
pub struct Flight {
    /// Claimed ahead, so that no connection waits for the database; the most urgent first, each since then.
    hand: VecDeque<(Instant, Travelling)>,
    flying: JoinSet<Fate>,
    letters: HashMap<task::Id, Travelling>,
    /// How many fly to each recipient domain.
    domains: HashMap<String, usize>,
    /// Their reply is known and not yet committed: kept until it is, for only we know it.
    landed: Vec<Landed>,
    /// Landed, and just being committed.
    marking: usize,
    /// When letters were marked last.
    marked_at: Option<Instant>,
    /// When letters were claimed last, and how many landed since.
    claimed_at: Option<Instant>,
    landed_since: usize,
    looked_far_at: Option<Instant>,
    /// The claim of last left nothing that was due, and nothing was given back since.
    has_all: bool,
}

impl Flight {
    /// How many are on their way.
    pub fn flying(&self) -> usize {
        self.flying.len()
    }

    /// How many are claimed and not landed.
    pub fn claimed(&self) -> usize {
        self.flying.len() + self.hand.len()
    }

    /// The octets of those.
    pub fn octets(&self) -> usize {
        self.letters.values().chain(self.hand.iter().map(|(_, travelling)| travelling)).map(|travelling| travelling.letter.size.unsigned_abs() as usize).sum()
    }

    /// Nothing was due at the last claim but what was claimed then: no place that falls free since is for a letter that waits. Whoever queues one that is not
    /// claimed for us wakes us.
    pub fn has_all(&self) -> bool {
        self.has_all
    }

    /// Anything that has to be waited for, or marked.
    pub fn is_under_way(&self) -> bool {
        self.claimed() > 0 || self.is_to_be_marked()
    }

    /// A reply is known that is not committed.
    pub fn is_to_be_marked(&self) -> bool {
        !self.landed.is_empty()
    }

    /// … and enough of them to be worth a commit: while these are marked, as many others land.
    pub fn should_mark(&self) -> bool {
        let enough = self.landed.len() * 2 >= self.flying.len() || self.marked_at.is_none_or(|at| at.elapsed() >= TURN_EVERY);
        self.is_to_be_marked() && enough || self.hand.iter().any(|(since, _)| since.elapsed() >= IN_HAND)
    }

    /// Claiming for one place costs as much as for twenty: a moment has to pass, or, with nothing in hand, a quarter of what flies has to land first. As long
    /// as there is one in hand for each that flies, the hand is not empty before others come.
    pub fn may_claim(&self) -> bool {
        let passed = |pause| self.claimed_at.is_none_or(|at: Instant| at.elapsed() >= pause);
        match self.hand.len() {
            0 => self.landed_since * 4 >= self.flying.len() || passed(TURN_EVERY),
            few if few <= self.flying.len() => passed(TURN_EVERY),
            _ => passed(CLAIM_EVERY),
        }
    }

    /// How long until a claim looks far.
    pub fn until_far(&self) -> Duration {
        self.looked_far_at.map_or(Duration::ZERO, |at| FAR_EVERY.saturating_sub(at.elapsed()))
    }

    /// How many letters in hand could take off now, were their connections there.
    pub fn able(&self, limits: Limits) -> usize {
        let mut flying: HashMap<_, _> = self.domains.iter().map(|(domain, &flying)| (domain.as_str(), flying)).collect();
        let (mut free, mut able) = (limits.most.saturating_sub(self.flying.len()), 0);
        for (_, travelling) in &self.hand {
            if free == 0 {
                break;
            }
            let here = flying.entry(travelling.domain()).or_default();
            if *here < limits.reserve(free).1 {
                (*here, free, able) = (*here + 1, free - 1, able + 1);
            }
        }
        able
    }

    /// How many to claim ahead, to wait in hand beside those that are there and not able to take off: as many as land between two claims, twice. So a letter
    /// waits in hand for some milliseconds, and where letters land slowly, none does. Where nothing else is due, whatever comes is looked at soon.
    pub fn ahead(&self, limits: Limits, able: usize) -> usize {
        let ahead = (self.landing() * 2).min(AHEAD * limits.most).saturating_sub(self.hand.len() - able);
        if self.has_all { ahead.max(limits.smallest_share()) } else { ahead }
    }

    /// How many that are queued while nothing else is due may be claimed with it, to wait in hand: they cost nothing to claim, so the hand may be fuller.
    pub fn room_ahead(&self, limits: Limits, able: usize) -> usize {
        (self.landing() * ROOM).min(ROOM * limits.most).saturating_sub(self.hand.len() - able)
    }

    /// How many land between two claims.
    fn landing(&self) -> usize {
        let claims = self.claimed_at.map_or(1, |at| at.elapsed().as_millis().div_ceil(CLAIM_EVERY.as_millis()).max(1));
        self.landed_since / usize::try_from(claims).unwrap_or(usize::MAX)
    }

    /// What landed, to be marked, and with it what was in hand for too long.
    pub fn begin_mark(&mut self) -> Vec<Landed> {
        self.marked_at = Some(Instant::now());
        let (old, young): (Vec<_>, Vec<_>) = self.hand.drain(..).partition(|(since, _)| since.elapsed() >= IN_HAND);
        self.hand = young.into();
        self.give_back(old);
        let landed = std::mem::take(&mut self.landed);
        self.marking += doubtful(&landed);
        landed
    }

    /// It was marked.
    pub fn end_mark(&mut self, landed: &[Landed]) {
        self.marking -= doubtful(landed);
    }

    /// It could not be marked: it is still to be. Marking again what was marked already changes nothing.
    pub fn keep(&mut self, mut landed: Vec<Landed>) {
        self.end_mark(&landed);
        landed.append(&mut self.landed);
        self.landed = landed;
    }

    /// Letters are claimed from now on; a claim that looks far, or not.
    pub fn begin_claim(&mut self, far: bool) {
        (self.claimed_at, self.landed_since) = (Some(Instant::now()), 0);
        if far {
            self.looked_far_at = self.claimed_at;
        }
    }

    /// Whether a claim left letters that were due.
    pub fn learn(&mut self, left: bool) {
        self.has_all = !left;
    }

    /// These were claimed.
    pub fn take_in_hand(&mut self, claimed: impl IntoIterator<Item = Travelling>) {
        let now = Instant::now();
        for travelling in claimed {
            let urgency = |travelling: &Travelling| travelling.letter.stream.priority();
            let at = self.hand.partition_point(|(_, other)| urgency(other) <= urgency(&travelling));
            self.hand.insert(at, (now, travelling));
        }
    }

    /// The next letter in hand that may take off, with `open` connections: no more than two for each of them are ever sent and not marked, for so many may be
    /// sent again after a crash (RFC 1047).
    pub fn next(&mut self, limits: Limits, open: usize) -> Option<Travelling> {
        let flying = self.flying.len();
        let connections = open.max(flying + 1);
        if flying + 1 + doubtful(&self.landed) + self.marking > 2 * connections {
            return None;
        }
        let most = limits.reserve(limits.most.saturating_sub(flying)).1;
        let at = self.hand.iter().position(|(_, travelling)| self.domains.get(travelling.domain()).is_none_or(|&flying| flying < most))?;
        self.hand.remove(at).map(|(_, travelling)| travelling)
    }

    /// Sets a letter on its way.
    pub fn take_off(&mut self, travelling: Travelling, delivery: impl Future<Output = Fate> + Send + 'static) {
        *self.domains.entry(travelling.domain().to_owned()).or_default() += 1;
        let task = self.flying.spawn(delivery);
        self.letters.insert(task.id(), travelling);
    }

    /// Nothing in hand takes off any more: it is given back, with its attempt.
    pub fn lay_down(&mut self) {
        let hand = self.hand.drain(..).collect::<Vec<_>>();
        self.give_back(hand);
    }

    fn give_back(&mut self, hand: Vec<(Instant, Travelling)>) {
        self.has_all &= hand.is_empty();
        self.landed.extend(hand.into_iter().map(|(_, travelling)| (travelling, Fate::Back)));
    }

    /// Waits for a reply, and takes all others that are there meanwhile. Safe to be given up at any moment.
    pub async fn land(&mut self) {
        let mut next = self.flying.join_next_with_id().await;
        while let Some(joined) = next {
            let (id, fate) = match joined {
                Ok((id, fate)) => (id, fate),
                Err(died) => (died.id(), Fate::Later(format!("the delivery died: {died}"))),
            };
            if let Some(letter) = self.letters.remove(&id) {
                if let Some(flying) = self.domains.get_mut(letter.domain()) {
                    *flying -= 1;
                    if *flying == 0 {
                        self.domains.remove(letter.domain());
                    }
                }
                self.landed.push((letter, fate));
                self.landed_since += 1;
            }
            next = self.flying.try_join_next_with_id();
        }
    }
}

/// How many of these would be sent again after a crash.
fn doubtful(landed: &[Landed]) -> usize {
    landed.iter().filter(|(_, fate)| !matches!(fate, Fate::Back)).count()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{address::EmailAddress, breaker::Stream};

    const LIMITS: Limits = Limits { most: 32, per_domain: 20 };

    fn letters(count: usize, domain: &str, stream: Stream) -> Vec<Travelling> {
        let term = Arc::new(Term::new(7, Instant::now(), 0));
        let letter = |n| Claimed {
            id: Uuid::now_v7(),
            to: EmailAddress::parse(&format!("m{n}@{domain}")).ok(),
            reverse_path: String::new(),
            raw: Vec::new(),
            size: 1,
            attempts: 1,
            expires_at: DateTime::UNIX_EPOCH,
            stream,
            released: false,
            signature: Default::default(),
        };
        (0..count).map(|n| Travelling { letter: Arc::new(letter(n)), term: term.clone() }).collect()
    }

    /// As many as may take off with so many connections; none ends before it is told to.
    fn take_off(flight: &mut Flight, open: usize) -> usize {
        let before = flight.flying();
        while let Some(travelling) = flight.next(LIMITS, open) {
            flight.take_off(travelling, std::future::pending());
        }
        flight.flying() - before
    }

    /// What was done is done just now, however slow the machine that tests.
    fn just_now(flight: &mut Flight) {
        let later = Instant::now() + Duration::from_secs(60);
        flight.claimed_at = flight.claimed_at.map(|_| later);
        flight.hand.iter_mut().for_each(|(since, _)| *since = later);
    }

    #[tokio::test]
    async fn a_partners_letter_passes_a_hand_of_topics() {
        let mut flight = Flight::default();
        flight.take_in_hand(letters(30, "example.org", Stream::Topics));
        assert_eq!(take_off(&mut flight, 0), 20, "the others wait in hand");
        flight.take_in_hand(letters(1, "example.org", Stream::Relay));
        flight.take_in_hand(letters(1, "example.org", Stream::Answers));
        *flight.domains.get_mut("example.org").expect("twenty fly there") -= 3;
        let mut next = || flight.next(LIMITS, 20).map(|travelling| travelling.letter.stream);
        assert_eq!([next(), next(), next()], [Some(Stream::Relay), Some(Stream::Answers), Some(Stream::Topics)]);
    }

    #[tokio::test]
    async fn there_is_room_for_more_where_letters_land_fast_and_all_is_claimed_until_one_is_given_back() {
        let mut flight = Flight::default();
        flight.begin_claim(true);
        just_now(&mut flight);
        flight.learn(false);
        flight.landed_since = 15;
        assert_eq!((flight.ahead(LIMITS, 0), flight.room_ahead(LIMITS, 0)), (30, 120));
        flight.take_in_hand(letters(100, "example.org", Stream::Topics));
        assert_eq!((flight.ahead(LIMITS, 0), flight.room_ahead(LIMITS, 0)), (5, 20), "what is more urgent is claimed also with a full hand");
        flight.lay_down();
        assert!(!flight.has_all());
    }

    #[tokio::test]
    async fn what_waits_in_hand_for_a_domain_at_its_limit_takes_no_other_domains_place() {
        let mut flight = Flight::default();
        flight.take_in_hand(letters(50, "slow.example", Stream::Relay));
        assert_eq!((flight.able(LIMITS), take_off(&mut flight, 0), flight.able(LIMITS)), (20, 20, 0));
        flight.take_in_hand(letters(3, "example.org", Stream::Topics));
        assert_eq!((flight.able(LIMITS), take_off(&mut flight, 20)), (3, 3));
    }

    #[tokio::test]
    async fn no_more_than_two_letters_of_each_connection_are_ever_unmarked() {
        let (mut flight, mut marked) = (Flight::default(), Vec::new());
        flight.take_in_hand(letters(100, "example.org", Stream::Topics));
        just_now(&mut flight);
        for wave in 0..2 {
            while let Some(travelling) = flight.next(LIMITS, 20) {
                flight.take_off(travelling, std::future::ready(Fate::Sent(String::new())));
            }
            assert_eq!(flight.flying(), 20, "{wave}");
            while flight.flying() > 0 {
                flight.land().await;
            }
            marked.extend(flight.begin_mark());
        }
        assert_eq!(take_off(&mut flight, 20), 0, "forty are being marked");
        flight.keep(marked);
        assert_eq!(take_off(&mut flight, 20), 0, "the marks failed");
        let marked = flight.begin_mark();
        flight.end_mark(&marked[..1]);
        assert_eq!(flight.next(LIMITS, 20).iter().count(), 1, "one is marked");
    }

    #[tokio::test]
    async fn as_many_are_claimed_ahead_as_land_meanwhile_and_none_where_they_land_slowly() {
        let mut flight = Flight::default();
        assert_eq!(flight.ahead(LIMITS, 0), 0, "nothing has landed yet");
        flight.begin_claim(true);
        just_now(&mut flight);
        flight.landed_since = 15;
        assert_eq!(flight.ahead(LIMITS, 0), 30);
        flight.landed_since = 1000;
        assert_eq!(flight.ahead(LIMITS, 0), 64, "twice as many as may fly");
        flight.take_in_hand(letters(50, "example.org", Stream::Topics));
        assert_eq!((flight.ahead(LIMITS, 0), flight.ahead(LIMITS, 20)), (14, 34), "some are there, of which some can take off");
        flight.claimed_at = Instant::now().checked_sub(Duration::from_secs(10));
        flight.landed_since = 20;
        assert_eq!(flight.ahead(LIMITS, 0), 0);
    }

    #[test]
    fn the_last_quarter_of_the_places_is_for_domains_that_have_few() {
        assert_eq!((LIMITS.reserve(32), LIMITS.reserve(9), LIMITS.reserve(8), LIMITS.reserve(0)), ((24, 20), (1, 20), (8, 5), (0, 5)));
        assert_eq!(Limits { most: 4, per_domain: 2 }.reserve(1), (1, 2), "of few nothing is kept back");
    }
}
