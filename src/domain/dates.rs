//! Days as people write them: ISO 8601, "1 March 2027", "1.3.2027", "March 1", "two weeks".
use chrono::{Datelike, Days, Months, NaiveDate};

use super::fold::fold;

/// The day that a few words name. Without a year it is the next such day from `today` on; a month alone is its first day.
/// `None` where the words name no one day ("1/3/2027" is January in one country and March in another).
pub fn date(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let key = fold(text);
    let words: Vec<&str> =
        key.split(' ').filter(|word| !matches!(*word, "the" | "of" | "de" | "del" | "do" | "le" | "el" | "den" | "der" | "am" | "on" | "")).collect();
    if let Some(date) = in_digits(text.trim().trim_end_matches(['.', '!', ','])) {
        return Some(date);
    }
    let number = |word: &str| word.trim_end_matches(|c: char| c.is_alphabetic()).parse::<u32>().ok().filter(|_| is_ordinal(word));
    match words[..] {
        ["tomorrow"] => today.succ_opt(),
        ["end", name] => end_of(month(name)?, next_year(month(name)?, 28, today)?),
        ["end", name, year] => end_of(month(name)?, a_year(year)?),
        [name] => NaiveDate::from_ymd_opt(next_year(month(name)?, 1, today)?, month(name)?, 1),
        [day, name] if number(day).is_some() => coming(month(name)?, number(day)?, today),
        [name, day] if number(day).is_some_and(|day| day <= 31) => coming(month(name)?, number(day)?, today),
        [name, year] if year.len() == 4 => NaiveDate::from_ymd_opt(a_year(year)?, month(name)?, 1),
        [day, name, year] if number(day).is_some() && month(name).is_some() => NaiveDate::from_ymd_opt(a_year(year)?, month(name)?, number(day)?),
        [name, day, year] => NaiveDate::from_ymd_opt(a_year(year)?, month(name)?, number(day)?),
        _ => None,
    }
}

/// The day that is as far from `today` as a few words say: "two weeks", "3 months", "a month".
pub fn after(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    const COUNTS: [&str; 13] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let key = fold(text);
    let words: Vec<&str> = key.split(' ').collect();
    let (count, unit) = match words[..] {
        ["a" | "an" | "one", unit] => (1, unit),
        [count, unit] => (count.parse().ok().or_else(|| COUNTS.iter().position(|word| *word == count).and_then(|at| u32::try_from(at).ok()))?, unit),
        _ => return None,
    };
    let count = Some(count).filter(|count| (1..=400).contains(count))?;
    match unit.trim_end_matches('s') {
        "day" => today.checked_add_days(Days::new(u64::from(count))),
        "week" => today.checked_add_days(Days::new(7 * u64::from(count))),
        "fortnight" => today.checked_add_days(Days::new(14 * u64::from(count))),
        "month" => today.checked_add_months(Months::new(count)),
        "year" => today.checked_add_months(Months::new(12 * count)),
        _ => None,
    }
}

/// "2027-03-01", "1.3.2027", "31/12/2027"; not "1/3/2027", which is two days.
fn in_digits(text: &str) -> Option<NaiveDate> {
    let parts: Vec<&str> = text.split(['-', '.', '/']).map(str::trim).collect();
    let [a, b, c] = parts[..] else { return None };
    if [a, b, c].iter().any(|part| part.is_empty() || part.len() > 4 || !part.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    if a.len() == 4 {
        return NaiveDate::from_ymd_opt(a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    }
    let (year, a, b) = (a_year(c)?, a.parse().ok()?, b.parse().ok()?);
    // With dots it is the day that comes first, everywhere; with strokes it depends on the country.
    if text.contains('.') || a > 12 || a == b {
        NaiveDate::from_ymd_opt(year, b, a)
    } else if b > 12 {
        NaiveDate::from_ymd_opt(year, a, b)
    } else {
        None
    }
}

fn is_ordinal(word: &str) -> bool {
    matches!(word.trim_start_matches(|c: char| c.is_ascii_digit()), "" | "st" | "nd" | "rd" | "th" | "er" | "o")
}

fn a_year(word: &str) -> Option<i32> {
    match (word.len(), word.parse::<i32>().ok()?) {
        (2, year) => Some(2000 + year),
        (4, year) if (1900..2200).contains(&year) => Some(year),
        _ => None,
    }
}

/// The year in which a day comes next.
fn next_year(month: u32, day: u32, today: NaiveDate) -> Option<i32> {
    let this = NaiveDate::from_ymd_opt(today.year(), month, day);
    Some(if this.is_some_and(|date| date >= today) { today.year() } else { today.year() + 1 })
}

fn coming(month: u32, day: u32, today: NaiveDate) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(next_year(month, day, today)?, month, day)
}

fn end_of(month: u32, year: i32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, 1)?.checked_add_months(Months::new(1))?.pred_opt()
}

/// A month by its name or its first three letters, in the languages of letters we see most; folded.
fn month(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january jan enero janeiro janvier januar janner gennaio januari",
        "february feb febrero fevereiro fevrier februar febbraio februari",
        "march mar marzo marco mars marz maerz maart",
        "april apr abril avril aprile",
        "may mayo maio mai maggio mei",
        "june jun junio junho juin juni giugno",
        "july jul julio julho juillet juli luglio",
        "august aug agosto aout augustus",
        "september sep sept septiembre setembro septembre settembre",
        "october oct octubre outubro octobre oktober ottobre okt",
        "november nov noviembre novembro novembre",
        "december dec diciembre dezembro decembre dezember dicembre dez",
    ];
    MONTHS.iter().position(|names| names.split(' ').any(|name| name == word)).and_then(|at| u32::try_from(at + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("an ISO day")
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        let today = day("2027-02-15");
        for (text, expected) in [
            ("2027-03-01", "2027-03-01"),
            ("1 March 2027", "2027-03-01"),
            ("1st of March, 2027", "2027-03-01"),
            ("March 1, 2027", "2027-03-01"),
            ("the 1st of March", "2027-03-01"),
            ("March 1", "2027-03-01"),
            ("1 Mar", "2027-03-01"),
            ("15 February", "2027-02-15"),
            ("14 February", "2028-02-14"),
            ("1.3.2027", "2027-03-01"),
            ("01.03.27", "2027-03-01"),
            ("31/12/2027", "2027-12-31"),
            ("12/31/2027", "2027-12-31"),
            ("3/3/2027", "2027-03-03"),
            ("1. März 2027", "2027-03-01"),
            ("1 de marzo de 2027", "2027-03-01"),
            ("1er mars 2027", "2027-03-01"),
            ("March", "2027-03-01"),
            ("January", "2028-01-01"),
            ("March 2027", "2027-03-01"),
            ("the end of March", "2027-03-31"),
            ("end of February 2028", "2028-02-29"),
            ("tomorrow", "2027-02-16"),
        ] {
            assert_eq!(date(text, today), Some(day(expected)), "{text}");
        }
        for text in ["", "1/3/2027", "30 February 2027", "soon", "2027", "12345", "99.99.9999", "1..2027", "March 40"] {
            assert_eq!(date(text, today), None, "{text}");
        }
    }

    #[test]
    fn spans_are_counted_from_today() {
        let today = day("2027-01-31");
        for (text, expected) in [
            ("two weeks", Some("2027-02-14")),
            ("a month", Some("2027-02-28")),
            ("3 months", Some("2027-04-30")),
            ("10 days", Some("2027-02-10")),
            ("ages", None),
            ("0 days", None),
            ("5000000000 weeks", None),
        ] {
            assert_eq!(after(text, today), expected.map(day), "{text}");
        }
    }
}
