//! The letters of a round: one struct each, with a sample that its golden file is made of.
use serde::Serialize;

use super::{Letter, letters::Line};

/// Their templates: path below `templates/`, and source.
pub const SOURCES: &[(&str, &str)] = &[
    ("mail/en/introduction.md.j2", include_str!("../../templates/mail/en/introduction.md.j2")),
    ("mail/en/left_over.md.j2", include_str!("../../templates/mail/en/left_over.md.j2")),
    ("mail/en/new_partner.md.j2", include_str!("../../templates/mail/en/new_partner.md.j2")),
    ("mail/en/partnership_ended.md.j2", include_str!("../../templates/mail/en/partnership_ended.md.j2")),
    ("mail/en/round_ended.md.j2", include_str!("../../templates/mail/en/round_ended.md.j2")),
    ("mail/en/round_opened.md.j2", include_str!("../../templates/mail/en/round_opened.md.j2")),
];

/// A round has opened, to somebody on the waiting list.
#[derive(Debug, Serialize)]
pub struct RoundOpened {
    /// The round's name.
    pub name: String,
    /// Its last day for applications, in words.
    pub closes: String,
    /// Its first day of introductions, in words.
    pub introduced: String,
    /// Their application is confirmed.
    pub confirmed: bool,
    /// They are in; else it was full.
    pub has_place: bool,
    /// Questions without an answer that must have one, where the application is not confirmed: label and hint.
    pub missing: Vec<Line>,
}
impl Letter for RoundOpened {
    const NAME: &'static str = "round_opened";
    fn sample() -> Self {
        Self {
            name: "Spring 2027".into(),
            closes: "20 March 2027".into(),
            introduced: "1 April 2027".into(),
            confirmed: true,
            has_place: true,
            missing: Vec::new(),
        }
    }
}

/// A partner, as the other one gets to know them.
#[derive(Debug, Clone, Serialize)]
pub struct IntroducedPartner {
    /// The name they chose to show.
    pub name: String,
    /// Where to write to them.
    pub address: String,
    /// What they agreed to share.
    pub known: Vec<Line>,
}

/// Partners are introduced to each other.
#[derive(Debug, Serialize)]
pub struct Introduction {
    /// One, or two in a trio.
    pub partners: Vec<IntroducedPartner>,
    /// Wishes of the reader that are met, a sentence each without its full stop.
    pub met: Vec<String>,
    /// Wishes that are not.
    pub unmet: Vec<String>,
    /// What they share beyond that.
    pub reasons: Vec<String>,
    /// Ideas for the first letter in the programme's own words; empty: those of the template.
    pub ideas: Vec<String>,
    /// The last day on which letters pass, in words.
    pub ends: String,
}
impl Letter for Introduction {
    const NAME: &'static str = "introduction";
    fn sample() -> Self {
        Self {
            partners: vec![IntroducedPartner {
                name: "Ana".into(),
                address: "ana.abcdefghijklm@pairs.example".into(),
                known: vec![Line::new("Country", "Peru"), Line::new("Role", "cataloguer")],
            }],
            met: vec!["You asked for a partner in Peru: your partner is in Peru".into()],
            unmet: vec!["You asked for a partner from your own sector: your partner belongs to the public sector; this time it could not be arranged".into()],
            reasons: vec!["You both speak English".into()],
            ideas: Vec::new(),
            ends: "30 September 2027".into(),
        }
    }
}

