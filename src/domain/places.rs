//! Countries (ISO 3166-1), the regions that hold them (UN M49 as Unicode CLDR uses it) and time zones (IANA), by the names people write.
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{Offset, TimeZone, Utc};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};

use super::fold::fold;

/// The ISO 3166-1 alpha-2 code of a country named by its code in capitals (two or three letters), its English name, another usual
/// name of it, or its name in its own or in a widely spoken language. `None` for everything else, and for names that two countries share.
pub fn country(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let is_code = matches!(text.len(), 2 | 3) && text.bytes().all(|b| b.is_ascii_uppercase());
    if is_code && let Some(code) = WORLD.codes.get(text) {
        return Some(code);
    }
    look_up(&WORLD.country_names, text)
}

/// The code of a region: UN M49 ("Latin America" is `419`, "Europe" is `150`), or `EU`, which CLDR has beside them.
pub fn region(text: &str) -> Option<&'static str> {
    let text = text.trim();
    match WORLD.regions.get_key_value(text) {
        Some((code, _)) => Some(code),
        None => look_up(&WORLD.region_names, text),
    }
}

/// Whether a country lies in a region, both given by their codes. Unknown codes lie nowhere.
pub fn is_in(country: &str, region: &str) -> bool {
    let held = WORLD.regions.get(region).map(|region| region.holds.as_slice()).unwrap_or_default();
    held.iter().any(|&part| part == country || is_in(country, part))
}

/// The English name of a country by its code.
pub fn name(country: &str) -> Option<&'static str> {
    WORLD.countries.get(country).map(|country| country.name)
}

/// The English name of a region by its code.
pub fn region_name(region: &str) -> Option<&'static str> {
    WORLD.regions.get(region).map(|region| region.name)
}

/// The codes of all countries, in order.
pub fn countries() -> impl Iterator<Item = &'static str> {
    WORLD.countries.keys().copied()
}

/// The IANA name of a time zone written as such ("europe/lisbon"), by its city ("Lima", "New York time"), or by an abbreviation
/// which the only clock of `country` shows ("CET" from Germany). An offset ("UTC+2") is shared by many zones and therefore unknown.
pub fn timezone(text: &str, country: Option<&str>) -> Option<&'static str> {
    let text = text.split('(').next().unwrap_or_default().trim().trim_end_matches(['.', ',']);
    let joined = text.replace(" / ", "/").replace(' ', "_");
    if let Some((area, _)) = joined.split_once('/') {
        return AREAS.iter().any(|known| known.eq_ignore_ascii_case(area)).then(|| Tz::from_str_insensitive(&joined).ok()).flatten().map(|zone| zone.name());
    }
    let key = fold(text);
    let key = key.strip_suffix(" time").unwrap_or(&key);
    CITIES.get(key).copied().or_else(|| country.and_then(default_timezone).filter(|zone| shows(zone, text)))
}

/// The time zone of a country that has only one, or whose zones have all shown the same time for years; else `None`.
fn default_timezone(country: &str) -> Option<&'static str> {
    WORLD.countries.get(country)?.zone
}

struct Country {
    name: &'static str,
    zone: Option<&'static str>,
}

struct Region {
    name: &'static str,
    holds: Vec<&'static str>,
}

#[derive(Default)]
struct World {
    countries: BTreeMap<&'static str, Country>,
    regions: BTreeMap<&'static str, Region>,
    codes: HashMap<&'static str, &'static str>,
    country_names: HashMap<String, &'static str>,
    region_names: HashMap<String, &'static str>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| World::read(include_str!("places.tsv")));

/// Abbreviations that are no ISO codes; none is a word, so small letters do as well ("us" does not: it is one).
const ABBREVIATIONS: [(&str, &str); 5] = [("UK", "GB"), ("USA", "US"), ("UAE", "AE"), ("DRC", "CD"), ("PRC", "CN")];

impl World {
    fn read(table: &'static str) -> Self {
        let mut world = Self::default();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&'static str> = line.split('\t').collect();
            match columns[..] {
                [code, name, holds, others] => {
                    world.regions.insert(code, Region { name, holds: holds.split(' ').collect() });
                    for name in others.split('|').chain([name]).filter(|name| !name.is_empty()) {
                        world.region_names.insert(key(name), code);
                    }
                }
                [code, alpha3, name, zone, others] => {
                    world.countries.insert(code, Country { name, zone: (zone != "-").then_some(zone) });
                    world.codes.extend([(code, code), (alpha3, code)]);
                    for name in others.split('|').chain([name]).filter(|name| !name.is_empty()) {
                        world.country_names.insert(key(name), code);
                    }
                }
                _ => {}
            }
        }
        for (short, code) in ABBREVIATIONS {
            world.codes.insert(short, code);
            world.country_names.insert(fold(short), code);
        }
        world
    }
}

