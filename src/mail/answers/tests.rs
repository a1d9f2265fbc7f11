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
        ("an answer in the brackets of the hint", "Country: [Peru]\nTown: [ Lima ]\n", json!({"country": "PE", "town": "Lima"}), &[]),
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
        ("nothing at all", "", json!({}), &[]),
    ]
}

#[test]
fn forms_are_read_from_whatever_clients_make_of_them() {
    let programme = librarians();
    for (what, letter, expected, unread) in letters() {
        let reading = read_form(letter, &programme);
        assert_eq!(understood(&reading), expected, "{what}:\n{letter}\n{:?}", reading.unread);
        let labels: Vec<&str> = reading.unread.iter().map(|unread| unread.label.as_str()).collect();
        assert_eq!(labels, unread, "{what}:\n{letter}\n{:?}", reading.unread);
    }
}
