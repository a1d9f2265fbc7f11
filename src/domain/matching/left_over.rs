//! Why somebody has no partner: in words for that person, and with names and all rules for coordinators.
use serde::{Deserialize, Serialize};

use super::alternating::{Search, Tree, search};
use super::applicant::Exclusions;
use super::explain::{Explainer, Hindrance};
use super::phrases::{and, counted, or, place_names};
use super::places::Places;

/// Those who compete for too few possible partners, as coordinators may know it: all rules count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The identifiers of those who compete, this person among them.
    pub rivals: Vec<String>,
    /// The identifiers of those whom they compete for; beyond them they have at most each other.
    pub scarce: Vec<String>,
    /// Exclusions of this person of which any one, taken back, would bring a partner.
    pub freed_by: Exclusions,
}

/// The pairs that a match has made, from the point of view of places.
pub(super) struct Standing<'a> {
    pub places: &'a Places<'a>,
    /// The mate of each place.
    pub mates: Vec<Option<usize>>,
    /// Places that a coordinator gave away.
    pub fixed: Vec<bool>,
    /// How many people are left over in all.
    pub left_over: usize,
}

/// What grew from the place of somebody left over; no tree where it would be too large.
pub(super) struct Grown {
    person: usize,
    root: usize,
    tree: Option<Tree>,
}

/// A tree larger than this explains nothing to anybody.
const MOST: usize = 60;

