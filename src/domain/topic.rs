//! A monthly topic, as its writer hands it in: a small head, an empty line, Markdown.
use chrono::NaiveDate;

/// A topic that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name in commands and links: lower-case words and hyphens.
    pub slug: String,
    /// What the letter's subject says.
    pub title: String,
    /// The day it goes out, if that is known already.
    pub send_on: Option<NaiveDate>,
    /// Markdown.
    pub body: String,
}

/// Why a text is no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The head names no title.
    #[error("the topic has no title: begin with a line `Title: …`, then an empty line, then the words")]
    NoTitle,
    /// There are no words behind the head.
    #[error("the topic has no words: they stand behind the first empty line")]
    NoBody,
    /// A line of the head that is not known.
    #[error("line {0}: the head knows `Title:`, `Slug:` and `Send-on: YYYY-MM-DD`, and ends with an empty line")]
    Head(usize),
    /// Not a day.
    #[error("line {0}: `Send-on:` wants a day such as 2027-03-01")]
    Day(usize),
}

impl NewTopic {
    /// Reads a topic: `Title:` (or `Subject:`, as a mail has it), `Slug:`, `Send-on:`, an empty line, Markdown.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let (head, body) = text.trim_start().split_once("\n\n").ok_or(TopicError::NoBody)?;
        let (mut title, mut slug, mut send_on) = (None, None, None);
        for (number, line) in head.lines().enumerate() {
            let (name, value) = line.split_once(':').ok_or(TopicError::Head(number + 1))?;
            let value = value.trim();
            match name.trim().to_lowercase().as_str() {
                "title" | "subject" => title = Some(value.to_owned()),
                "slug" => slug = Some(slug_of(value)),
                "send-on" => send_on = Some(value.parse().map_err(|_| TopicError::Day(number + 1))?),
                _ => return Err(TopicError::Head(number + 1)),
            }
        }
        Self::new(title.unwrap_or_default(), slug, send_on, body)
    }

    /// From its parts; a slug is made of the title where none is given.
    pub fn new(title: String, slug: Option<String>, send_on: Option<NaiveDate>, body: &str) -> Result<Self, TopicError> {
        let slug = slug.filter(|slug| !slug.is_empty()).unwrap_or_else(|| slug_of(&title));
        if title.is_empty() || slug.is_empty() {
            return Err(TopicError::NoTitle);
        }
        if body.trim().is_empty() {
            return Err(TopicError::NoBody);
        }
        Ok(Self { slug, title, send_on, body: body.trim().to_owned() })
    }
}

/// Letters and digits, everything else a hyphen.
fn slug_of(text: &str) -> String {
    let words: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_head_and_words_and_says_what_is_wrong_with_it() {
        let topic = NewTopic::parse("Title: Getting started, together\nSend-on: 2027-03-01\n\nDear all,\n\nwrite.\n").expect("reads");
        assert_eq!((topic.slug.as_str(), topic.body.as_str()), ("getting-started-together", "Dear all,\n\nwrite."));
        assert_eq!(topic.send_on, NaiveDate::from_ymd_opt(2027, 3, 1));
        assert_eq!(NewTopic::parse("Subject: X\r\n\r\nWords").expect("reads").title, "X");
        for (text, error) in [
            ("Slug: x\n\nWords", TopicError::NoTitle),
            ("Title: X", TopicError::NoBody),
            ("Title: X\n\n  ", TopicError::NoBody),
            ("Title: X\nwhat is this\n\nWords", TopicError::Head(2)),
            ("Title: X\nSend-on: soon\n\nWords", TopicError::Day(2)),
        ] {
            assert_eq!(NewTopic::parse(text), Err(error), "{text:?}");
        }
    }
}