/// A round has no partner for somebody.
#[derive(Debug, Serialize)]
pub struct LeftOver {
    /// The round's name.
    pub name: String,
    /// Why, to follow "because".
    pub why: String,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for LeftOver {
    const NAME: &'static str = "left_over";
    fn sample() -> Self {
        Self {
            name: "Spring 2027".into(),
            why: "an odd number of people could be matched, so that one had to be left over".into(),
            round: "The next round opens on 1 October 2027; we will write to you then.".into(),
        }
    }
}

/// Somebody's partner asked for another one.
#[derive(Debug, Serialize)]
pub struct PartnershipEnded {
    /// The partner's chosen name.
    pub partner: String,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for PartnershipEnded {
    const NAME: &'static str = "partnership_ended";
    fn sample() -> Self {
        Self { partner: "Ana".into(), round: "The next round opens on 1 October 2027; we will write to you then.".into() }
    }
}

/// Somebody who asked for another partner is on the list.
#[derive(Debug, Serialize)]
pub struct NewPartner {
    /// The chosen name of the partner that they had until now; empty without one.
    pub partner: String,
    /// They were on the list already.
    pub again: bool,
    /// The round that runs, in which they may find one; empty when none does.
    pub running: String,
    /// Days between two matches in it; 0: when coordinators say so.
    pub every: u16,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for NewPartner {
    const NAME: &'static str = "new_partner";
    fn sample() -> Self {
        Self { partner: "Ana".into(), again: false, running: "Spring 2027".into(), every: 7, round: String::new() }
    }
}

/// A round is over.
#[derive(Debug, Serialize)]
pub struct RoundEnded {
    /// The round's name.
    pub name: String,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for RoundEnded {
    const NAME: &'static str = "round_ended";
    fn sample() -> Self {
        Self { name: "Spring 2027".into(), round: "The next round opens on 1 October 2027; we will write to you then.".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::{Common, Rendered, Templates};

    fn render<L: Letter>(letter: &L) -> Rendered {
        let templates = Templates::new(Common::new("Pairs", "pairs.example"), None).expect("templates parse");
        templates.letter(letter, "Ben", "en").expect("renders")
    }

    /// Without regard to where lines are wrapped.
    fn flat(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    }

    #[test]
    fn an_introduction_shows_the_partner_the_address_the_reasons_and_ideas() {
        let letter = render(&Introduction::sample());
        assert_eq!(letter.subject, "Meet Ana, your partner");
        for words in [
            "*Ana*, whom you reach at ana.abcdefghijklm@pairs.example\n\n- Country: Peru\n- Role: cataloguer\n",
            "- You asked for a partner in Peru: your partner is in Peru.\n- You both speak English.\n",
            "Not every wish could be met this time:",
            "what your role means day to day",
            "career path",
            "your field in your country",
            "how often you would like to write",
            "until 30 September 2027.",
        ] {
            assert!(flat(&letter.text).contains(&flat(words)), "{words}\n\n{}", letter.text);
        }
        assert!(letter.html.contains("href=\"mailto:ana.abcdefghijklm@pairs.example\""), "{}", letter.html);
        let own = render(&Introduction { ideas: vec!["Your *garden*.".into()], ..Introduction::sample() });
        assert!(own.text.contains("- Your garden.") && !own.text.contains("career path"), "{}", own.text);
    }

    #[test]
    fn three_partners_are_all_named_and_nothing_is_made_up_where_nothing_was_asked() {
        let sample = Introduction::sample();
        let mut second = sample.partners[0].clone();
        second.name = "Chidi".into();
        let partners = vec![sample.partners[0].clone(), second];
        let letter = render(&Introduction { partners, met: Vec::new(), unmet: Vec::new(), reasons: Vec::new(), ..sample });
        assert_eq!(letter.subject, "Meet your partners: Ana and Chidi");
        assert!(letter.text.contains("\n\n*Ana*, whom") && letter.text.contains("\n\n*Chidi*, whom you reach at"), "{}", letter.text);
        assert!(letter.text.contains("You left the choice to us") && !letter.text.contains("Not every wish"), "{}", letter.text);
    }

    #[test]
    fn the_news_of_an_open_round_differs_for_those_who_are_in_who_are_not_and_who_have_not_confirmed() {
        let sample = RoundOpened::sample;
        let missing = vec![Line::new("Country", "where you live"), Line::new("Languages", "")];
        for (letter, subject, words) in [
            (sample(), "Pairs: round Spring 2027 is open", "you are in it"),
            (RoundOpened { has_place: false, ..sample() }, "Pairs: round Spring 2027 is open, and full already", "You keep your place on the list"),
            (
                RoundOpened { confirmed: false, missing, ..sample() },
                "Pairs: round Spring 2027 is open, and something is missing",
                "- *Country*: where you live\n- *Languages*",
            ),
            (
                RoundOpened { confirmed: false, ..sample() },
                "Pairs: round Spring 2027 is open, and something is missing",
                "reply with one word, yes, and you are in",
            ),
        ] {
            let letter = render(&letter);
            assert_eq!(letter.subject, subject);
            assert!(flat(&letter.text).contains(&flat(words)), "{words}\n\n{}", letter.text);
        }
        assert!(flat(&render(&LeftOver::sample()).text).contains("because an odd number of people"));
        assert!(flat(&render(&RoundEnded::sample()).text).contains("no longer pass"));
    }
}
