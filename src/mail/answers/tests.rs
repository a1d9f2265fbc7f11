//! Letters as mail clients make them, and what the form in them says.
use serde_json::{Value, json};

use super::*;
use crate::domain::programme::LIBRARIANS;

fn librarians() -> Programme {
    Programme::parse(LIBRARIANS).expect("the embedded programme is valid")
}

/// What was understood, without empty lists, in which a question answered with "none" ends.
fn understood(reading: &FormReading) -> Value {
    let mut answers = reading.answers.clone();
    answers.0.retain(|_, answer| *answer != Answer::List(Vec::new()));
    answers.to_json()
}

/// Letters with what they say, and the labels that could not be read.
fn letters() -> Vec<(&'static str, &'static str, Value, &'static [&'static str])> {
    vec![
        (
            "a form filled in",
            "Name: Ana Flores\nCountry: Peru\nTown: Lima\nTime zone: America/Lima\nLanguages: Spanish, English, learning Portuguese\nRole: cataloguer\nOrganisation: Biblioteca Nacional del Perú\nKind of library: national\nYears in the field: 4\nInterests: Metadata, open access and poetry\nPartner from: Brazil or Europe\nNot with: my own country\nHow often: every two weeks\nWays: letters\nNumber of partners: 1\nMonthly topics: yes\nKeep private: town, years in the field\n",
            json!({"name": "Ana Flores", "country": "PE", "town": "Lima", "timezone": "America/Lima", "languages": ["es", "en"], "learning": ["pt"], "role": "cataloguer", "organisation": "Biblioteca Nacional del Perú", "sector": "national", "years": 4, "stage": "new", "interests": ["metadata", "open access", "poetry"], "prefers": {"countries": ["BR"], "regions": ["150"]}, "excludes": {"countries": ["PE"]}, "rhythm": "fortnightly", "ways": ["letters"], "capacity": 1, "topics": true, "private": ["town", "years"]}),
            &[],
        ),
        (
            "quoted with a mark",
            "Here you are!\n\n> Name: Ana\n> Country: Peru\n> Languages: Spanish\n\nAna\n",
            json!({"name": "Ana", "country": "PE", "languages": ["es"]}),
            &[],
        ),
        ("quoted twice", ">> Name: Ana\n>> Country: Peru\n", json!({"name": "Ana", "country": "PE"}), &[]),
        ("quoted with spaces between the marks", "> > Name: Ana\n> > Country: Peru\n", json!({"name": "Ana", "country": "PE"}), &[]),
        ("quoted with bars", "| Name: Ana\n| Country: Peru\n", json!({"name": "Ana", "country": "PE"}), &[]),
        (
            "answers under the quoted lines",
            "> Name: [as your partner should see it]\nAna Flores\n> Country: [where you live]\n\nPeru\n\n> Languages:\nSpanish\n> Town:\n",
            json!({"name": "Ana Flores", "country": "PE", "languages": ["es"]}),
            &[],
        ),
        (
            "a correction above the quoted form",
            "Country: Chile\n\nOn Mon, 1 Mar 2027 at 09:00, Pairpost <join@pairs.test> wrote:\n> Name: Ana\n> Country: Peru\n",
            json!({"name": "Ana", "country": "CL"}),
            &[],
        ),
        (
            "a correction above a form quoted without marks",
            "Country: Chile\n\n-----Original Message-----\nFrom: join@pairs.test\nSent: Monday\nSubject: Your sign-up\n\nName: Ana\nCountry: Peru\n",
            json!({"name": "Ana", "country": "CL"}),
            &[],
        ),
        (
            "an attribution on two lines",
            "Country: Chile\n\nOn Mon, 1 Mar 2027 at 09:00, Pairpost\n<join@pairs.test> wrote:\n\nName: Ana\nCountry: Peru\n",
            json!({"name": "Ana", "country": "CL"}),
            &[],
        ),
        (
            "answers below what is quoted",
            "On 1 Mar 2027 Pairpost wrote:\n> Name: Ana\n> Country: Peru\n\nCountry: Chile\n",
            json!({"name": "Ana", "country": "CL"}),
            &[],
        ),
        (
            "filled in where Outlook quotes it",
            "Please see below.\n\n________________________________\nFrom: Pairpost <join@pairs.test>\nSent: Monday, 1 March 2027\nTo: Ana\nSubject: The form\n\nName: Ana Flores\nCountry: Peru\n",
            json!({"name": "Ana Flores", "country": "PE"}),
            &[],
        ),
        (
            "German attribution",
            "Land: Österreich\n\nAm 01.03.2027 um 09:00 schrieb Pairpost:\n\nName: Eva\nCountry: Germany\n",
            json!({"name": "Eva", "country": "AT"}),
            &[],
        ),
        ("the later of two lines", "Country: Peru\nName: Ana\nCountry: Chile\n", json!({"name": "Ana", "country": "CL"}), &[]),
        ("an empty line takes nothing back", "Country: Peru\nName: Ana\nCountry:\n", json!({"name": "Ana", "country": "PE"}), &[]),
        (
            "hints and blanks left alone",
            "Name: [as your partner should see it]\nCountry: ______\nTown: ...\nRole: n/a\nLanguages: [those you can write letters in; put \"learning\" before others]\n",
            json!({}),
            &[],
        ),
        (
            "an answer behind the hint",
            "Country: [where you live] Peru\nLanguages: English [those you can write letters in; put \"learning\" before others]\nTown: ____Lima____\n",
            json!({"country": "PE", "languages": ["en"], "town": "Lima"}),
            &[],
        ),
        (
            "an answer in the brackets of the hint",
            "Country: [Peru]\nTown: [ Lima ]\nRole: [what you do, in your own words: cataloguer]\n",
            json!({"country": "PE", "town": "Lima", "role": "cataloguer"}),
            &[],
        ),
        (
            "a hint that the client wrapped",
            "> Languages: [those you can write letters in; put\n> \"learning\" before others]\n> Not with: [people, countries or regions you should not be matched with;\n\"my own country\" will do]\n> Name: Ana\n",
            json!({"name": "Ana"}),
            &[],
        ),
        (
            "bullets",
            "- Name: Ana\n* Country: Peru\n• Town: Lima\n1. Role: cataloguer\n2) Languages: English\n",
            json!({"name": "Ana", "country": "PE", "town": "Lima", "role": "cataloguer", "languages": ["en"]}),
            &[],
        ),
        (
            "bold labels",
            "*Name:* Ana\n**Country:** Peru\n*Town*: Lima\n__Role__: cataloguer\n",
            json!({"name": "Ana", "country": "PE", "town": "Lima", "role": "cataloguer"}),
            &[],
        ),
        ("full-width colons", "Name：Ana\nCountry：日本\nLanguages： 日本語、英語\n", json!({"name": "Ana", "country": "JP", "languages": ["ja", "en"]}), &[]),
        ("labels in any case", "NAME: Ana\ncountry: PERU\ntime ZONE: america/lima\n", json!({"name": "Ana", "country": "PE", "timezone": "America/Lima"}), &[]),
        (
            "other labels",
            "My name: Ana\nCity: Lima\nJob title: Librarian\nEmployer: City Library\nType of library: public library\nCountry of residence: Peru\n",
            json!({"name": "Ana", "town": "Lima", "role": "Librarian", "organisation": "City Library", "sector": "public", "country": "PE"}),
            &[],
        ),
        (
            "other marks than a colon",
            "Name = Ana\nCountry - Peru\nTown – Lima\nRole\tcataloguer\nWhich country do you live in? Chile\n",
            json!({"name": "Ana", "country": "CL", "town": "Lima", "role": "cataloguer"}),
            &[],
        ),
        ("a table turned into text", "| Name | Ana |\n| Country | Peru |\n", json!({"name": "Ana", "country": "PE"}), &[]),
        (
            "the form in one row",
            "Name: Ana, Country: Peru; Languages: English, Spanish, Role: cataloguer\n",
            json!({"name": "Ana", "country": "PE", "languages": ["en", "es"], "role": "cataloguer"}),
            &[],
        ),
        (
            "a value wrapped",
            "Hopes: I would like to hear how a small library in another country\nworks with schools, and to write in French again.\nCountry: Peru\n",
            json!({"hopes": "I would like to hear how a small library in another country works with schools, and to write in French again.", "country": "PE"}),
            &[],
        ),
        (
            "a quoted value wrapped without a mark",
            "> Interests: cataloguing of rare books, open access, poetry in translation, local\nhistory\n> Country: Peru\n",
            json!({"interests": ["cataloguing of rare books", "open access", "poetry in translation", "local history"], "country": "PE"}),
            &[],
        ),
        (
            "a list in bullets",
            "Interests:\n- Metadata\n- Open access and open data\n- Poetry\nCountry: Peru\n",
            json!({"interests": ["metadata", "open access and open data", "poetry"], "country": "PE"}),
            &[],
        ),
        ("values in paragraphs of their own", "Name:\n\nAna\n\nCountry:\n\nPeru\n\nTown:\n\nBest wishes,\nAna\n", json!({"name": "Ana", "country": "PE"}), &[]),
        (
            "a farewell is no answer",
            "Name: Ana\nMonthly topics: yes\nThanks a lot,\nAna Flores\nHead of Cataloguing\n",
            json!({"name": "Ana", "topics": true}),
            &[],
        ),
        ("a farewell after prose", "Hopes: a friend abroad\nKind regards\nAna\n", json!({"hopes": "a friend abroad"}), &[]),
        ("words that are no form", "Dear all,\nI read about this: a country far away is nice. In my town: nothing.\nTel: 123\nFrom: nowhere\n", json!({}), &[]),
        (
            "typography of word processors",
            "Name:\u{a0}Ana\u{200b}\nCountry: Côte d’Ivoire\nLanguages: English – fluent, Français\n",
            json!({"name": "Ana", "country": "CI", "languages": ["en", "fr"]}),
            &[],
        ),
        ("decomposed accents", "Pai\u{301}s: Peru\u{301}\nIdiomas: espan\u{303}ol\n", json!({"country": "PE", "languages": ["es"]}), &[]),
        (
            "in Spanish",
            "Nombre: José Núñez\nPaís: México\nCiudad: Mérida\nIdiomas: español, inglés (básico)\nTipo de biblioteca: biblioteca pública\n",
            json!({"name": "José Núñez", "country": "MX", "town": "Mérida", "languages": ["es"], "learning": ["en"], "sector": "public"}),
            &[],
        ),
        (
            "in German",
            "Name: Jörg Weiß\nLand: Deutschland\nSprachen: Deutsch, Englisch (fließend), etwas Polnisch\nBeruf: Bibliothekar\n",
            json!({"name": "Jörg Weiß", "country": "DE", "languages": ["de", "en"], "learning": ["pl"], "role": "Bibliothekar"}),
            &[],
        ),
        ("CRLF", "Name: Ana\r\nCountry: Peru\r\n", json!({"name": "Ana", "country": "PE"}), &[]),
        (
            "countries and what surrounds them",
            "Country: I live in Lima, Peru.\nPartner from: preferably Latin America, Spain or the Netherlands\nNot with: Brazil, Ana Flores, anyone from Europe\n",
            json!({"country": "PE", "prefers": {"countries": ["ES", "NL"], "regions": ["419"]}, "excludes": {"countries": ["BR"], "regions": ["150"], "people": ["Ana Flores"]}}),
            &[],
        ),
        (
            "places with an and of their own",
            "Partner from: Trinidad and Tobago, Bosnia and Herzegovina and Latin America and the Caribbean\n",
            json!({"prefers": {"countries": ["TT", "BA"], "regions": ["419"]}}),
            &[],
        ),
        (
            "anywhere",
            "Partner from: anywhere\nNot with: nobody\nPartner's kind of library: no preference\nPartner's experience: more experienced than me\n",
            json!({"prefers": {"sector": "any", "stage": "more"}}),
            &[],
        ),
        (
            "what cannot be read is said",
            "Country: Atlantis\nTime zone: UTC+2\nYears in the field: many\nNumber of partners: 3\nMonthly topics: perhaps\nHow often: now and then\nLanguages: Elvish\n",
            json!({}),
            &["Country", "Time zone", "Languages", "Years in the field", "How often", "Number of partners", "Monthly topics"],
        ),
        (
            "half of an answer",
            "Languages: English, Elvish\nPartner from: Peru, Atlantis\nKeep private: town, shoe size\n",
            json!({"languages": ["en"], "prefers": {"countries": ["PE"]}, "private": ["town"]}),
            &["Languages", "Partner from", "Keep private"],
        ),
        ("two countries are one too many", "Country: Peru / Chile\n", json!({}), &["Country"]),
        ("my own country before it is known", "Not with: my own country\n", json!({}), &["Not with"]),
        ("a wish turned round", "Partner from: anywhere but Brazil\n", json!({}), &["Partner from"]),
        ("numbers in words", "Years in the field: twelve years\nNumber of partners: two\n", json!({"years": 12, "stage": "mid", "capacity": 2}), &[]),
        ("a stage of one's own", "Years in the field: 4\nCareer stage: mid-career\n", json!({"years": 4, "stage": "mid"}), &[]),
        ("learning on its own line", "Learning: German\nLanguages: English\n", json!({"languages": ["en"], "learning": ["de"]}), &[]),
        ("both ways", "Ways: both\nHow often: once a month please\n", json!({"ways": ["letters", "calls"], "rhythm": "monthly"}), &[]),
        ("kinds of library in a sentence", "Kind of library: I work in a public school library\n", json!({"sector": "school"}), &[]),
        ("a language of letters", "Preferred language: español\n", json!({"language": "es"}), &[]),
        ("years in many words", "Years in the field: 12 years, 5 of them here\nCareer stage: senior\n", json!({"years": 12, "stage": "senior"}), &[]),
        ("less than a year", "Years in the field: less than a year\n", json!({"years": 0, "stage": "new"}), &[]),
        ("months", "Years in the field: 18 months\n", json!({"years": 1, "stage": "new"}), &[]),
        ("half years", "Years in the field: 2.5\n", json!({"years": 2, "stage": "new"}), &[]),
        ("twenty-five", "Years in the field: nearly twenty-five\n", json!({"years": 25, "stage": "senior"}), &[]),
        ("between two bounds", "Years in the field: 3-4\n", json!({}), &["Years in the field"]),
        ("between two bounds in words", "Years in the field: 5 a 6 años\n", json!({}), &["Years in the field"]),
        ("a year, not a number of years", "Years in the field: since 2009\n", json!({}), &["Years in the field"]),
        ("one way and not the other", "Ways: letters only, no calls\n", json!({"ways": ["letters"]}), &[]),
        (
            "a cell that ran into the next",
            "Name: Ana Flores Country: Peru Time zone: America/Lima\n",
            json!({"name": "Ana Flores", "country": "PE", "timezone": "America/Lima"}),
            &[],
        ),
        (
            "a colon of one's own",
            "Role: Head of Unit: Cataloguing\nOrganisation: Library: Main Branch\n",
            json!({"role": "Head of Unit: Cataloguing", "organisation": "Library: Main Branch"}),
            &[],
        ),
        ("numbered with letters", "a) Town: Lima\n(2) Country: Peru\n", json!({"town": "Lima", "country": "PE"}), &[]),
        (
            "prose in paragraphs",
            "Hopes:\nI want to learn.\n\nAnd to teach as well.\n\nCountry: Peru\n",
            json!({"hopes": "I want to learn. And to teach as well.", "country": "PE"}),
            &[],
        ),
        ("prose at the end, and the farewell", "Hopes: I want to learn.\n\nBest wishes,\nAna\n", json!({"hopes": "I want to learn."}), &[]),
        (
            "people and places in one line",
            "Not with: people from Spain and María José de la Cruz\n",
            json!({"excludes": {"countries": ["ES"], "people": ["María José de la Cruz"]}}),
            &[],
        ),
        (
            "wishes with kind words",
            "Partner from: Someone from Kenya, Uganda or Tanzania would be lovely\n",
            json!({"prefers": {"countries": ["KE", "UG", "TZ"]}}),
            &[],
        ),
        ("what one does not want among the wishes", "Partner from: no preference, but not the US\n", json!({}), &["Partner from"]),
        (
            "keys as labels",
            "prefers.countries: Brazil\nsector: public\ntimezone: Europe/Lisbon\n",
            json!({"prefers": {"countries": ["BR"]}, "sector": "public", "timezone": "Europe/Lisbon"}),
            &[],
        ),
        ("a time zone's letters in a country of one clock", "Country: Germany\nTime zone: CET\n", json!({"country": "DE", "timezone": "Europe/Berlin"}), &[]),
        ("nothing at all", "", json!({}), &[]),
    ]
}

