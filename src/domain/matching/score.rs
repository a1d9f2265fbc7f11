//! How well somebody suits somebody else, in whole numbers, each traceable to a wish or a fact.
use serde::{Deserialize, Serialize};

use super::applicant::SectorWish;
use super::profile::{Profile, Set, asks, holds};
use super::roster::Roster;
use super::weights::{FULL, Weights};

/// A kind of wish that people state about their partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Countries or regions: the partner lives in one of them.
    Place,
    /// The own sector, or another.
    Sector,
    /// The own stage of the career, an earlier or a later one.
    Stage,
    /// Languages: the partner speaks one of them.
    Languages,
    /// Roles: the partner has one of them.
    Roles,
    /// Interests: the partner has one of them.
    Interests,
    /// People: the partner is one of them, and wished the same.
    People,
}

impl Wish {
    /// Each kind, in the order in which they are told.
    pub const ALL: [Wish; 7] = [Wish::People, Wish::Place, Wish::Languages, Wish::Sector, Wish::Roles, Wish::Stage, Wish::Interests];

    /// What it is about, for coordinators.
    pub fn about(self) -> &'static str {
        match self {
            Self::Place => "country or region",
            Self::Sector => "sector",
            Self::Stage => "stage",
            Self::Languages => "languages",
            Self::Roles => "role",
            Self::Interests => "interests",
            Self::People => "a named person",
        }
    }

    fn weight(self, weights: &Weights) -> u32 {
        match self {
            Self::Place => weights.place,
            Self::Sector => weights.sector,
            Self::Stage => weights.stage,
            Self::Languages => weights.languages,
            Self::Roles => weights.roles,
            Self::Interests => weights.interests,
            Self::People => weights.people,
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Place => asks::PLACE,
            Self::Sector => asks::SECTOR,
            Self::Stage => asks::STAGE,
            Self::Languages => asks::LANGUAGES,
            Self::Roles => asks::ROLES,
            Self::Interests => asks::INTERESTS,
            Self::People => asks::PEOPLE,
        }
    }
}

/// What points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A wish that is met.
    Wish(Wish),
    /// The person left the choice to us: no wish that counts.
    NoWish,
    /// Interests in common.
    Interests,
    /// The same rhythm.
    Rhythm,
    /// A way of being in contact that both like.
    Ways,
    /// The partner speaks a language that the person learns.
    Learning,
    /// Hours of the day in which both are awake.
    Hours,
}

/// Points, and what they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    /// What they come from.
    pub of: Source,
    /// How many.
    pub points: u32,
}

/// What a pair is worth beyond its satisfactions where it stood in an earlier answer: so much must be won elsewhere before two people who were
/// told of each other, or whom a coordinator looked at, are parted.
pub const KEPT: i64 = 200;