/// `fold`, and "St" is "Saint".
fn key(name: &str) -> String {
    let words: Vec<String> = fold(name).split(' ').map(|word| if word == "st" { "saint".to_owned() } else { word.to_owned() }).collect();
    words.join(" ")
}

/// Articles that people put before a country's name.
const ARTICLES: [&str; 14] = ["the", "la", "el", "los", "las", "le", "les", "die", "der", "den", "il", "o", "a", "os"];

fn look_up(names: &HashMap<String, &'static str>, text: &str) -> Option<&'static str> {
    let key = key(text);
    names.get(&key).copied().or_else(|| {
        let (article, rest) = key.split_once(' ')?;
        ARTICLES.contains(&article).then(|| names.get(rest).copied()).flatten()
    })
}

/// What the IANA names of places begin with; the other names are rules, abbreviations and offsets.
const AREAS: [&str; 10] = ["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"];

/// The last part of each IANA name: "new york" → America/New_York. Where two zones end alike one is the old name of the other,
/// and the longer one is today's (America/Buenos_Aires and America/Argentina/Buenos_Aires).
static CITIES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut cities: HashMap<String, &'static str> = HashMap::new();
    for zone in TZ_VARIANTS.iter().map(|zone| zone.name()) {
        if let (Some((area, _)), Some((_, city))) = (zone.split_once('/'), zone.rsplit_once('/'))
            && AREAS.contains(&area)
        {
            let held = cities.entry(fold(city)).or_insert(zone);
            if zone.len() > held.len() {
                *held = zone;
            }
        }
    }
    cities
});