#[test]
fn forms_are_read_from_whatever_clients_make_of_them() {
    let programme = librarians();
    let mut wrong = Vec::new();
    for (what, letter, expected, unread) in letters() {
        let reading = read_form(letter, &programme);
        let labels: Vec<&str> = reading.unread.iter().map(|unread| unread.label.as_str()).collect();
        if understood(&reading) != expected || labels != unread {
            wrong.push(format!("{what}:\n{letter}\n  read {}\n  want {expected}\n  {:?}", understood(&reading), reading.unread));
        }
    }
    assert!(wrong.is_empty(), "{} letters:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Numbers without chance: the same every time, different enough.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % most
    }

    fn some<'a>(&mut self, of: &[&'a str]) -> Vec<&'a str> {
        let start = self.below(of.len());
        (0..self.below(4)).map(|i| of[(start + i) % of.len()]).collect()
    }
}

fn list(items: Vec<&str>) -> Answer {
    Answer::List(items.into_iter().map(str::to_owned).collect())
}

/// Answers as reading leaves them: some questions answered, every key of such a question filled.
fn any_answers(programme: &Programme, dice: &mut Dice) -> Answers {
    let countries: Vec<&str> = crate::domain::places::countries().collect();
    let languages = ["en", "es", "pt", "zh", "mi", "nb", "fil", "gsw", "ht", "sw", "kap"];
    let regions = ["419", "150", "035", "029", "202", "EU", "057"];
    let terms = ["metadata", "open access", "teaching and learning", "poetry, old and new", "history", "ciencia y arte", "bibliothèque & musée"];
    let people = ["Ana Flores", "María de los Ángeles", "ben@library.example", "O'Brien and Sons"];
    let texts = ["Ana", "Biblioteca Nacional: Lima", "Head of X, Y & Z", "she/her", "São Paulo", "東京", "[sic] Ana", "a = b", "> 5 people"];
    let mut answers = Answers::default();
    for question in programme.questions.iter().filter(|question| question.on_form) {
        if dice.below(3) == 0 {
            continue;
        }
        let key = question.key.as_str();
        let one = |of: &[&str], dice: &mut Dice| of[dice.below(of.len())].to_owned();
        match &question.kind {
            Kind::Text | Kind::Prose => answers.set(key, Answer::Text(one(&texts, dice))),
            Kind::Country => answers.set(key, Answer::Text(one(&countries, dice))),
            Kind::Timezone => answers.set(key, Answer::Text(one(&["Europe/Lisbon", "America/Argentina/Buenos_Aires", "Asia/Tokyo"], dice))),
            Kind::Language => answers.set(key, Answer::Text(one(&languages, dice))),
            Kind::Languages { learning } => {
                let spoken = dice.some(&languages[..6]);
                let learnt = dice.some(&languages[6..]);
                answers.set(key, list(spoken));
                if let Some(learning) = learning {
                    answers.set(learning.clone(), list(learnt));
                }
            }
            Kind::Places { people: named } => {
                answers.set(format!("{key}.countries"), list(dice.some(&countries)));
                answers.set(format!("{key}.regions"), list(dice.some(&regions)));
                if *named {
                    answers.set(format!("{key}.people"), list(dice.some(&people[..3])));
                }
            }
            Kind::Countries => answers.set(key, list(dice.some(&countries))),
            Kind::Regions => answers.set(key, list(dice.some(&regions))),
            Kind::Choice(values) => answers.set(key, Answer::Text(values[dice.below(values.len())].value.clone())),
            Kind::Choices(values) => answers.set(key, list(vec![values[dice.below(values.len())].value.as_str()])),
            Kind::Terms => answers.set(key, list(dice.some(&terms))),
            Kind::People => answers.set(key, list(dice.some(&people))),
            Kind::Number { min, max, derives } => {
                let number = min + u32::try_from(dice.below(60)).expect("small") % (max - min + 1).min(60);
                answers.set(key, Answer::Number(number));
                if let Some(derived) = derives {
                    let value = if dice.below(4) == 0 { "senior" } else { derived.value(number).expect("covers all") };
                    answers.set(derived.key.clone(), Answer::Text(value.to_owned()));
                }
            }
            Kind::YesNo => answers.set(key, Answer::YesNo(dice.below(2) == 0)),
            Kind::Questions => answers.set(key, list(dice.some(&["town", "years", "languages", "learning", "organisation"]))),
        }
    }
    // A line of the form hides all that it fills.
    if answers.list("private").iter().any(|key| key == "languages" || key == "learning") {
        answers.set("private", list(vec!["town", "languages", "learning"]));
    }
    answers
}