impl Roster<'_> {
    /// Whether `with` is what `who` wished in this respect; `None` where `who` has no such wish. A fact that is unknown meets no wish.
    pub fn meets(&self, wish: Wish, who: usize, with: usize) -> Option<bool> {
        let (own, other) = (&self.profiles[who], &self.profiles[with]);
        (own.asks & wish.bit() != 0).then(|| match wish {
            Wish::Place => own.has(Set::WishesPlaces, other.country),
            Wish::Sector => meets_sector(own, other),
            Wish::Stage => own.stages_wished & other.stage != 0,
            Wish::Languages => own.meets(Set::WishesLanguages, other, Set::Speaks),
            Wish::Roles => own.has(Set::WishesRoles, other.role),
            Wish::Interests => own.meets(Set::WishesInterests, other, Set::Likes),
            // Counted only where both agree, so that nobody is matched with somebody who would rather write with others.
            Wish::People => holds(&own.mutual, with),
        })
    }

    /// How satisfied `who` would be with `with`: 0 to 1000.
    pub fn satisfaction(&self, who: usize, with: usize) -> u32 {
        self.directed(who, with) + self.common(&self.profiles[who], &self.profiles[with])
    }

    /// What two people are worth to the match as partners; `None` where a rule keeps them apart. It is the sum of both satisfactions, each bent so that the
    /// same gain counts more for somebody badly served than for somebody well served (a full one is 1000, none 0): 0 to 2000; and [`KEPT`] for a pair to keep.
    #[inline]
    pub fn worth_if_allowed(&self, a: usize, b: usize) -> Option<i64> {
        self.may_meet(a, b).then(|| self.worth(a, b))
    }

    /// As [`Self::worth_if_allowed`], whatever the rules say.
    #[inline]
    pub fn worth(&self, a: usize, b: usize) -> i64 {
        let bent = |satisfaction: u32| {
            let missing = FULL.saturating_sub(satisfaction);
            i64::from(FULL - missing * missing / FULL)
        };
        let (one, other) = (&self.profiles[a], &self.profiles[b]);
        let common = self.common(one, other);
        let kept = if holds(&one.kept, b) { KEPT } else { 0 };
        bent(self.directed(a, b) + common) + bent(self.directed(b, a) + common) + kept
    }

    /// What a satisfaction is made of; its sum is the satisfaction.
    pub fn points(&self, who: usize, with: usize) -> Vec<Points> {
        let (own, other, weights) = (&self.profiles[who], &self.profiles[with], self.weights);
        let mut points = Vec::new();
        let mut add = |of, number| {
            if number > 0 {
                points.push(Points { of, points: number });
            }
        };
        add(Source::NoWish, own.given);
        // Shares are rounded as one, so that they add up.
        let mut met = 0;
        for wish in Wish::ALL.into_iter().filter(|&wish| self.meets(wish, who, with) == Some(true)) {
            let before = share(own, met);
            met += wish.weight(weights);
            add(Source::Wish(wish), share(own, met) - before);
        }
        add(Source::Learning, if own.meets(Set::Learns, other, Set::Speaks) { weights.learning } else { 0 });
        for (of, number) in self.common_points(own, other) {
            add(of, number);
        }
        points
    }

    /// Points that depend on the direction: for wishes that are met, and for a language being learnt.
    #[inline]
    fn directed(&self, who: usize, with: usize) -> u32 {
        let (own, other, weights) = (&self.profiles[who], &self.profiles[with], self.weights);
        // Without branches where most people have the wish; the sets of those who have it not are empty.
        let mut met = weights.place * u32::from(own.has(Set::WishesPlaces, other.country));
        met += weights.sector * u32::from(meets_sector(own, other));
        met += weights.stage * u32::from(own.stages_wished & other.stage != 0);
        met += weights.interests * u32::from(own.meets(Set::WishesInterests, other, Set::Likes));
        if own.asks & (asks::LANGUAGES | asks::ROLES | asks::PEOPLE) != 0 {
            met += weights.languages * u32::from(own.meets(Set::WishesLanguages, other, Set::Speaks));
            met += weights.roles * u32::from(own.has(Set::WishesRoles, other.role));
            met += weights.people * u32::from(holds(&own.mutual, with));
        }
        let learning = weights.learning * u32::from(own.meets(Set::Learns, other, Set::Speaks));
        own.given + share(own, met) + learning
    }

    /// Points for what two people have in common.
    #[inline]
    fn common(&self, one: &Profile, other: &Profile) -> u32 {
        self.common_points(one, other).into_iter().map(|(_, points)| points).sum()
    }

    #[inline]
    fn common_points(&self, one: &Profile, other: &Profile) -> [(Source, u32); 4] {
        let weights = self.weights;
        let hours = self.hours[usize::from(one.clock) * self.number_of_clocks() + usize::from(other.clock)];
        [
            (Source::Interests, weights.shared_interest * one.shares(Set::Likes, other, Set::Likes, weights.most_shared_interests)),
            (Source::Rhythm, weights.same_rhythm * u32::from(one.rhythm.is_some() && one.rhythm == other.rhythm)),
            (Source::Ways, weights.same_way * u32::from(one.ways & other.ways != 0)),
            (Source::Hours, u32::from(hours)),
        ]
    }
}

