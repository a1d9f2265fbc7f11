//! Whom people mean by a name they write, and whether a mailbox tells of an employer.
use super::{address::EmailAddress, fold::fold};

/// How well written words fit a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Somebody else is meant.
    No,
    /// The words are part of the name, or the name is part of the words: "Maria", "Dr Maria Silva of Lisbon".
    Perhaps,
    /// It is the name, or the mailbox.
    Surely,
}

/// How well `words` fit a person of this name and mailbox.
pub fn fit(words: &str, name: &str, email: &EmailAddress) -> Fit {
    let (asked, has) = (fold(words), fold(name));
    if asked.is_empty() {
        return Fit::No;
    }
    if asked == has || words.to_lowercase().split(|c: char| c.is_whitespace() || "<>(),;\"".contains(c)).any(|word| word == email.key()) {
        return Fit::Surely;
    }
    let all_in = |some: &str, all: &str| some.split(' ').all(|word| all.split(' ').any(|other| other == word));
    // A single word of a longer sentence is too little to know a person by.
    let is_name_in_words = has.contains(' ') && all_in(&has, &asked);
    if all_in(&asked, &has) || is_name_in_words { Fit::Perhaps } else { Fit::No }
}

/// Whom a wish for a person means: those whom it fits surely, else the only one whom it may fit.
pub fn wished<T: Copy>(fits: impl Iterator<Item = (T, Fit)>) -> Vec<T> {
    let fits: Vec<(T, Fit)> = fits.collect();
    let those = |fit: Fit| fits.iter().filter(move |(_, other)| *other == fit).map(|(who, _)| *who).collect::<Vec<T>>();
    let (surely, perhaps) = (those(Fit::Surely), those(Fit::Perhaps));
    match (surely.is_empty(), perhaps.len()) {
        (false, _) => surely,
        (true, 1) => perhaps,
        (true, _) => Vec::new(),
    }
}

/// Whom a "never with" means: everybody whom it may fit, for one partner too few is better than the one who must not be.
pub fn avoided<T: Copy>(fits: impl Iterator<Item = (T, Fit)>) -> Vec<T> {
    fits.filter(|(_, fit)| *fit >= Fit::Perhaps).map(|(who, _)| who).collect()
}

/// The mail domain of a mailbox where that tells of an employer: not a mail provider's, and not one that is reserved for examples (RFC 2606).
pub fn employer_domain(email: &EmailAddress) -> Option<&str> {
    let domain = email.domain();
    let is = |known: &str| domain == known || domain.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'));
    let reserved = ["example.org", "example.com", "example.net", "example", "test", "invalid", "localhost"];
    // "yahoo" stands for yahoo.com, yahoo.co.uk, yahoo.com.br, …
    let first = domain.split('.').next().unwrap_or_default();
    let provided = BRANDS.contains(&first) || PROVIDERS.iter().any(|known| is(known));
    (!provided && !reserved.into_iter().any(is) && !domain.starts_with('[')).then_some(domain)
}

/// Providers that have a domain per country.
const BRANDS: [&str; 8] = ["yahoo", "hotmail", "live", "outlook", "ymail", "rocketmail", "yandex", "gmail"];

/// Providers of mailboxes for anybody, by their domains.
const PROVIDERS: [&str; 66] = [
    "googlemail.com",
    "msn.com",
    "passport.com",
    "windowslive.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "aol.com",
    "aim.com",
    "proton.me",
    "protonmail.com",
    "pm.me",
    "tutanota.com",
    "tutanota.de",
    "tuta.com",
    "tuta.io",
    "fastmail.com",
    "fastmail.fm",
    "hey.com",
    "zoho.com",
    "zohomail.com",
    "gmx.de",
    "gmx.net",
    "gmx.com",
    "gmx.at",
    "gmx.ch",
    "web.de",
    "t-online.de",
    "freenet.de",
    "posteo.de",
    "posteo.net",
    "mailbox.org",
    "mail.com",
    "email.com",
    "mail.ru",
    "bk.ru",
    "inbox.ru",
    "list.ru",
    "ya.ru",
    "rambler.ru",
    "ukr.net",
    "i.ua",
    "seznam.cz",
    "email.cz",
    "centrum.cz",
    "wp.pl",
    "o2.pl",
    "onet.pl",
    "interia.pl",
    "orange.fr",
    "wanadoo.fr",
    "free.fr",
    "laposte.net",
    "sfr.fr",
    "libero.it",
    "virgilio.it",
    "uol.com.br",
    "bol.com.br",
    "terra.com.br",
    "qq.com",
    "163.com",
    "126.com",
    "naver.com",
    "daum.net",
    "rediffmail.com",
    "riseup.net",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(email: &str) -> EmailAddress {
        EmailAddress::parse(email).expect("an address")
    }

    #[test]
    fn a_person_is_known_by_name_by_mailbox_and_perhaps_by_a_part_of_the_name() {
        for (words, fitting) in [
            ("María Silva", Fit::Surely),
            ("maria  SILVA", Fit::Surely),
            ("my friend <Maria@lib.pt>", Fit::Surely),
            ("Maria", Fit::Perhaps),
            ("Silva, Maria", Fit::Perhaps),
            ("Dr Maria Silva of Lisbon", Fit::Perhaps),
            ("Mario Silva", Fit::No),
            ("anybody from Silva's library", Fit::No),
            ("", Fit::No),
        ] {
            assert_eq!(fit(words, "Maria Silva", &at("maria@lib.pt")), fitting, "{words}");
        }
    }

    #[test]
    fn a_wish_names_one_and_an_exclusion_spares_nobody_it_may_mean() {
        let two = [(1, Fit::Perhaps), (2, Fit::Perhaps), (3, Fit::No)];
        assert_eq!((wished(two.into_iter()), avoided(two.into_iter())), (vec![], vec![1, 2]));
        let sure = [(1, Fit::Perhaps), (2, Fit::Surely)];
        assert_eq!((wished(sure.into_iter()), avoided(sure.into_iter())), (vec![2], vec![1, 2]));
        assert_eq!(wished([(1, Fit::Perhaps), (2, Fit::No)].into_iter()), [1]);
    }

    #[test]
    fn a_mailbox_at_a_provider_tells_of_no_employer() {
        for (email, employer) in [
            ("ana@bl.uk", Some("bl.uk")),
            ("ana@lib.uni-x.edu", Some("lib.uni-x.edu")),
            ("ana@gmail.com", None),
            ("ana@yahoo.com.br", None),
            ("ana@qq.com", None),
            ("ana@example.org", None),
            ("ana@partner.example", None),
            ("ana@pairs.test", None),
            ("ana@[127.0.0.1]", None),
        ] {
            assert_eq!(employer_domain(&at(email)), employer, "{email}");
        }
    }
}