#[test]
fn what_the_form_says_is_read_back_the_same_however_it_is_quoted() {
    let programme = librarians();
    let mut dice = Dice(1);
    for _ in 0..150 {
        let answers = any_answers(&programme, &mut dice);
        let form = blank_form(&programme, &answers);
        for letter in [form.clone(), form.lines().map(|line| format!("> {line}\n")).collect(), format!("Hello,\n\n{form}\nBest wishes,\nAna\n")] {
            let reading = read_form(&letter, &programme);
            assert_eq!(reading.answers, answers, "{letter}\n{:?}", reading.unread);
            assert_eq!(reading.unread, [], "{letter}");
        }
    }
}

#[test]
fn every_country_and_language_survives_the_form() {
    let programme = librarians();
    for country in crate::domain::places::countries() {
        let mut answers = Answers::default();
        answers.set("country", Answer::Text(country.to_owned()));
        answers.set("prefers.countries", list(vec![country, if country == "PE" { "CL" } else { "PE" }]));
        answers.set("prefers.regions", list(vec!["150"]));
        assert_eq!(read_form(&blank_form(&programme, &answers), &programme).answers, answers);
    }
    for line in include_str!("../../domain/languages.tsv").lines().filter(|line| !line.starts_with('#')) {
        let code = line.split('\t').next().expect("a column");
        let mut answers = Answers::default();
        answers.set("languages", list(vec![if code == "en" { "es" } else { "en" }]));
        answers.set("learning", list(vec![code]));
        assert_eq!(read_form(&blank_form(&programme, &answers), &programme).answers, answers);
    }
}