impl Explainer<'_> {
    /// Why somebody has no partner, to follow "because". Each step looks at facts, at what this person excluded and whom this person wrote with before;
    /// what others wish or exclude is never a step, nor what coordinators decided.
    pub(super) fn why_unmatched(&self, who: usize, standing: &Standing) -> String {
        let (aside, person) = (self.aside(who), self.roster.people[who]);
        let hindrances: Vec<Option<Hindrance>> = self.others(who).map(|other| self.hindrance(who, other)).collect();
        let free = |beyond: &[Hindrance]| hindrances.iter().any(|hindrance| hindrance.is_none_or(|hindrance| !beyond.contains(&hindrance)));
        use Hindrance::{EarlierPartners, LeftOut, NoCommonLanguage, SameOrganisation};
        let left_out = || or(&place_names(&person.excludes.countries, &person.excludes.regions));
        if hindrances.is_empty() {
            return format!("{aside}nobody else takes part in this round");
        }
        if person.languages.is_empty() {
            return "we don't know which languages you speak, and partners need one in common".to_owned();
        }
        if !free(&[NoCommonLanguage]) {
            return format!("{aside}nobody in this round shares a language with you");
        }
        if !free(&[NoCommonLanguage, SameOrganisation, EarlierPartners]) {
            let known: Vec<String> = [(SameOrganisation, "works at your own organisation"), (EarlierPartners, "was your partner before")]
                .into_iter()
                .filter(|(hindrance, _)| hindrances.contains(&Some(*hindrance)))
                .map(|(_, words)| words.to_owned())
                .collect();
            return format!("{aside}everybody in this round who shares a language with you {}", or(&known));
        }
        if !free(&[NoCommonLanguage, SameOrganisation, EarlierPartners, LeftOut]) {
            let place = left_out();
            return format!("{aside}everybody in this round who could be your partner is in {place}, and you asked us not to look there");
        }
        let why = self.for_want_of_partners(who, standing);
        match hindrances.iter().filter(|hindrance| **hindrance == Some(LeftOut)).count() {
            0 => format!("{aside}{why}"),
            more => format!("{aside}{why}; if you had not asked us to leave out {}, there would have been {} more to choose from", left_out(), counted(more)),
        }
    }

    /// Why there was nobody among those whom facts allow.
    fn for_want_of_partners(&self, who: usize, standing: &Standing) -> String {
        let crowded = "there were not enough people in this round to find a fitting partner for everybody".to_owned();
        let odd = standing.left_over == 1 && self.roster.people.len() % 2 == 1;
        let named: Vec<bool> = {
            let mut named = vec![true; self.roster.people.len()];
            self.others(who).chain([who]).for_each(|other| named[other] = false);
            named
        };
        // Facts, and at this person's own pairs what this person knows: the tree is the same whatever others wished or excluded.
        let adjacent = |one: usize, other: usize| {
            let (a, b) = (standing.places.owner(one as u32), standing.places.owner(other as u32));
            let own = a == who || b == who;
            let fits = a != b && !named[a] && !named[b] && self.roster.may_write(a, b) && !self.roster.are_colleagues(a, b);
            fits && (!own || self.hindrance(who, if a == who { b } else { a }).is_none())
        };
        let Some(root) = standing.free_place_of(who) else { return crowded };
        match search(root, &standing.mates, MOST, adjacent) {
            Search::Stuck(tree) if !(odd && tree.outer.len() + 1 >= self.roster.people.len()) => self.in_numbers(&tree, standing),
            Search::Stuck(_) | Search::TooLarge if odd => "an odd number of people could be matched, so that one had to be left over".to_owned(),
            Search::Stuck(_) | Search::TooLarge | Search::Augments => crowded,
        }
    }

    /// A witness in numbers alone.
    fn in_numbers(&self, tree: &Tree, standing: &Standing) -> String {
        let (rivals, scarce) = (standing.people(&tree.outer).len(), standing.people(&tree.inner).len());
        match (scarce, tree.groups == tree.outer.len()) {
            (0, _) => format!(
                "you are one of {rivals} people who, by language and place of work, could be matched only with each other, and {rivals} is an odd number"
            ),
            (1, true) => format!("you are one of {rivals} people for whom, by language and place of work, there was only the same one partner"),
            (_, true) => format!("you are one of {rivals} people for whom, by language and place of work, there were only the same {scarce} partners"),
            (_, false) => format!(
                "you are one of {rivals} people in {} small groups who, by language and place of work, could be matched beyond their group only with the same {}, and there is an odd number in each group",
                tree.groups,
                counted(scarce)
            ),
        }
    }

    /// What depends on what by all rules, of each person who is left over.
    pub(super) fn grow(&self, left: &[usize], standing: &Standing) -> Vec<Grown> {
        let grown = left.iter().filter_map(|&person| {
            let root = standing.free_place_of(person)?;
            let tree = match search(root, &standing.mates, MOST, |one, other| standing.allows(one, other)) {
                Search::Stuck(tree) => Some(tree),
                Search::TooLarge | Search::Augments => None,
            };
            Some(Grown { person, root, tree })
        });
        grown.collect()
    }

    /// The witness for coordinators, by all rules; `None` where it would be too large to be of use.
    pub(super) fn witness(&self, who: usize, standing: &Standing, grown: &[Grown]) -> Option<Witness> {
        let ids = |places: &[usize]| standing.people(places).into_iter().map(|person| self.roster.people[person].id.clone()).collect();
        let tree = grown.iter().find(|grown| grown.person == who).and_then(|grown| grown.tree.as_ref());
        let freed_by = self.freed_by(who, standing, grown);
        if tree.is_none() && freed_by == Exclusions::default() {
            return None;
        }
        let (rivals, scarce) = tree.map(|tree| (ids(&tree.outer), ids(&tree.inner))).unwrap_or_default();
        Some(Witness { rivals, scarce, freed_by })
    }

    /// This person's exclusions of which one, taken back, would bring a partner: it leads to somebody else who is left over, or to somebody whose partner could
    /// have another.
    fn freed_by(&self, who: usize, standing: &Standing, grown: &[Grown]) -> Exclusions {
        let excludes = &self.roster.people[who].excludes;
        let others = grown.iter().filter(|grown| grown.person != who);
        let ends: Vec<usize> = others.flat_map(|grown| grown.tree.as_ref().map_or(std::slice::from_ref(&grown.root), |tree| &tree.outer)).copied().collect();
        let ends: Vec<usize> = standing.people(&ends).into_iter().filter(|&other| other != who).collect();
        let frees = |exclusion: &Exclusions| ends.iter().any(|&other| !self.roster.may_meet(who, other) && self.roster.may_meet_but_for(who, other, exclusion));
        let only = |countries: &[String], regions: &[String], people: &[String]| {
            frees(&Exclusions { countries: countries.to_vec(), regions: regions.to_vec(), people: people.to_vec() })
        };
        let each = std::slice::from_ref;
        Exclusions {
            countries: excludes.countries.iter().filter(|one| only(each(one), &[], &[])).cloned().collect(),
            regions: excludes.regions.iter().filter(|one| only(&[], each(one), &[])).cloned().collect(),
            people: excludes.people.iter().filter(|one| only(&[], &[], each(one))).cloned().collect(),
        }
    }
}

impl Standing<'_> {
    /// Whether two places may be a pair.
    fn allows(&self, one: usize, other: usize) -> bool {
        !self.fixed[one] && !self.fixed[other] && self.places.worth(one as u32, other as u32).is_some()
    }

    /// The first place of a person that has no mate.
    pub fn free_place_of(&self, person: usize) -> Option<usize> {
        (0..self.mates.len()).find(|&place| self.mates[place].is_none() && self.places.owner(place as u32) == person)
    }

    /// Whose places these are, each person once.
    fn people(&self, places: &[usize]) -> Vec<usize> {
        let mut people: Vec<usize> = places.iter().map(|&place| self.places.owner(place as u32)).collect();
        people.sort_unstable();
        people.dedup();
        people
    }
}

