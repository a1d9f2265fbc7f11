//! Words to people: a struct per letter, rendered strictly from a template of the same name; files of the operator replace ours one by one.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::mail::markdown;

pub mod letters;

/// A letter of ours: what its template may use.
pub trait Letter: Serialize {
    /// The template's file name without its ending, the kind in the record, and the first part of its occasion key.
    const NAME: &'static str;
    /// One with every field filled, for the golden file.
    fn sample() -> Self
    where
        Self: Sized;
}

/// What every letter may name: the programme and our mailboxes.
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
    /// The last lines of a letter.
    pub signature: String,
}

impl Common {
    /// For a programme at a domain.
    pub fn new(programme: &str, domain: &str) -> Self {
        let at = |local: &str| format!("{local}@{domain}");
        Self {
            programme: markdown::escape(programme),
            domain: domain.to_owned(),
            join: at("join"),
            help: at("help"),
            postmaster: at("postmaster"),
            topics_join: at("topics-join"),
            signature: format!("Warm regards,  \nthe people of {}", markdown::escape(programme)),
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
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        // In letters a person's words are escaped for Markdown, in pages for HTML.
        environment.set_auto_escape_callback(|name| if name.ends_with(".html.j2") { AutoEscape::Html } else { AutoEscape::None });
        for (name, embedded) in letters::SOURCES {
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
        let name = [language, "en"].map(|language| format!("mail/{language}/{}.md.j2", L::NAME));
        let template = name.iter().find_map(|name| self.environment.get_template(name).ok()).with_context(|| format!("no template {}", name[1]))?;
        let called = markdown::escape(called);
        let source = template
            .render(context! { called, ..Value::from_serialize(letter), ..Value::from_serialize(&self.common) })
            .with_context(|| format!("the letter {} cannot be written", L::NAME))?;
        let (subject, body) = source.trim_start().split_once('\n').unwrap_or((source.trim(), ""));
        ensure!(!subject.trim().is_empty(), "the letter {} has no subject", L::NAME);
        let (text, html) = markdown::parts(body);
        Ok(Rendered { subject: markdown::unescape(subject.trim()), text, html })
    }

    /// Renders a page of `templates/web`, everything in it escaped for HTML.
    pub fn page<P: Serialize>(&self, name: &str, page: &P) -> Result<String> {
        let template = self.environment.get_template(&format!("web/{name}.html.j2"))?;
        template.render(context! { ..Value::from_serialize(page), ..Value::from_serialize(&self.common) }).with_context(|| format!("the page {name} cannot be written"))
    }
}