#[test]
fn an_untouched_form_says_nothing() {
    let programme = librarians();
    let form = blank_form(&programme, &Answers::default());
    let quoted: String = form.lines().map(|line| format!("> {line}\n")).collect();
    // As clients fold lines at 60 characters, with and without the mark on the rest.
    let folded = |mark: &str| -> String {
        let mut out = String::new();
        for line in form.lines() {
            let (mut length, mut first) = (0, true);
            for word in line.split(' ') {
                if length + word.len() > 56 {
                    out.push_str(&format!("\n{mark}"));
                    length = 0;
                } else if first {
                    out.push_str("> ");
                } else {
                    out.push(' ');
                }
                first = false;
                length += word.len() + 1;
                out.push_str(word);
            }
            out.push('\n');
        }
        out
    };
    for letter in [form.clone(), quoted, folded("> "), folded("")] {
        assert_eq!(read_form(&letter, &programme), FormReading::default(), "{letter}");
    }
}

#[test]
fn no_letter_makes_the_reader_fall() {
    let programme = librarians();
    let pieces = [
        "Name:",
        "Country",
        ":",
        "：",
        "\n",
        "\r\n",
        "> ",
        "| ",
        "[",
        "]",
        "(",
        ")",
        "é",
        "\u{300}",
        "\u{0}",
        "日本",
        " ",
        "\t",
        ",",
        ";",
        "and",
        "*",
        "Languages:",
        "Not with:",
        "____",
        "Years:",
        "999999999999",
        "2.5.1",
        "- ",
        "On 1 wrote:",
        "💌",
        "İ",
        "ß",
    ];
    let mut dice = Dice(7);
    for _ in 0..1000 {
        let letter: String = (0..dice.below(40)).map(|_| pieces[dice.below(pieces.len())]).collect();
        let reading = read_form(&letter, &programme);
        blank_form(&programme, &reading.answers);
    }
    let long = format!("Hopes: {}\nInterests: {}", "word ".repeat(50_000), "a, ".repeat(50_000));
    assert_eq!(read_form(&long, &programme).unread.len(), 2, "both are too long to keep");
    let lines = format!("Hopes:\n{}", "word\n".repeat(50_000));
    assert_eq!(read_form(&lines, &programme).unread.len(), 1);
    let row = "Name: a ".repeat(20_000);
    assert_eq!(read_form(&row, &programme).unread.len(), 1);
}

