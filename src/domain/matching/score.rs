//! How well somebody suits somebody else, in whole numbers, each traceable to a wish or a fact.
use super::applicant::{SectorWish, StageWish};
use super::roster::Roster;
use super::rules::{in_common, meet};
use super::weights::{FULL, Weights};

/// A kind of wish that people state about their partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Roster<'_> {
    /// Whether `with` is what `who` wished in this respect; `None` where `who` has no such wish. A fact that is unknown meets no wish.
    pub fn meets(&self, wish: Wish, who: usize, with: usize) -> Option<bool> {
        let (own, other) = (&self.profiles[who], &self.profiles[with]);
        let wishes = &own.wishes;
        match wish {
            Wish::Place => wishes.countries.as_ref().map(|wished| other.country.is_some_and(|country| wished[country])),
            Wish::Sector => match (wishes.sector, own.sector, other.sector) {
                (SectorWish::Any, _, _) => None,
                (SectorWish::Same, Some(own), Some(other)) => Some(own == other),
                (SectorWish::Different, Some(own), Some(other)) => Some(own != other),
                (SectorWish::Same | SectorWish::Different, _, _) => Some(false),
            },
            Wish::Stage => match (wishes.stage, own.stage, other.stage) {
                (StageWish::Any, _, _) => None,
                (StageWish::Same, Some(own), Some(other)) => Some(other == own),
                (StageWish::More, Some(own), Some(other)) => Some(other > own),
                (StageWish::Less, Some(own), Some(other)) => Some(other < own),
                (StageWish::Same | StageWish::More | StageWish::Less, _, _) => Some(false),
            },
            Wish::Languages => (!wishes.languages.is_empty()).then(|| meet(&wishes.languages, &other.languages)),
            Wish::Roles => wishes.roles.as_ref().map(|wished| other.role.is_some_and(|role| wished[role])),
            Wish::Interests => (!wishes.interests.is_empty()).then(|| meet(&wishes.interests, &other.interests)),
            // Told and counted only where both agree, so that neither learns who named them, nor whether the named one is there.
            Wish::People => wishes.asks_people.then(|| wishes.people.contains(&(with as u32)) && other.wishes.people.contains(&(who as u32))),
        }
    }

    /// How satisfied `who` would be with `with`: 0 to 1000.
    pub fn satisfaction(&self, who: usize, with: usize) -> u32 {
        (self.stated(who, with) + self.common(who, with)).min(FULL)
    }

    /// What a pair is worth: the sum of both satisfactions, each bent so that the same gain counts more for somebody badly served than
    /// for somebody well served (a full one is 1000, none 0): 0 to 2000.
    pub fn worth(&self, a: usize, b: usize) -> i64 {
        let bent = |satisfaction: u32| {
            let missing = i64::from(FULL - satisfaction);
            i64::from(FULL) - missing * missing / i64::from(FULL)
        };
        bent(self.satisfaction(a, b)) + bent(self.satisfaction(b, a))
    }

    /// The share of the stated wishes that is met, by their weights; all of it for somebody without wishes.
    fn stated(&self, who: usize, with: usize) -> u32 {
        let (mut asked, mut met) = (0, 0);
        for wish in Wish::ALL {
            if let Some(is_met) = self.meets(wish, who, with) {
                let weight = wish.weight(self.weights);
                asked += weight;
                met += if is_met { weight } else { 0 };
            }
        }
        // Wishes that the programme gives no weight count like none.
        (self.weights.stated * met).checked_div(asked).unwrap_or(self.weights.stated)
    }

    /// Points for what the two have in common.
    fn common(&self, who: usize, with: usize) -> u32 {
        let (own, other, weights) = (&self.profiles[who], &self.profiles[with], self.weights);
        let mut points = weights.shared_interest * in_common(&own.interests, &other.interests, weights.most_shared_interests);
        if own.rhythm.is_some() && own.rhythm == other.rhythm {
            points += weights.same_rhythm;
        }
        if own.ways.iter().any(|way| other.ways.contains(way)) {
            points += weights.same_way;
        }
        if meet(&own.learning, &other.languages) {
            points += weights.learning;
        }
        if let Some(apart) = self.minutes_apart(who, with) {
            points += weights.waking_hours * (HALF_A_DAY - apart) / HALF_A_DAY;
        }
        points
    }

    /// By how many minutes the clocks of two people differ, on average over the year; 0 to 720. `None` where a time zone is unknown.
    pub fn minutes_apart(&self, a: usize, b: usize) -> Option<u32> {
        let (one, other) = (self.profiles[a].clock?, self.profiles[b].clock?);
        let apart = |season: usize| {
            let difference = one[season].abs_diff(other[season]) % (2 * HALF_A_DAY);
            difference.min(2 * HALF_A_DAY - difference)
        };
        Some((apart(0) + apart(1)) / 2)
    }
}

const HALF_A_DAY: u32 = 12 * 60;

#[cfg(test)]
mod tests {
    use super::super::{LIBRARIES, read_applicants};
    use super::*;

    /// What `a` thinks of `b`.
    fn satisfaction(a: &str, b: &str) -> u32 {
        let people = read_applicants(&format!("{{\"id\": \"a\", {a}}}\n{{\"id\": \"b\", {b}}}"), &LIBRARIES).expect("good lines");
        Roster::new(&people, &[], &[], &Weights::default()).satisfaction(0, 1)
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
        assert_eq!(satisfaction(r#""timezone": "Etc/GMT+11""#, r#""timezone": "Etc/GMT-12""#), 691);
    }

    #[test]
    fn a_gain_counts_more_for_the_badly_served() {
        let people = read_applicants("{\"id\": \"a\"}\n{\"id\": \"b\"}", &LIBRARIES).expect("good lines");
        let roster = |weights| -> i64 { Roster::new(&people, &[], &[], weights).worth(0, 1) };
        let weights = |stated| Weights { stated, ..Weights::default() };
        assert_eq!((roster(&weights(0)), roster(&weights(500)), roster(&weights(1000))), (0, 2 * 750, 2000));
    }
}
