//! How much each wish and each thing in common counts: the section `[matching]` of a programme file.
use serde::{Deserialize, Serialize};

/// Whole numbers all. A person's satisfaction with a partner is made of two parts, together 0 to 1000: the wishes that are met
/// (`stated`, divided by the weights of the wishes that the person has; all of it where there is no wish), and what the two have in
/// common (the rest, in points that add up).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// What the stated wishes are worth together, at most 1000.
    pub stated: u32,
    /// Weight of the wish for a country or region.
    pub place: u32,
    /// Weight of the wish about the sector.
    pub sector: u32,
    /// Weight of the wish about the stage.
    pub stage: u32,
    /// Weight of the wish for a language.
    pub languages: u32,
    /// Weight of the wish for a role.
    pub roles: u32,
    /// Weight of the wish for an interest.
    pub interests: u32,
    /// Weight of the wish for a person, met where both name each other.
    pub people: u32,
    /// Points for each interest in common, up to `most_shared_interests`.
    pub shared_interest: u32,
    /// Beyond so many, interests in common add nothing.
    pub most_shared_interests: u32,
    /// Points for the same rhythm.
    pub same_rhythm: u32,
    /// Points for a way of being in contact that both like.
    pub same_way: u32,
    /// Points for a partner who speaks a language that one is learning.
    pub learning: u32,
    /// Points for being awake at the same hours; eight hours apart or more is worth none, and what lies between in proportion.
    pub waking_hours: u32,
    /// Whether somebody left over joins a pair, so that three people write to each other; else the person waits for the next round.
    pub trios: bool,
}

impl Default for Weights {
    /// Those of the librarians' exchange.
    fn default() -> Self {
        Self {
            stated: 600,
            place: 3,
            sector: 2,
            stage: 2,
            languages: 2,
            roles: 2,
            interests: 2,
            people: 6,
            shared_interest: 40,
            most_shared_interests: 4,
            same_rhythm: 60,
            same_way: 40,
            learning: 40,
            waking_hours: 100,
            trios: false,
        }
    }
}

/// Satisfaction with a partner who is all that somebody could wish for.
pub const FULL: u32 = 1000;

impl Weights {
    /// Reads the section `[matching]` of a programme file; what it doesn't name is as in the librarians' exchange.
    ///
    /// # Errors
    /// One line that says what is wrong, for the person who wrote the programme file.
    pub fn read(section: &toml::Table) -> Result<Self, String> {
        let in_one_line = |error: toml::de::Error| format!("[matching]: {}", error.message());
        let weights: Self = section.clone().try_into().map_err(in_one_line)?;
        weights.check()?;
        Ok(weights)
    }

    /// Whether the numbers are usable: what can be reached is at most [`FULL`], and no single number is out of all proportion.
    ///
    /// # Errors
    /// One line that says which number is wrong, for the person who wrote the programme file.
    pub fn check(&self) -> Result<(), String> {
        let wishes = [self.place, self.sector, self.stage, self.languages, self.roles, self.interests, self.people];
        if wishes.iter().any(|&weight| weight > FULL) {
            return Err(format!("[matching]: the weight of a wish is at most {FULL}"));
        }
        let interests = u64::from(self.shared_interest) * u64::from(self.most_shared_interests);
        let points = [self.stated, self.same_rhythm, self.same_way, self.learning, self.waking_hours].map(u64::from);
        let reachable = interests + points.iter().sum::<u64>();
        if reachable > u64::from(FULL) {
            return Err(format!("[matching]: stated wishes and all points add up to {reachable}, and must not exceed {FULL}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarians_weights_reach_full_satisfaction_and_not_more() {
        let weights = Weights::default();
        assert_eq!(weights.check(), Ok(()));
        assert!(Weights { stated: weights.stated + 1, ..weights }.check().is_err_and(|line| line.contains("add up to 1001")));
    }

    #[test]
    fn the_shipped_programme_says_what_holds_without_one() {
        let programme: toml::Table = include_str!("../../../templates/programmes/librarians.toml").parse().expect("TOML");
        let section = programme["matching"].as_table().expect("a section");
        assert_eq!(Weights::read(section), Ok(Weights::default()));
    }

    #[test]
    fn a_programme_file_names_only_what_it_changes_and_misspells_nothing() {
        let read = |text: &str| Weights::read(&text.parse().expect("TOML"));
        assert_eq!(read("place = 5\ntrios = true"), Ok(Weights { place: 5, trios: true, ..Weights::default() }));
        assert!(read("plaice = 5").is_err_and(|line| line.starts_with("[matching]: unknown field `plaice`") && !line.contains('\n')));
        assert!(read("stated = 900").is_err_and(|line| line.contains("must not exceed")));
    }
}