/// Whether the clock of a zone shows this abbreviation in winter or in summer ("CET", "CEST").
fn shows(zone: &str, abbreviation: &str) -> bool {
    let Ok(zone) = Tz::from_str(zone) else { return false };
    let letters = abbreviation.len() >= 2 && abbreviation.bytes().all(|b| b.is_ascii_alphabetic());
    letters
        && [1, 7].iter().filter_map(|&month| Utc.with_ymd_and_hms(2026, month, 1, 12, 0, 0).single()).any(|moment| {
            let offset = zone.offset_from_utc_datetime(&moment.naive_utc());
            offset.abbreviation().is_some_and(|shown| shown.eq_ignore_ascii_case(abbreviation)) && offset.fix().local_minus_utc().abs() < 86_400
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_known_by_every_usual_name() {
        for (text, code) in [
            ("Peru", "PE"),
            ("PERÚ", "PE"),
            ("el Perú", "PE"),
            ("PE", "PE"),
            ("PER", "PE"),
            ("Pérou", "PE"),
            ("Deutschland", "DE"),
            ("Alemania", "DE"),
            ("日本", "JP"),
            ("भारत", "IN"),
            ("مصر", "EG"),
            ("Россия", "RU"),
            ("the Netherlands", "NL"),
            ("Holland", "NL"),
            ("U.S.A.", "US"),
            ("usa", "US"),
            ("US", "US"),
            ("United States of America", "US"),
            ("los Estados Unidos", "US"),
            ("EE.UU.", "US"),
            ("UK", "GB"),
            ("uk", "GB"),
            ("Scotland", "GB"),
            ("Great Britain", "GB"),
            ("Czech Republic", "CZ"),
            ("Ivory Coast", "CI"),
            ("Côte d’Ivoire", "CI"),
            ("St. Lucia", "LC"),
            ("Trinidad and Tobago", "TT"),
            ("Turkey", "TR"),
            ("Türkiye", "TR"),
            ("Viet Nam", "VN"),
            ("Việt Nam", "VN"),
            ("Aotearoa", "NZ"),
            ("Hong Kong", "HK"),
            ("Micronesia", "FM"),
            ("Northern Ireland", "GB"),
            ("Ireland", "IE"),
            ("São Tomé and Príncipe", "ST"),
            ("DR Congo", "CD"),
            ("Schweiz", "CH"),
            ("Suomi", "FI"),
            ("Magyarország", "HU"),
        ] {
            assert_eq!(country(text), Some(code), "{text}");
        }
    }

    #[test]
    fn what_is_no_country_or_might_be_two_stays_unknown() {
        for text in ["", "Congo", "Kongo", "Europe", "no", "it", "me", "us", "in", "XX", "my own country", "Lima", "America", "Atlantis", "\u{0}"] {
            assert_eq!(country(text), None, "{text}");
        }
    }

    #[test]
    fn every_country_and_region_is_known_by_its_code_and_its_name() {
        assert_eq!(WORLD.countries.len(), 250);
        for (code, row) in &WORLD.countries {
            assert_eq!((country(code), country(row.name)), (Some(*code), Some(*code)));
            assert!(row.zone.is_none_or(|zone| Tz::from_str(zone).is_ok()), "{code}: {:?}", row.zone);
            assert!(is_in(code, "001"), "{code} lies nowhere");
        }
        for (code, row) in &WORLD.regions {
            assert_eq!((region(code), region(row.name)), (Some(*code), Some(*code)));
            for part in &row.holds {
                assert!(name(part).is_some() || region_name(part).is_some(), "{code} holds {part}");
            }
        }
    }

    #[test]
    fn no_name_stands_for_two_places() {
        let mut seen: HashMap<(bool, String), &str> = HashMap::new();
        for line in include_str!("places.tsv").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let names = columns[columns.len() - 1].split('|').chain([if columns.len() == 5 { columns[2] } else { columns[1] }]);
            for name in names.filter(|name| !name.is_empty()) {
                let other = seen.insert((columns.len() == 5, key(name)), columns[0]);
                assert!(other.is_none_or(|other| other == columns[0]), "{name}: {other:?} and {}", columns[0]);
            }
        }
    }

    #[test]
    fn regions_hold_countries_through_all_their_parts() {
        for (text, code) in [
            ("Latin America", "419"),
            ("Latin America and the Caribbean", "419"),
            ("Latinoamérica", "419"),
            ("Europe", "150"),
            ("South-eastern Asia", "035"),
            ("Southeast Asia", "035"),
            ("Africa", "002"),
            ("the Caribbean", "029"),
            ("Sub-Saharan Africa", "202"),
            ("North America", "003"),
            ("Northern America", "021"),
            ("Oceania", "009"),
            ("EU", "EU"),
        ] {
            assert_eq!(region(text), Some(code), "{text}");
        }
        for (country, region) in
            [("PE", "419"), ("PE", "005"), ("PE", "019"), ("MX", "003"), ("MX", "419"), ("KE", "202"), ("PH", "035"), ("CY", "EU"), ("CY", "145")]
        {
            assert!(is_in(country, region), "{country} in {region}");
        }
        for (country, region) in [("US", "419"), ("EG", "202"), ("GB", "EU"), ("PE", "PE"), ("XX", "001"), ("PE", "nowhere"), ("150", "PE")] {
            assert!(!is_in(country, region), "{country} not in {region}");
        }
        assert_eq!((name("CI"), region_name("419"), name("XX")), (Some("Côte d'Ivoire"), Some("Latin America"), None));
    }

    #[test]
    fn time_zones_are_read_by_name_and_city_but_never_guessed() {
        for (text, country, zone) in [
            ("europe/lisbon", None, Some("Europe/Lisbon")),
            ("America / New York", None, Some("America/New_York")),
            ("America/Lima (UTC-5)", None, Some("America/Lima")),
            ("Lima", None, Some("America/Lima")),
            ("New York time", None, Some("America/New_York")),
            ("Buenos Aires", Some("AR"), Some("America/Argentina/Buenos_Aires")),
            ("CET", Some("DE"), Some("Europe/Berlin")),
            ("cest", Some("FR"), Some("Europe/Paris")),
            ("CET", None, None),
            ("CET", Some("PE"), None),
            ("UTC+2", Some("ZA"), None),
            ("GMT", None, None),
            ("GMT", Some("GB"), Some("Europe/London")),
            ("Etc/GMT+5", None, None),
            ("mine", Some("PE"), None),
            ("", Some("PE"), None),
            ("Mars/Olympus", None, None),
        ] {
            assert_eq!(timezone(text, country), zone, "{text} {country:?}");
        }
        for (country, zone) in [("PE", Some("America/Lima")), ("DE", Some("Europe/Berlin")), ("US", None), ("NZ", None), ("XX", None)] {
            assert_eq!(default_timezone(country), zone);
        }
    }
}
