//! Places and people named in a few words of one's own: "preferably Latin America, Spain or the Netherlands".
use crate::domain::answers::Answers;
use crate::domain::fold::fold;
use crate::domain::places;

/// Where somebody would like a partner from, or would not, or whom not.
#[derive(Default)]
pub(super) struct Named {
    /// ISO 3166-1 codes.
    pub countries: Vec<String>,
    /// UN M49 codes.
    pub regions: Vec<String>,
    /// As written.
    pub people: Vec<String>,
}

/// Words between places that change nothing.
const AROUND_PLACES: &str = "in from the or and a an any somebody someone somewhere country countries region regions of with people person partner librarian librarians \
    anyone anybody everyone preferably ideally maybe perhaps possibly either e y o et ou und oder i like would also please living who lives is not no one nobody none all whole de my me to be matched ideally \
    else especially would be lovely nice great good fine if possible best first second choice other another different colleague colleagues works working based love open \
    interested world part go am im prefer anything everywhere anybody";

/// Small words within people's names.
const PARTICLES: [&str; 22] =
    ["de", "da", "do", "dos", "das", "del", "della", "di", "van", "von", "der", "den", "ten", "bin", "ibn", "al", "el", "la", "los", "las", "le", "y"];

impl Named {
    /// Nobody and nowhere.
    pub fn is_empty(&self) -> bool {
        self.countries.is_empty() && self.regions.is_empty() && self.people.is_empty()
    }

    /// Takes over what one item of a list names. `wish`: where a partner may come from, and not where not; `people`: names of people
    /// may stand there too.
    ///
    /// # Errors
    /// The words that could not be read, and why.
    pub fn add(&mut self, item: &str, wish: bool, people: bool, known: &Answers) -> Result<(), (String, &'static str)> {
        let key = fold(item);
        let has = |words: &str| format!(" {key} ").contains(&format!(" {words} "));
        if wish && ["not", "but", "except", "excluding", "outside"].iter().any(|word| has(word)) {
            return Err((item.to_owned(), "it names what you would not like: please write that under \"Not with\""));
        }
        if !wish && ["but", "except", "outside", "only"].iter().any(|word| has(word)) {
            return Err((item.to_owned(), "we cannot tell which places it leaves"));
        }
        if ["anywhere", "worldwide", "any country", "no preference", "everywhere", "doesnt matter"].iter().any(|word| has(word)) && !has("in") {
            return Ok(());
        }
        const OWN: [&str; 12] = [
            "my own country",
            "my country",
            "own country",
            "same country",
            "home country",
            "mi pais",
            "mi propio pais",
            "meu pais",
            "mon pays",
            "mein land",
            "meinem land",
            "il mio paese",
        ];
        if OWN.iter().any(|own| has(own)) {
            let own = known.text("country").ok_or((item.to_owned(), "we do not know your country yet"))?;
            push(&mut self.countries, own);
            return Ok(());
        }
        let words: Vec<&str> = item.split_whitespace().collect();
        let left = self.places(item, &words);
        self.rest(&left, people)
    }

    /// Takes over the places that the words name, the longest names first, and gives the words that are left.
    fn places<'a>(&mut self, item: &str, words: &[&'a str]) -> Vec<&'a str> {
        let shouted = !item.contains(char::is_lowercase);
        let (mut at, mut left) = (0, Vec::new());
        while at < words.len() {
            let longest = (1..=8.min(words.len() - at)).rev().find_map(|n| {
                let name = words[at..at + n].join(" ");
                let name = name.trim_matches(['(', ')', '.', ':', '!', '"', '“', '”']);
                // In a line of capitals "IN" is a word, and not India's code.
                let is_word = shouted && words.len() > 1 && name.len() == 2;
                let (country, region) = (places::country(name).filter(|_| !is_word), places::region(name));
                (country.is_some() || region.is_some()).then_some((n, country, region))
            });
            match longest {
                Some((n, country, region)) => {
                    if let Some(country) = country {
                        push(&mut self.countries, country);
                    } else if let Some(region) = region.filter(|&region| region != "001") {
                        push(&mut self.regions, region);
                    }
                    at += n;
                }
                None => {
                    left.push(words[at]);
                    at += 1;
                }
            }
        }
        left
    }

    /// What is left of an item besides places: nothing that matters, a person, or something unknown.
    fn rest(&mut self, left: &[&str], may_be_person: bool) -> Result<(), (String, &'static str)> {
        let is_small = |word: &&str| fold(word).split(' ').all(|word| AROUND_PLACES.split_whitespace().any(|small| small == word));
        let (Some(first), Some(last)) = (left.iter().position(|word| !is_small(word)), left.iter().rposition(|word| !is_small(word))) else {
            return Ok(());
        };
        // A name has capitals all along, but for the small words within; an address has an @.
        let name = &left[first..=last];
        let is_name = name.iter().all(|word| word.starts_with(char::is_uppercase) || word.contains('@') || PARTICLES.contains(word));
        if may_be_person && is_name && (name.len() > 1 || name[0].contains('@')) {
            push(&mut self.people, name.join(" ").trim_matches(['.', '"']));
            return Ok(());
        }
        Err((left.join(" "), "it is no country or region we know"))
    }
}

fn push(list: &mut Vec<String>, item: &str) {
    if !list.iter().any(|held| held == item) {
        list.push(item.to_owned());
    }
}

/// The one country that a few words name: "Lima, Peru"; "Peru (originally Chile)" is one too many.
///
/// # Errors
/// Why there is none.
pub(super) fn one_country(words: &str) -> Result<&'static str, &'static str> {
    if let Some(code) = places::country(words.trim_end_matches(['.', '!'])) {
        return Ok(code);
    }
    let mut found: Vec<&'static str> = Vec::new();
    for piece in words.split([',', ';', '/', '(', ')', '、']) {
        let parts: Vec<&str> = piece.split_whitespace().collect();
        let mut at = 0;
        while at < parts.len() {
            let longest = (1..=8.min(parts.len() - at)).rev().find_map(|n| {
                let name = parts[at..at + n].join(" ");
                let name = name.trim_matches(['.', ':', '!', '-', '–']);
                // Among other words a code of two letters is one of them ("I live IN Peru").
                (parts.len() == n || name.len() > 2).then(|| places::country(name)).flatten().map(|code| (n, code))
            });
            let (n, code) = longest.map_or((1, None), |(n, code)| (n, Some(code)));
            found.extend(code.filter(|code| !found.contains(code)));
            at += n;
        }
    }
    match found[..] {
        [code] => Ok(code),
        [] => Err("it is no country we know"),
        _ => Err("it names more than one country: where do you live?"),
    }
}