#[test]
fn required_questions_without_an_answer_are_missing() {
    let programme = librarians();
    let labels =
        |letter: &str| -> Vec<String> { missing(&programme, &read_form(letter, &programme).answers).iter().map(|question| question.ask.clone()).collect() };
    assert_eq!(labels(""), ["Name", "Country", "Languages"]);
    assert_eq!(labels("Name: Ana\nLanguages: learning English"), ["Country", "Languages"]);
    assert_eq!(labels("Name: Ana\nLanguages: English\nCountry: Peru"), [] as [&str; 0]);
}

#[test]
fn the_partner_sees_what_is_shared_and_not_private() {
    let programme = librarians();
    let letter = "Name: Ana\nCountry: Peru\nTown: Lima\nYears in the field: 4\nLanguages: Spanish, learning English\nNot with: Ben Otter\nMonthly topics: no\nInterests: none\nKeep private: my town, years in the field";
    let answers = read_form(letter, &programme).answers;
    let pairs = |pairs: Vec<(String, String)>| -> Vec<String> { pairs.into_iter().map(|(label, words)| format!("{label}: {words}")).collect() };
    assert_eq!(pairs(shared(&programme, &answers)), ["Name: Ana", "Country: Peru", "Languages: Spanish, English (learning)"]);
    let all = pairs(show(&programme, &answers));
    for line in ["Town: Lima", "Years in the field: 4", "Not with: Ben Otter", "Monthly topics: no", "Keep private: Town, Years in the field"] {
        assert!(all.iter().any(|shown| shown == line), "{line}: {all:?}");
    }
    assert!(!all.iter().any(|line| line.starts_with("Career stage") || line.starts_with("Learning")), "said once only: {all:?}");
}