impl Witness {
    /// In words for coordinators; `called` gives the name of an identifier.
    pub fn in_words(&self, called: impl Fn(&str) -> String) -> String {
        const SHOWN: usize = 8;
        let list = |ids: &[String]| {
            let mut names: Vec<String> = ids.iter().take(SHOWN).map(|id| called(id)).collect();
            if ids.len() > SHOWN {
                names.push(format!("{} more", ids.len() - SHOWN));
            }
            and(&names).unwrap_or_default()
        };
        let mut words = match (self.rivals.len(), self.scarce.len()) {
            (0, _) => String::new(),
            (1, 0) => "the rules leave nobody for this person".to_owned(),
            (_, 0) => format!("{} could be matched only with each other, and are an odd number", list(&self.rivals)),
            (_, _) => format!("{} compete for {}", list(&self.rivals), list(&self.scarce)),
        };
        let Exclusions { countries, regions, people } = &self.freed_by;
        let exclusions: Vec<String> = place_names(countries, regions).into_iter().chain(people.iter().map(|person| called(person))).collect();
        if !exclusions.is_empty() {
            let between = if words.is_empty() { "" } else { "; " };
            words.push_str(&format!("{between}a partner could be had if this person took back “not with {}”", or(&exclusions)));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, LIBRARIES, Matching, Unmatched, Weights, match_round, read_applicants};

    fn matched(lines: &[&str]) -> Matching {
        let people = read_applicants(&lines.join("\n"), &LIBRARIES).expect("good lines");
        match_round(&Input::new(&people, &Weights::default(), 1)).expect("a match")
    }

    fn left(matching: &Matching) -> Vec<(&str, &str, String)> {
        let witness = |left: &Unmatched| left.witness.as_ref().map(|witness| witness.in_words(str::to_uppercase)).unwrap_or_default();
        matching.unmatched.iter().map(|one| (one.id.as_str(), one.why.as_str(), witness(one))).collect()
    }

    #[test]
    fn those_who_compete_for_one_are_told_how_many_and_coordinators_who() {
        let matching = matched(&[
            r#"{"id": "aino", "languages": ["fi"], "organisation": "Y"}"#,
            r#"{"id": "eero", "languages": ["fi"], "interests": ["maps"], "organisation": "Y"}"#,
            r#"{"id": "kaisa", "languages": ["fi", "en"], "interests": ["maps"], "organisation": "X"}"#,
            r#"{"id": "lou", "languages": ["en"], "organisation": "x"}"#,
            r#"{"id": "mia", "languages": ["en"]}"#,
        ]);
        let why = "you are one of 2 people for whom, by language and place of work, there was only the same one partner";
        // By all rules it is the same as by facts.
        assert_eq!(left(&matching), [("aino", why, "AINO compete for KAISA".replace("AINO", "AINO and EERO"))]);
    }

    #[test]
    fn a_group_of_its_own_with_an_odd_number_is_told_so() {
        let welsh = ["a", "b", "c"].map(|id| format!("{{\"id\": \"{id}\", \"languages\": [\"cy\"]}}"));
        let english = ["d", "e", "f", "g"].map(|id| format!("{{\"id\": \"{id}\", \"languages\": [\"en\"]}}"));
        let lines: Vec<&str> = welsh.iter().chain(&english).map(String::as_str).collect();
        let matching = matched(&lines);
        let why = "you are one of 3 people who, by language and place of work, could be matched only with each other, and 3 is an odd number";
        assert_eq!(left(&matching)[0].1, why);
        assert_eq!(left(&matching)[0].2, "A, B and C could be matched only with each other, and are an odd number");
    }

    #[test]
    fn an_exclusion_that_costs_somebody_a_partner_is_named_to_both_and_the_number_of_people_behind_it_to_the_person() {
        let matching = matched(&[
            r#"{"id": "a", "languages": ["en"], "country": "NZ", "excludes": {"countries": ["PE"], "regions": ["150"]}}"#,
            r#"{"id": "b", "languages": ["en"], "country": "PE"}"#,
        ]);
        let place = "everybody in this round who could be your partner is in Peru or Europe, and you asked us not to look there";
        let freed = "the rules leave nobody for this person; a partner could be had if this person took back “not with Peru”";
        assert_eq!(left(&matching)[0], ("a", place, freed.to_owned()));
        // The one who is excluded hears nothing of it.
        assert_eq!(left(&matching)[1].1, "there were not enough people in this round to find a fitting partner for everybody");
    }
}