#[inline]
fn meets_sector(own: &Profile, other: &Profile) -> bool {
    let known = own.sector.is_some() && other.sector.is_some();
    match own.sector_wished {
        SectorWish::Any => false,
        SectorWish::Same => known && own.sector == other.sector,
        SectorWish::Different => known && own.sector != other.sector,
    }
}

/// Prepares what somebody's wishes are worth: `stated` together, shared out by their weights; all of it without wishes that count.
pub(super) fn set_shares(profile: &mut Profile, weights: &Weights) {
    let asked: u64 = Wish::ALL.into_iter().filter(|wish| profile.asks & wish.bit() != 0).map(|wish| u64::from(wish.weight(weights))).sum();
    // `met / asked` as a multiplication: exact, since `stated · met` times `asked` stays far below 2^40.
    (profile.given, profile.per_weight) = match asked {
        0 => (weights.stated, 0),
        _ => (0, (u64::from(weights.stated) << 40).div_ceil(asked)),
    };
}

#[inline]
fn share(profile: &Profile, met: u32) -> u32 {
    ((u64::from(met) * profile.per_weight) >> 40) as u32
}

#[cfg(test)]
mod tests {
    use super::super::{Decision, LIBRARIES, Past, Verdict, generate, read_applicants};
    use super::*;

    /// What `a` thinks of `b`.
    fn satisfaction(a: &str, b: &str) -> u32 {
        let people = read_applicants(&format!("{{\"id\": \"a\", {a}}}\n{{\"id\": \"b\", {b}}}"), &LIBRARIES).expect("good lines");
        Roster::new(&people, &[], &[], &[], &Weights::default()).satisfaction(0, 1)
    }