#[test]
fn a_yes_above_the_quoted_answers_changes_nothing() {
    let programme = librarians();
    let known = read_form("Name: Ana\nCountry: Peru\nLanguages: Spanish, learning English\nPartner from: Brazil\nYears in the field: 4", &programme).answers;
    let told: String = show(&programme, &known).iter().map(|(label, words)| format!("> {label}: {words}\n")).collect();
    let reading = read_form(&format!("yes\n\nOn Monday 1 March 2027 Pairpost wrote:\n{told}> Town: \n> Time zone: UTC+2\n"), &programme);
    assert_eq!(reading.answers.differing_from(&known), Answers::default());
    assert!(reading.unread.iter().all(|unread| unread.quoted) && reading.unread.len() == 1);
    let corrected = read_form(&format!("Country: Chile\n{told}"), &programme).answers.differing_from(&known);
    assert_eq!(understood(&FormReading { answers: corrected, ..FormReading::default() }), json!({"country": "CL"}));
}

#[test]
fn a_later_letter_may_speak_of_the_country_known_before() {
    let programme = librarians();
    let mut known = Answers::default();
    known.set("country", Answer::Text("PE".into()));
    let reading = read_form_knowing("Not with: my own country\nTime zone: CET", &programme, &known);
    assert_eq!(understood(&reading), json!({"excludes": {"countries": ["PE"]}}));
    assert_eq!(read_form("Years in the field: 20", &programme).inferred, ["stage"]);
}

