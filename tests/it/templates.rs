//! Each letter as its sample gives it, compared with `tests/templates/*.txt`: a changed word is seen in review. `UPDATE=1` writes them anew.
use std::path::Path;

use pairpost::templates::{Common, Letter, Templates, letters as l, operator_letters as o, round_letters as r};

fn all(templates: &Templates) -> Vec<(&'static str, String)> {
    fn one<L: Letter>(templates: &Templates) -> (&'static str, String) {
        let letter = templates.letter(&L::sample(), "Ben", "en").unwrap_or_else(|error| panic!("{}: {error:#}", L::NAME));
        assert!(letter.html.contains("<html lang=\"en\""), "{} is a whole page", L::NAME);
        (L::NAME, format!("Subject: {}\n\n{}", letter.subject, letter.text))
    }
    vec![
        one::<l::Confirmed>(templates),
        one::<l::ForOperator>(templates),
        one::<l::Form>(templates),
        one::<l::Help>(templates),
        one::<l::Left>(templates),
        one::<l::NotComplete>(templates),
        one::<l::NotYet>(templates),
        one::<l::NothingHeld>(templates),
        one::<l::NothingToDo>(templates),
        one::<l::PartnerLeft>(templates),
        one::<l::Paused>(templates),
        one::<l::RelayRefused>(templates),
        one::<l::Resumed>(templates),
        one::<l::Status>(templates),
        one::<l::Subscribe>(templates),
        one::<l::Subscribed>(templates),
        one::<l::TopicLetter>(templates),
        one::<l::Undelivered>(templates),
        one::<l::Understood>(templates),
        one::<l::Unsubscribed>(templates),
        one::<l::WasItYou>(templates),
        one::<o::BrakeAsked>(templates),
        one::<o::Held>(templates),
        one::<o::LettersFailed>(templates),
        one::<o::LettersSetAside>(templates),
        one::<o::Released>(templates),
        one::<o::StreamHeld>(templates),
        one::<r::Introduction>(templates),
        one::<r::LeftOver>(templates),
        one::<r::NewPartner>(templates),
        one::<r::PartnershipEnded>(templates),
        one::<r::RoundEnded>(templates),
        one::<r::RoundOpened>(templates),
    ]
}

#[test]
fn every_letter_reads_as_it_was_last_approved() {
    let templates = Templates::new(Common::new("The Librarians' Exchange", "pairs.example"), None).expect("templates parse");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates");
    let letters = all(&templates);
    let mut changed = Vec::new();
    for (name, words) in &letters {
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(&file, words).expect("written");
        } else if std::fs::read_to_string(&file).ok().as_ref() != Some(words) {
            changed.push(format!("{name} now reads:\n{words}"));
        }
    }
    assert!(changed.is_empty(), "{}\n(UPDATE=1 approves)", changed.join("\n\n"));
    let sources = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/mail/en")).expect("templates").count();
    assert_eq!(letters.len(), sources, "each template has a golden file");
}
