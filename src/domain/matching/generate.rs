//! Made-up applicants who resemble those of an international exchange: for rehearsals, benches and tests.
use super::applicant::{Applicant, Exclusions, Rhythm, SectorWish, Stage, StageWish, Way, Wishes};

/// Weight, country, its time zone, its language. Mostly English-speaking, with a long tail, as exchanges of librarians report of themselves.
const COUNTRIES: [(u32, &str, &str, &str); 30] = [
    (240, "US", "America/Chicago", "en"),
    (100, "AU", "Australia/Sydney", "en"),
    (70, "GB", "Europe/London", "en"),
    (60, "CA", "America/Toronto", "en"),
    (50, "IN", "Asia/Kolkata", "hi"),
    (40, "NG", "Africa/Lagos", "en"),
    (35, "NZ", "Pacific/Auckland", "en"),
    (30, "ZA", "Africa/Johannesburg", "en"),
    (25, "PH", "Asia/Manila", "tl"),
    (25, "BR", "America/Sao_Paulo", "pt"),
    (20, "DE", "Europe/Berlin", "de"),
    (20, "FR", "Europe/Paris", "fr"),
    (20, "MX", "America/Mexico_City", "es"),
    (15, "ES", "Europe/Madrid", "es"),
    (15, "KE", "Africa/Nairobi", "sw"),
    (15, "GH", "Africa/Accra", "en"),
    (15, "PK", "Asia/Karachi", "ur"),
    (12, "CO", "America/Bogota", "es"),
    (12, "IT", "Europe/Rome", "it"),
    (12, "EG", "Africa/Cairo", "ar"),
    (10, "PE", "America/Lima", "es"),
    (10, "AR", "America/Argentina/Buenos_Aires", "es"),
    (10, "JP", "Asia/Tokyo", "ja"),
    (10, "CN", "Asia/Shanghai", "zh"),
    (8, "PT", "Europe/Lisbon", "pt"),
    (8, "FI", "Europe/Helsinki", "fi"),
    (8, "RS", "Europe/Belgrade", "sr"),
    (8, "SN", "Africa/Dakar", "fr"),
    (5, "FJ", "Pacific/Fiji", "en"),
    (5, "UA", "Europe/Kyiv", "uk"),
];