    #[test]
    fn each_wish_that_is_met_counts_by_its_weight_among_those_stated() {
        let asks = r#""sector": "public", "stage": "new", "prefers": {"regions": ["419"], "sector": "different", "stage": "more"}"#;
        assert_eq!(satisfaction(asks, r#""country": "PE", "sector": "academic", "stage": "mid""#), 600);
        assert_eq!(satisfaction(asks, r#""country": "PE", "sector": "public", "stage": "new""#), 600 * 3 / 7);
        assert_eq!(satisfaction(asks, r#""country": "FR", "sector": "academic", "stage": "new""#), 600 * 2 / 7);
        assert_eq!(satisfaction(asks, r#""name": "unknown""#), 0);
        assert_eq!(satisfaction(r#""name": "asks for nothing""#, r#""name": "unknown""#), 600);
    }

    #[test]
    fn wishes_for_languages_roles_and_interests_are_met_by_one_of_them() {
        let asks = r#""prefers": {"languages": ["es", "pt"], "roles": ["Archivist"], "interests": ["rare books", "maps"]}"#;
        assert_eq!(satisfaction(asks, r#""languages": ["pt-BR"], "role": "chief archivist", "interests": ["Maps"]"#), 600);
        assert_eq!(satisfaction(asks, r#""learning": ["es"], "role": "archives assistant", "interests": ["chess"]"#), 0);
    }

    #[test]
    fn a_named_person_counts_only_where_both_named_each_other() {
        assert_eq!(satisfaction(r#""prefers": {"people": ["b"]}"#, r#""prefers": {"people": ["a"]}"#), 600);
        assert_eq!(satisfaction(r#""prefers": {"people": ["b"]}"#, r#""name": "B""#), 0);
        assert_eq!(satisfaction(r#""prefers": {"people": ["not here"]}"#, r#""name": "B""#), 0);
    }

    #[test]
    fn what_two_people_share_adds_up_to_full_satisfaction() {
        let one = r#""interests": ["a", "b", "c", "d", "e"], "rhythm": "weekly", "ways": ["calls"], "timezone": "Europe/Paris", "learning": ["fr"]"#;
        let other =
            r#""interests": ["a", "b", "c", "d", "e"], "rhythm": "weekly", "ways": ["letters", "calls"], "timezone": "Europe/Berlin", "languages": ["fr"]"#;
        assert_eq!(satisfaction(one, other), 1000);
        assert_eq!(satisfaction(r#""interests": ["a", "b"]"#, other), 600 + 80);
    }

    #[test]
    fn the_same_time_of_day_counts_and_its_opposite_does_not() {
        assert_eq!(satisfaction(r#""timezone": "Etc/UTC""#, r#""timezone": "Etc/UTC""#), 700);
        assert_eq!(satisfaction(r#""timezone": "Etc/UTC""#, r#""timezone": "Etc/GMT-12""#), 600);
        assert_eq!(satisfaction(r#""timezone": "Etc/GMT+11""#, r#""timezone": "Etc/GMT-12""#), 687);
        assert_eq!(satisfaction(r#""timezone": "Etc/GMT+4""#, r#""timezone": "Etc/GMT-4""#), 600, "no more hours in common than anybody has");
    }

    #[test]
    fn every_point_is_traced_to_a_wish_or_a_fact() {
        let uneven = Weights { stated: 601, place: 5, sector: 3, roles: 7, shared_interest: 39, ..Weights::default() };
        for (seed, weights) in [(1, &Weights::default()), (2, &uneven)] {
            let mut people = generate::applicants(120, seed);
            (people[3].prefers.people, people[4].prefers.people) = (vec!["p5".into()], vec!["p4".into(), "p9".into()]);
            let roster = Roster::new(&people, &[], &[], &[], weights);
            let mut sources = Vec::new();
            for (who, with) in roster.positions().flat_map(|who| roster.positions().map(move |with| (who, with))).filter(|(who, with)| who != with) {
                let points = roster.points(who, with);
                assert_eq!(points.iter().map(|part| part.points).sum::<u32>(), roster.satisfaction(who, with), "{points:?}");
                sources.extend(points.into_iter().map(|part| part.of).filter(|of| !sources.contains(of)).collect::<Vec<_>>());
            }
            assert_eq!(sources.len(), Wish::ALL.len() + 6, "each source gives points to somebody: {sources:?}");
        }
    }

    #[test]
    fn what_may_be_matched_is_what_no_barrier_keeps_apart() {
        let people = generate::applicants(150, 4);
        let past: Vec<Past> = (1..150).map(|index| Past { a: format!("p{index}"), b: format!("p{}", 1 + index * 7 % 150) }).collect();
        let veto = [Decision { a: "p3".into(), b: "p8".into(), decision: Verdict::Veto }];
        let weights = Weights::default();
        let roster = Roster::new(&people, &past, &veto, &[], &weights);
        for (a, b) in roster.positions().flat_map(|a| roster.positions().map(move |b| (a, b))).filter(|(a, b)| a != b) {
            assert_eq!(roster.may_meet(a, b), roster.barrier(a, b).is_none(), "{a} {b}");
            assert_eq!(roster.worth(a, b), roster.worth(b, a));
        }
    }

    #[test]
    fn a_pair_to_keep_is_worth_more_and_no_more_than_said() {
        let people = read_applicants("{\"id\": \"a\"}\n{\"id\": \"b\"}\n{\"id\": \"c\"}", &LIBRARIES).expect("good lines");
        let (kept, weights) = ([Past { a: "b".into(), b: "a".into() }], Weights::default());
        let roster = Roster::new(&people, &[], &[], &kept, &weights);
        assert_eq!((roster.worth(0, 1), roster.worth(1, 0)), (roster.worth(0, 2) + KEPT, roster.worth(1, 2) + KEPT));
    }

    #[test]
    fn a_gain_counts_more_for_the_badly_served() {
        let people = read_applicants("{\"id\": \"a\"}\n{\"id\": \"b\"}", &LIBRARIES).expect("good lines");
        let roster = |weights| -> i64 { Roster::new(&people, &[], &[], &[], weights).worth(0, 1) };
        let weights = |stated| Weights { stated, ..Weights::default() };
        assert_eq!((roster(&weights(0)), roster(&weights(500)), roster(&weights(1000))), (0, 2 * 750, 2000));
    }
}
