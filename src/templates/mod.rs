//! Words to people: a struct per letter, rendered strictly from a template of the same name; files of the operator replace ours one by one.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, Value, context,
    syntax::SyntaxConfig,
    value::{Serde, merge_maps},
};
use serde::Serialize;

use crate::mail::markdown;

pub mod letters;
pub mod operator_letters;
pub mod pages;
pub mod round_letters;

/// A letter of ours: what its template may use.
pub trait Letter: Serialize {
    /// The template's file name without its ending, the kind in the record, and the first part of its occasion key.
    const NAME: &'static str;
    /// Answers of this kind that one mailbox gets within a day at most. A program that answers our answers, without a sign that it is one, must come to an
    /// end (RFC 3834 2).
    const A_DAY: i64 = 20;
    /// One with every field filled, for the golden file.
    fn sample() -> Self
    where
        Self: Sized;
}

/// What every letter and page may name: the programme and our mailboxes. Letters have a `signature` besides.
#[derive(Debug, Clone, Serialize)]
pub struct Common {
    /// The programme's name.
    pub programme: String,
    /// Our domain.
    pub domain: String,
    /// `join@…`
    pub join: String,
    /// `help@…`
    pub help: String,
    /// `postmaster@…`
    pub postmaster: String,
    /// `topics-join@…`
    pub topics_join: String,
}

impl Common {
    /// For a programme at a domain.
    pub fn new(programme: &str, domain: &str) -> Self {
        let at = |local: &str| format!("{local}@{domain}");
        Self {
            programme: programme.to_owned(),
            domain: domain.to_owned(),
            join: at("join"),
            help: at("help"),
            postmaster: at("postmaster"),
            topics_join: at("topics-join"),
        }
    }
}

/// A letter's words: subject, and the two bodies that come from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// `text/plain`
    pub text: String,
    /// `text/html`
    pub html: String,
}

/// All templates, parsed once.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    common: Common,
}

impl Templates {
    /// Parses every embedded template, or the file of the same path below `overrides`; a template that does not parse is an error at start.
    pub fn new(common: Common, overrides: Option<&Path>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A line that holds nothing but a block leaves no empty line behind.
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        // In letters a person's words are escaped for Markdown, in pages for HTML.
        environment.set_auto_escape_callback(|name| if name.ends_with(".html.j2") { AutoEscape::Html } else { AutoEscape::None });
        for (name, embedded) in letters::SOURCES.iter().chain(operator_letters::SOURCES).chain(round_letters::SOURCES).chain(pages::SOURCES) {
            let replaced = overrides.map(|dir| dir.join(name)).filter(|path| path.is_file());
            let source = match &replaced {
                Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
                None => (*embedded).to_owned(),
            };
            environment.add_template_owned(*name, source).with_context(|| format!("the template {name} does not parse"))?;
        }
        Ok(Self { environment, common })
    }

    /// Renders a letter to somebody called `called`, in their language or, where that has no such template, in English.
    pub fn letter<L: Letter>(&self, letter: &L, called: &str, language: &str) -> Result<Rendered> {
        let names = [language, "en"].map(|language| format!("mail/{language}/{}.md.j2", L::NAME));
        let template = names.iter().find_map(|name| self.environment.get_template(name).ok()).with_context(|| format!("no template {}", names[1]))?;
        let (called, programme) = (markdown::escape(called), markdown::escape(&self.common.programme));
        let signature = format!("Warm regards,  \nthe people of {programme}");
        let source = template
            .render(merge_maps([Value::from(Serde(&self.common)), Value::from(Serde(letter)), context! { called, programme, signature }]))
            .with_context(|| format!("the letter {} cannot be written", L::NAME))?;
        let (subject, body) = source.trim_start().split_once('\n').unwrap_or((source.trim(), ""));
        ensure!(!subject.trim().is_empty(), "the letter {} has no subject", L::NAME);
        // The subject is Markdown as well, since people's words in it are escaped for that; it is wrapped nowhere.
        let subject = markdown::to_text(subject).split_whitespace().collect::<Vec<_>>().join(" ");
        let parts = markdown::render(body, language, &subject);
        Ok(Rendered { subject, text: parts.text, html: parts.html })
    }

    /// Renders a page of `templates/web`, everything in it escaped for HTML.
    pub fn page<P: Serialize>(&self, name: &str, page: &P) -> Result<String> {
        let template = self.environment.get_template(&format!("web/{name}.html.j2"))?;
        template.render(merge_maps([Value::from(Serde(&self.common)), Value::from(Serde(page))])).with_context(|| format!("the page {name} cannot be written"))
    }
}

#[cfg(test)]
mod tests {
    use super::{letters::Unsubscribed, *};

    #[test]
    fn a_persons_name_stays_a_name_in_subject_and_body() {
        let templates = Templates::new(Common::new("Pairs & <Friends>", "pairs.example"), None).expect("templates parse");
        let letter = templates.letter(&Unsubscribed { was_subscribed: false, declined: false }, "<b>Ana</b> [x](http://y)", "xx").expect("renders");
        assert_eq!(letter.subject, "No more topics");
        assert!(letter.text.contains("Dear <b>Ana</b> [x](http://y),"), "{}", letter.text);
        assert!(!letter.html.contains("<b>Ana") && !letter.html.contains("href=\"http://y"), "{}", letter.html);
        assert!(letter.text.contains("the people of Pairs & <Friends>"), "{}", letter.text);
        let help = templates.letter(&letters::Help::sample(), "Ana", "en").expect("renders");
        assert_eq!(help.subject, "How Pairs & <Friends> works by mail");
    }

    #[test]
    fn a_page_is_escaped_for_html_and_not_for_markdown() {
        #[derive(Serialize)]
        struct Home {
            mailboxes: bool,
        }
        let templates = Templates::new(Common::new("Ana's <Friends>", "pairs.example"), None).expect("templates parse");
        let page = templates.page("home", &Home { mailboxes: true }).expect("renders");
        assert!(page.contains("Ana&#x27;s &lt;Friends&gt;") && !page.contains('\\'), "{page}");
    }

    #[test]
    fn a_template_of_the_operators_replaces_ours_and_a_broken_one_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("mail/en/left.md.j2");
        std::fs::create_dir_all(file.parent().expect("has a parent")).expect("made");
        std::fs::write(&file, "Adieu\nBon voyage, {{ called }}.").expect("written");
        let common = || Common::new("Pairs", "pairs.example");
        let letter = Templates::new(common(), Some(dir.path())).expect("parses").letter(&letters::Left::sample(), "Ana", "en").expect("renders");
        assert_eq!((letter.subject.as_str(), letter.text.trim()), ("Adieu", "Bon voyage, Ana."));
        std::fs::write(&file, "{{ unclosed").expect("written");
        let error = format!("{:#}", Templates::new(common(), Some(dir.path())).expect_err("broken"));
        assert!(error.contains("left.md.j2"), "{error}");
    }
}