/// Usual names where a language is spoken: given names, family names.
const NAMES: [(&str, [&str; 8], [&str; 8]); 16] = [
    ("en", ["Alice", "Ben", "Chloe", "Daniel", "Emma", "Grace", "Jack", "Ruth"], ["Adams", "Brown", "Clarke", "Davies", "Evans", "Okoye", "Walker", "Young"]),
    (
        "es",
        ["Ana", "Carlos", "Diego", "Elena", "Lucía", "Mateo", "Rosa", "Sofía"],
        ["Flores", "García", "López", "Mendoza", "Núñez", "Quispe", "Rojas", "Vega"],
    ),
    (
        "pt",
        ["Beatriz", "Caio", "Duarte", "Inês", "João", "Lívia", "Rafael", "Teresa"],
        ["Almeida", "Costa", "Ferreira", "Lima", "Pereira", "Santos", "Silva", "Sousa"],
    ),
    (
        "fr",
        ["Aïssatou", "Camille", "Élodie", "Hugo", "Léa", "Mamadou", "Noémie", "Paul"],
        ["Bernard", "Diallo", "Dubois", "Fall", "Laurent", "Moreau", "Ndiaye", "Petit"],
    ),
    (
        "de",
        ["Anna", "Felix", "Jonas", "Klara", "Lena", "Moritz", "Paula", "Uwe"],
        ["Bauer", "Fischer", "Hoffmann", "Keller", "Müller", "Schäfer", "Vogel", "Weber"],
    ),
    (
        "it",
        ["Alessia", "Bruno", "Chiara", "Giulia", "Luca", "Marta", "Paolo", "Silvia"],
        ["Bianchi", "Conti", "Esposito", "Ferrari", "Greco", "Ricci", "Romano", "Rossi"],
    ),
    ("hi", ["Aditi", "Arjun", "Deepa", "Kiran", "Meera", "Nikhil", "Priya", "Rohan"], ["Chopra", "Gupta", "Iyer", "Mehta", "Patel", "Rao", "Sharma", "Singh"]),
    (
        "ur",
        ["Ahmed", "Ayesha", "Bilal", "Fatima", "Hina", "Imran", "Sana", "Usman"],
        ["Ahmed", "Butt", "Hussain", "Khan", "Malik", "Qureshi", "Raza", "Sheikh"],
    ),
    (
        "ar",
        ["Amal", "Dina", "Hassan", "Khaled", "Layla", "Mona", "Omar", "Youssef"],
        ["Fahmy", "Hassan", "Ibrahim", "Mansour", "Mostafa", "Naguib", "Saleh", "Tawfik"],
    ),
    (
        "tl",
        ["Andrea", "Carlo", "Jasmine", "Joel", "Liza", "Maria", "Paolo", "Rowena"],
        ["Bautista", "Cruz", "Dela Cruz", "Garcia", "Mendoza", "Ocampo", "Reyes", "Santos"],
    ),
    (
        "sw",
        ["Achieng", "Brian", "Faith", "Juma", "Kamau", "Mercy", "Otieno", "Wanjiru"],
        ["Kariuki", "Kimani", "Mwangi", "Njoroge", "Odhiambo", "Ouma", "Wafula", "Wambui"],
    ),
    (
        "ja",
        ["Aiko", "Daichi", "Haruka", "Kenji", "Mai", "Ren", "Sakura", "Yuto"],
        ["Fujita", "Ito", "Kobayashi", "Nakamura", "Sato", "Suzuki", "Tanaka", "Yamada"],
    ),
    ("zh", ["Fang", "Hao", "Jing", "Lei", "Mei", "Ning", "Wei", "Xin"], ["Chen", "Huang", "Li", "Liu", "Wang", "Wu", "Zhang", "Zhou"]),
    (
        "fi",
        ["Aino", "Eero", "Elina", "Kaisa", "Mikko", "Saara", "Timo", "Ville"],
        ["Heikkinen", "Korhonen", "Laine", "Mäkinen", "Nieminen", "Salonen", "Virtanen", "Ylönen"],
    ),
    (
        "sr",
        ["Ana", "Dragan", "Ivana", "Jelena", "Marko", "Milica", "Nikola", "Vesna"],
        ["Ilić", "Jovanović", "Kovač", "Marković", "Nikolić", "Pavlović", "Petrović", "Savić"],
    ),
    (
        "uk",
        ["Andrii", "Daria", "Iryna", "Maksym", "Nadia", "Oksana", "Olena", "Taras"],
        ["Bondar", "Hrytsenko", "Koval", "Kravchuk", "Melnyk", "Petrenko", "Shevchuk", "Tkachuk"],
    ),
];

const REGIONS: [&str; 8] = ["150", "419", "002", "009", "021", "142", "030", "035"];
const ROLES: [&str; 8] =
    ["cataloguer", "systems librarian", "reference librarian", "children's librarian", "archivist", "library director", "subject librarian", "conservator"];
const INTERESTS: [&str; 24] = [
    "rare books",
    "open access",
    "information literacy",
    "metadata",
    "maps",
    "oral history",
    "children's reading",
    "preservation",
    "library buildings",
    "research data",
    "local history",
    "copyright",
    "makerspaces",
    "music",
    "user experience",
    "translation",
    "newspapers",
    "accessibility",
    "manuscripts",
    "chess",
    "digital humanities",
    "bookmobiles",
    "poetry",
    "sustainability",
];

/// Numbers that look random and are always the same for a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(limit)) >> 64) as u64
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }

    /// An index, each in proportion to its weight.
    fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().copied().map(u64::from).sum());
        weights.iter().position(|&weight| left.checked_sub(u64::from(weight)).map(|rest| left = rest).is_none()).unwrap_or(0)
    }

    /// So many different items; those at the front are the popular ones.
    fn several(&mut self, items: &[&str], count: usize) -> Vec<String> {
        let popularity: Vec<u32> = (0..items.len() as u32).map(|rank| 1000 / (rank + 3)).collect();
        let mut picked: Vec<String> = Vec::new();
        while picked.len() < count.min(items.len()) {
            let item = items[self.weighted(&popularity)].to_owned();
            if !picked.contains(&item) {
                picked.push(item);
            }
        }
        picked
    }
}

