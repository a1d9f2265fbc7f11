//! The phrases that explanations are made of: places, languages, lists of things, wishes.
use super::applicant::{Applicant, Rhythm, SectorWish, StageWish, Way, primary_language};
use super::score::Wish;
use crate::domain::fold::fold;
use crate::domain::{languages, places};

/// What follows "you asked for".
pub(super) fn wish_in_words(wish: Wish, person: &Applicant) -> String {
    let wishes = &person.prefers;
    match wish {
        Wish::People => "a person whom you named".to_owned(),
        Wish::Place => {
            format!("a partner in {}", or(&place_names(&wishes.countries, &wishes.regions)))
        }
        Wish::Languages => format!("a partner who speaks {}", or(&language_names(&wishes.languages))),
        Wish::Sector => match wishes.sector {
            SectorWish::Same => "a partner from your own sector".to_owned(),
            SectorWish::Different => "a partner from another sector".to_owned(),
            SectorWish::Any => "a partner from any sector".to_owned(),
        },
        Wish::Roles => format!("a partner who works as {}", or(&wishes.roles)),
        Wish::Stage => match wishes.stage {
            StageWish::Same => "a partner at your own stage".to_owned(),
            StageWish::More => "a partner with more years in the field".to_owned(),
            StageWish::Less => "a partner with fewer years in the field".to_owned(),
            StageWish::Any => "a partner at any stage".to_owned(),
        },
        Wish::Interests => format!("a partner interested in {}", or(&wishes.interests)),
    }
}

/// English names of countries and regions.
pub(super) fn place_names(countries: &[String], regions: &[String]) -> Vec<String> {
    let countries = countries.iter().map(|code| places::name(code).unwrap_or(code));
    let regions = regions.iter().map(|code| places::region_name(code).unwrap_or(code));
    countries.chain(regions).map(with_article).collect()
}

/// "the Netherlands", "the United States", "the Cook Islands"; "Peru".
pub(super) fn with_article(place: &str) -> String {
    const PLURALS: [&str; 9] = ["Netherlands", "Philippines", "Bahamas", "Maldives", "Comoros", "Seychelles", "Gambia", "Americas", "Caribbean"];
    let takes_one = place.starts_with("United ") || place.ends_with(" Islands") || place.ends_with(" Republic") || PLURALS.contains(&place);
    if takes_one { format!("the {place}") } else { place.to_owned() }
}

pub(super) fn how_often(rhythm: Rhythm) -> &'static str {
    match rhythm {
        Rhythm::Weekly => "every week",
        Rhythm::Fortnightly => "every two weeks",
        Rhythm::Monthly => "every month",
    }
}

pub(super) fn in_way(way: Way) -> &'static str {
    match way {
        Way::Letters => "letters",
        Way::Calls => "calls",
    }
}

/// Clocks far apart are nothing to praise.
pub(super) fn nearness(minutes: u32) -> Option<String> {
    match (minutes + 30) / 60 {
        0 => Some("your clocks show about the same time".to_owned()),
        1 => Some("your clocks are about an hour apart".to_owned()),
        hours @ 2..=3 => Some(format!("your clocks are about {hours} hours apart")),
        4.. => None,
    }
}

/// English names of languages.
pub(super) fn language_names(tags: &[String]) -> Vec<String> {
    tags.iter().map(|tag| languages::name(&primary_language(tag)).unwrap_or(tag).to_owned()).collect()
}

pub(super) fn common_languages(own: &[String], other: &[String]) -> Vec<String> {
    let spoken: Vec<String> = own.iter().filter(|tag| other.iter().any(|tag2| primary_language(tag) == primary_language(tag2))).cloned().collect();
    language_names(&spoken)
}

/// The terms, in the reader's own words, that the other one has too.
pub(super) fn common_terms(own: &[String], other: &[String]) -> Vec<String> {
    let others: Vec<String> = other.iter().map(|term| fold(term)).collect();
    own.iter().filter(|term| others.contains(&fold(term))).cloned().collect()
}

/// "a, b and c"; `None` for nothing.
pub(super) fn and(items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| joined(items, "and"))
}

pub(super) fn or(items: &[String]) -> String {
    joined(items, "or")
}

pub(super) fn joined(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., end] => format!("{} {last} {end}", firsts.join(", ")),
    }
}

/// "1 person", "7 people".
pub(super) fn counted(people: usize) -> String {
    if people == 1 { "1 person".to_owned() } else { format!("{people} people") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_places_take_an_article() {
        assert_eq!(
            ["US", "NL", "PE", "CK"].map(|code| with_article(places::name(code).expect("a country"))),
            ["the United States", "the Netherlands", "Peru", "the Cook Islands"]
        );
    }

    #[test]
    fn lists_are_joined_as_people_write_them() {
        let items = |number| ["a", "b", "c"].into_iter().take(number).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(|number| and(&items(number))), [None, Some("a".into()), Some("a and b".into()), Some("a, b and c".into())]);
        assert_eq!((or(&items(3)), counted(1), counted(2)), ("a, b or c".into(), "1 person".into(), "2 people".into()));
    }
}