/// Whole messages, bytes as they arrive, with what the form in them says.
fn messages() -> Vec<(&'static str, Vec<u8>, Value)> {
    let html = |body: &str| {
        format!("From: ana@example.org\r\nSubject: Re: The form\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n").into_bytes()
    };
    let plain = |kind: &str, body: &[u8]| {
        [format!("From: ana@example.org\r\nSubject: form\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; {kind}\r\n\r\n").as_bytes(), body].concat()
    };
    let quoted = "Content-Transfer-Encoding: quoted-printable";
    vec![
        ("Gmail", html("<div dir=\"ltr\"><div>Name: Ana Flores</div><div>Country:&nbsp;Peru</div><div>Languages: <b>Spanish</b>, English</div></div><br><div class=\"gmail_quote\"><div dir=\"ltr\" class=\"gmail_attr\">On Mon, 1 Mar 2027 at 09:00, Pairpost &lt;<a href=\"mailto:join@pairs.test\">join@pairs.test</a>&gt; wrote:<br></div><blockquote class=\"gmail_quote\">Name*: [as your partner should see it]<br>Country*: Chile<br></blockquote></div>"), json!({"name": "Ana Flores", "country": "PE", "languages": ["es", "en"]})),
        ("Gmail, filled in within the quotation", html("<div dir=\"ltr\">Here it is</div><br><div class=\"gmail_quote\"><div class=\"gmail_attr\">On Mon, 1 Mar 2027 at 09:00, Pairpost &lt;join@pairs.test&gt; wrote:<br></div><blockquote class=\"gmail_quote\"><div>Name*: Ana Flores<br>Country*: Peru<br>Town:<br>Role: [what you do, in your own words]</div></blockquote></div>"), json!({"name": "Ana Flores", "country": "PE"})),
        ("Outlook", html("<html><body lang=\"EN-GB\"><div class=\"WordSection1\"><p class=\"MsoNormal\">Country: Peru<o:p></o:p></p><p class=\"MsoNormal\">Town: Lima<o:p></o:p></p><p class=\"MsoNormal\"><o:p>&nbsp;</o:p></p><div style=\"border:none;border-top:solid #E1E1E1 1.0pt\"><p class=\"MsoNormal\"><b>From:</b> Pairpost &lt;join@pairs.test&gt;<br><b>Sent:</b> 01 March 2027 09:00<br><b>To:</b> Ana<br><b>Subject:</b> The form</p></div><p class=\"MsoNormal\">Name: Ana<o:p></o:p></p><p class=\"MsoNormal\">Country: Chile<o:p></o:p></p></div></body></html>"), json!({"name": "Ana", "country": "PE", "town": "Lima"})),
        ("a table", html("<table><tr><td>Name</td><td>Ana</td></tr><tr><td>Country:</td><td>Peru</td></tr></table>"), json!({"name": "Ana", "country": "PE"})),
        ("a list with bold labels", html("<ul><li><strong>Name:</strong> Ana</li><li><strong>Country</strong>: Peru</li></ul>"), json!({"name": "Ana", "country": "PE"})),
        ("paragraphs", html("<p>Name:</p><p>Ana</p><p>Country:</p><p>Peru</p><p>Town:</p>"), json!({"name": "Ana", "country": "PE"})),
        ("Latin-1", plain("charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit", b"Nombre: Jos\xe9 N\xfa\xf1ez\r\nPa\xeds: M\xe9xico\r\n"), json!({"name": "José Núñez", "country": "MX"})),
        ("quoted-printable", plain(&format!("charset=utf-8\r\n{quoted}"), "Name: Jos=C3=A9\r\nHopes: to hear how a small library in another country works with schools,=\r\n and to write\r\nCountry: C=C3=B4te d=E2=80=99Ivoire\r\n".as_bytes()), json!({"name": "José", "hopes": "to hear how a small library in another country works with schools, and to write", "country": "CI"})),
        ("format=flowed", plain("charset=utf-8; format=flowed", b"> Name: Ana\r\n> Interests: rare books, open access, \r\n> poetry\r\nCountry: Peru\r\n"), json!({"name": "Ana", "interests": ["rare books", "open access", "poetry"], "country": "PE"})),
        ("Shift_JIS", plain("charset=shift_jis\r\nContent-Transfer-Encoding: 8bit", b"Name: Yuki\r\nCountry\x81F\x93\xfa\x96{\r\n"), json!({"name": "Yuki", "country": "JP"})),
    ]
}

#[test]
fn forms_are_read_from_whole_messages() {
    let programme = librarians();
    let mut wrong = Vec::new();
    for (what, raw, expected) in messages() {
        let message = crate::mail::message::Message::parse(&raw);
        let reading = read_form(message.text(), &programme);
        if understood(&reading) != expected || !reading.unread.is_empty() {
            wrong.push(format!("{what}:\n{}\n  read {}\n  want {expected}\n  {:?}", message.text(), understood(&reading), reading.unread));
        }
    }
    assert!(wrong.is_empty(), "{} messages:\n{}", wrong.len(), wrong.join("\n\n"));
}