/// So many applicants, `p1`, `p2`, …; equal numbers and seeds give equal people.
pub fn applicants(number: usize, seed: u64) -> Vec<Applicant> {
    let mut chance = Chance(seed.wrapping_mul(0x0123_4567).wrapping_add(number as u64));
    (1..=number).map(|index| applicant(index, number, &mut chance)).collect()
}

fn applicant(index: usize, number: usize, chance: &mut Chance) -> Applicant {
    let (_, country, timezone, native) = COUNTRIES[chance.weighted(&COUNTRIES.map(|(weight, ..)| weight))];
    let mut languages = vec![native.to_owned()];
    if native != "en" && chance.percent(90) {
        languages.insert(0, "en".to_owned());
    }
    if chance.percent(12) {
        languages.push(chance.pick(&["es", "fr", "de", "pt", "ar", "zh"]).to_owned());
        languages.dedup();
    }
    let sector = ["academic", "public", "school", "special", "national", "student"][chance.weighted(&[45, 25, 12, 8, 5, 5])];
    let organisation = chance.below((number as u64 / 8).max(2));
    let interests = 3 + chance.below(4) as usize;
    Applicant {
        name: Some(name(native, index as u64, number as u64)),
        country: Some(country.to_owned()),
        timezone: Some(timezone.to_owned()),
        learning: if chance.percent(20) { chance.several(&["es", "fr", "de", "it"], 1) } else { Vec::new() },
        languages,
        sector: Some(sector.to_owned()),
        role: Some(chance.pick(&ROLES).to_owned()),
        organisation: Some(format!("{country} Library {organisation}")),
        stage: Some([Stage::New, Stage::Mid, Stage::Senior][chance.weighted(&[45, 35, 20])]),
        interests: chance.several(&INTERESTS, interests),
        capacity: if chance.percent(3) { 2 } else { 1 },
        rhythm: Some([Rhythm::Weekly, Rhythm::Fortnightly, Rhythm::Monthly][chance.weighted(&[30, 40, 30])]),
        ways: if chance.percent(40) { vec![Way::Letters, Way::Calls] } else { vec![Way::Letters] },
        prefers: wishes(number, chance),
        excludes: Exclusions {
            countries: if chance.percent(30) { vec![country.to_owned()] } else { Vec::new() },
            regions: Vec::new(),
            people: if chance.percent(3) { vec![format!("p{}", 1 + chance.below(number as u64))] } else { Vec::new() },
        },
        ..Applicant::new(format!("p{index}"))
    }
}

/// A usual name; made of the position alone, so that names decide nothing else.
fn name(native: &str, index: u64, number: u64) -> String {
    let mut chance = Chance(index ^ number << 32);
    let (_, given, family) = NAMES.iter().find(|(language, ..)| *language == native).unwrap_or(&NAMES[0]);
    format!("{} {}", chance.pick(given), chance.pick(family))
}

fn wishes(number: usize, chance: &mut Chance) -> Wishes {
    let mut wishes = Wishes::default();
    if chance.percent(18) {
        wishes.regions = chance.several(&REGIONS, 1);
    }
    if chance.percent(12) {
        wishes.countries = vec![COUNTRIES[chance.weighted(&COUNTRIES.map(|(weight, ..)| weight))].1.to_owned()];
    }
    if chance.percent(45) {
        wishes.sector = [SectorWish::Same, SectorWish::Different][chance.weighted(&[75, 25])];
    }
    if chance.percent(40) {
        wishes.stage = [StageWish::More, StageWish::Same, StageWish::Less][chance.weighted(&[35, 55, 10])];
    }
    if chance.percent(10) {
        wishes.languages = vec![chance.pick(&["es", "fr", "pt", "en"]).to_owned()];
    }
    if chance.percent(10) {
        wishes.roles = vec![chance.pick(&ROLES).to_owned()];
    }
    if chance.percent(25) {
        wishes.interests = chance.several(&INTERESTS, 2);
    }
    if chance.percent(1) {
        wishes.people = vec![format!("p{}", 1 + chance.below(number as u64))];
    }
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_people_have_only_values_that_exist_and_are_repeatable() {
        let people = applicants(300, 7);
        for person in &people {
            assert_eq!(person.check(), Ok(()));
        }
        assert_eq!(people, applicants(300, 7));
        assert_ne!(people, applicants(300, 8));
    }
}
