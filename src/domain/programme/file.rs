//! How a programme file is written, and whether it makes a usable programme.
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{Calendar, Choice, Derived, Fault, Kind, Programme, ProgrammeError, Question};
use crate::domain::fold::fold;
use crate::domain::languages;
use crate::domain::matching::Weights;

/// See [`Programme::parse`].
pub(super) fn read(text: &str) -> Result<Programme, ProgrammeError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = line_of(text, error.span().unwrap_or_default().start);
        let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        ProgrammeError { faults: vec![Fault { line, what, cure: "mend this line; templates/programmes/librarians.toml is an example".into() }] }
    })?;
    let mut check = Check { text, faults: Vec::new() };
    let programme = check.programme(file);
    if check.faults.is_empty() {
        Ok(programme)
    } else {
        check.faults.sort();
        Err(ProgrammeError { faults: check.faults })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    languages: Spanned<Vec<String>>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    guidance: Vec<String>,
    #[serde(default)]
    calendar: Option<Spanned<Calendar>>,
    #[serde(default)]
    matching: Option<Spanned<Weights>>,
    questions: Spanned<Vec<Spanned<Asked>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: Spanned<String>,
    ask: Spanned<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    also: Vec<Spanned<String>>,
    kind: Spanned<KindName>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    shared: bool,
    #[serde(default = "yes")]
    on_form: bool,
    // What single kinds need.
    #[serde(default)]
    values: Option<Spanned<Vec<Choice>>>,
    #[serde(default)]
    people: Option<Spanned<bool>>,
    #[serde(default)]
    learning: Option<Spanned<String>>,
    #[serde(default)]
    min: Option<Spanned<u32>>,
    #[serde(default)]
    max: Option<Spanned<u32>>,
    #[serde(default)]
    derives: Option<Spanned<Derived>>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Text,
    Prose,
    Country,
    Countries,
    Regions,
    Places,
    Language,
    Languages,
    Timezone,
    Choice,
    Choices,
    Terms,
    Number,
    YesNo,
    People,
    Questions,
}

/// Keys that the program itself understands: the kinds they may have, and the values that it can tell apart (empty: any).
const KNOWN: &[(&str, &[KindName], &[&str])] = &[
    ("name", &[KindName::Text], &[]),
    ("country", &[KindName::Country], &[]),
    ("languages", &[KindName::Languages], &[]),
    ("learning", &[KindName::Languages], &[]),
    ("language", &[KindName::Language], &[]),
    ("timezone", &[KindName::Timezone], &[]),
    ("role", &[KindName::Text], &[]),
    ("organisation", &[KindName::Text], &[]),
    ("sector", &[KindName::Choice], &[]),
    ("years", &[KindName::Number], &[]),
    ("stage", &[KindName::Choice], &["new", "mid", "senior"]),
    ("interests", &[KindName::Terms], &[]),
    ("capacity", &[KindName::Number], &[]),
    ("rhythm", &[KindName::Choice], &["weekly", "fortnightly", "monthly"]),
    ("ways", &[KindName::Choices], &["letters", "calls"]),
    ("topics", &[KindName::YesNo], &[]),
    ("private", &[KindName::Questions], &[]),
    ("prefers", &[KindName::Places], &[]),
    ("prefers.countries", &[KindName::Countries], &[]),
    ("prefers.regions", &[KindName::Regions], &[]),
    ("prefers.sector", &[KindName::Choice], &["same", "different", "any"]),
    ("prefers.stage", &[KindName::Choice], &["same", "more", "less", "any"]),
    ("prefers.languages", &[KindName::Languages], &[]),
    ("prefers.roles", &[KindName::Terms], &[]),
    ("prefers.interests", &[KindName::Terms], &[]),
    ("prefers.people", &[KindName::People], &[]),
    ("excludes", &[KindName::Places], &[]),
    ("excludes.countries", &[KindName::Countries], &[]),
    ("excludes.regions", &[KindName::Regions], &[]),
    ("excludes.people", &[KindName::People], &[]),
];

/// Gathers faults while a file becomes a programme.
struct Check<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, span: Range<usize>, what: String, cure: impl Into<String>) {
        self.faults.push(Fault { line: line_of(self.text, span.start), what, cure: cure.into() });
    }

    fn programme(&mut self, file: File) -> Programme {
        if file.name.as_ref().trim().is_empty() {
            self.fault(file.name.span(), "the programme has no name".into(), "write one");
        }
        if file.languages.as_ref().is_empty() {
            self.fault(file.languages.span(), "no language is named".into(), "write at least one, as [\"en\"]");
        }
        for code in file.languages.as_ref() {
            if languages::language(code) != Some(code.as_str()) || languages::name(code).is_none() {
                self.fault(file.languages.span(), format!("{code:?} is no language code"), "write it as \"en\" or \"pt\"");
            }
        }
        let calendar = file.calendar.map(|calendar| self.calendar(calendar)).unwrap_or_default();
        let matching = file.matching.map(|weights| self.weights(weights)).unwrap_or_default();
        let span = file.questions.span();
        let asked = file.questions.into_inner();
        let questions: Vec<(Range<usize>, Question)> = asked.into_iter().filter_map(|asked| self.question(asked.into_inner())).collect();
        self.whole(span, &questions);
        Programme {
            name: file.name.into_inner().trim().to_owned(),
            languages: file.languages.into_inner(),
            rules: file.rules,
            guidance: file.guidance,
            calendar,
            matching,
            questions: questions.into_iter().map(|(_, question)| question).collect(),
        }
    }

    fn calendar(&mut self, calendar: Spanned<Calendar>) -> Calendar {
        let days = calendar.as_ref();
        if days.round == 0 || days.introductions_over == 0 || days.introductions_over > days.round {
            let what = "a round lasts at least a day, and its introductions go out within it".to_owned();
            self.fault(calendar.span(), what, "set `round` and `introductions_over` to 1 or more, the second not above the first");
        }
        calendar.into_inner()
    }

    fn weights(&mut self, weights: Spanned<Weights>) -> Weights {
        if let Err(what) = weights.as_ref().check() {
            self.fault(weights.span(), what, "lower the numbers");
        }
        weights.into_inner()
    }

    fn question(&mut self, asked: Asked) -> Option<(Range<usize>, Question)> {
        let span = asked.key.span();
        self.key_and_kind(&asked);
        let kind = self.kind(&asked)?;
        for label in std::iter::once(&asked.ask).chain(&asked.also) {
            self.label(label);
        }
        let (key, ask) = (asked.key.into_inner(), asked.ask.into_inner());
        if asked.shared && (key.starts_with("excludes") || key == "private") {
            self.fault(span.clone(), format!("a partner must never see `{key}`"), "take `shared` away");
        }
        let also = asked.also.into_iter().map(Spanned::into_inner).collect();
        Some((span, Question { key, ask, hint: asked.hint, also, kind, required: asked.required, shared: asked.shared, on_form: asked.on_form }))
    }

    fn key_and_kind(&mut self, asked: &Asked) {
        let (key, kind) = (asked.key.as_ref().as_str(), *asked.kind.as_ref());
        if let Some((_, kinds, _)) = KNOWN.iter().find(|(known, _, _)| *known == key) {
            if !kinds.contains(&kind) {
                let cure = format!("write kind = {:?}", name_of(kinds[0]));
                self.fault(asked.kind.span(), format!("`{key}` cannot be of the kind {:?}", name_of(kind)), cure);
            }
            return;
        }
        let plain = key.starts_with(|c: char| c.is_ascii_lowercase()) && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain {
            let cure = match key.split_once('.') {
                Some(("prefers" | "excludes", _)) => {
                    let known: Vec<&str> = KNOWN.iter().map(|(known, _, _)| *known).filter(|known| known.contains('.')).collect();
                    format!("matching knows {}", known.join(", "))
                }
                Some(_) | None => "use small letters, digits and _ only".to_owned(),
            };
            self.fault(asked.key.span(), format!("`{key}` is no key of a question"), cure);
        }
        if kind == KindName::Places {
            self.fault(asked.kind.span(), format!("`{key}` cannot be of the kind \"places\""), "only prefers and excludes can");
        }
    }

    fn label(&mut self, label: &Spanned<String>) {
        /// Fields of a mail's head, which stand in every quoted letter.
        const HEAD: [&str; 8] = ["from", "to", "cc", "date", "sent", "subject", "reply to", "re"];
        let key = fold(label.as_ref());
        if key.is_empty() || label.as_ref().contains([':', '\n', '：']) || label.as_ref().len() > 80 {
            self.fault(label.span(), format!("{:?} cannot stand before a colon", label.as_ref()), "write a few words without a colon");
        } else if HEAD.contains(&key.as_str()) {
            self.fault(label.span(), format!("{:?} stands in the head of every quoted letter", label.as_ref()), "choose another label");
        }
    }

    fn kind(&mut self, asked: &Asked) -> Option<Kind> {
        let name = *asked.kind.as_ref();
        self.no_stray(asked, name);
        Some(match name {
            KindName::Text => Kind::Text,
            KindName::Prose => Kind::Prose,
            KindName::Country => Kind::Country,
            KindName::Countries => Kind::Countries,
            KindName::Regions => Kind::Regions,
            KindName::Places => Kind::Places { people: asked.people.as_ref().is_some_and(|people| *people.as_ref()) },
            KindName::Language => Kind::Language,
            KindName::Languages => Kind::Languages { learning: asked.learning.as_ref().map(|key| key.as_ref().clone()) },
            KindName::Timezone => Kind::Timezone,
            KindName::Choice => Kind::Choice(self.values(asked)?),
            KindName::Choices => Kind::Choices(self.values(asked)?),
            KindName::Terms => Kind::Terms,
            KindName::Number => self.number(asked),
            KindName::YesNo => Kind::YesNo,
            KindName::People => Kind::People,
            KindName::Questions => Kind::Questions,
        })
    }

    /// A setting that the kind has no use for is a misunderstanding.
    fn no_stray(&mut self, asked: &Asked, kind: KindName) {
        let numbers = kind == KindName::Number;
        let given = [
            ("values", asked.values.as_ref().map(Spanned::span), matches!(kind, KindName::Choice | KindName::Choices)),
            ("people", asked.people.as_ref().map(Spanned::span), kind == KindName::Places),
            ("learning", asked.learning.as_ref().map(Spanned::span), kind == KindName::Languages),
            ("min", asked.min.as_ref().map(Spanned::span), numbers),
            ("max", asked.max.as_ref().map(Spanned::span), numbers),
            ("derives", asked.derives.as_ref().map(Spanned::span), numbers),
        ];
        for (setting, span, fits) in given {
            if let (Some(span), false) = (span, fits) {
                self.fault(span, format!("a question of the kind {:?} has no `{setting}`", name_of(kind)), format!("take `{setting}` away"));
            }
        }
    }

    fn values(&mut self, asked: &Asked) -> Option<Vec<Choice>> {
        let Some(values) = asked.values.as_ref().filter(|values| !values.as_ref().is_empty()) else {
            let cure = "write values = [{ value = \"…\", also = [\"…\"] }, …]";
            self.fault(asked.kind.span(), format!("`{}` has no values to choose from", asked.key.as_ref()), cure);
            return None;
        };
        let known = KNOWN.iter().find(|(key, _, _)| *key == asked.key.as_ref().as_str()).map(|(_, _, values)| *values).unwrap_or_default();
        let mut words: BTreeMap<String, &str> = BTreeMap::new();
        for choice in values.as_ref() {
            if !known.is_empty() && !known.contains(&choice.value.as_str()) {
                let what = format!("{:?} is no value of `{}`", choice.value, asked.key.as_ref());
                self.fault(values.span(), what, format!("it can be {}", known.join(", ")));
            }
            for word in [choice.value.as_str(), choice.words()].into_iter().chain(choice.also.iter().map(String::as_str)) {
                match words.insert(fold(word), &choice.value) {
                    Some(other) if other != choice.value => {
                        self.fault(values.span(), format!("{word:?} means {other:?} and {:?}", choice.value), "take it away from one of them");
                    }
                    Some(_) | None => {}
                }
            }
        }
        Some(values.as_ref().clone())
    }

    fn number(&mut self, asked: &Asked) -> Kind {
        let min = asked.min.as_ref().map_or(0, |min| *min.as_ref());
        let max = asked.max.as_ref().map_or(u32::MAX, |max| *max.as_ref());
        if min > max {
            self.fault(asked.key.span(), format!("the least, {min}, is above the most, {max}"), "exchange `min` and `max`");
        }
        if asked.key.as_ref() == "capacity" && (min < 1 || max > 2) {
            self.fault(asked.key.span(), "a person has one partner, or two".into(), "write min = 1 and max = 2 (or 1)");
        }
        if let Some(derives) = &asked.derives {
            let steps = &derives.as_ref().steps;
            let bounds: Vec<Option<u32>> = steps.iter().map(|step| step.up_to).collect();
            let rising = bounds.windows(2).all(|pair| matches!(pair, [Some(a), Some(b)] if a < b) || matches!(pair, [Some(_), None]));
            if !rising || bounds.last() != Some(&None) {
                self.fault(derives.span(), "the steps do not cover every number once".into(), "let `up_to` rise, and leave it out in the last step");
            }
        }
        Kind::Number { min, max, derives: asked.derives.as_ref().map(|derives| derives.as_ref().clone()) }
    }

    /// What concerns several questions.
    fn whole(&mut self, span: Range<usize>, questions: &[(Range<usize>, Question)]) {
        let (mut keys, mut labels): (BTreeMap<&str, ()>, BTreeMap<String, &str>) = Default::default();
        for (at, question) in questions {
            if keys.insert(&question.key, ()).is_some() {
                self.fault(at.clone(), format!("`{}` is asked twice", question.key), "join the two questions");
            }
            for label in question.labels() {
                match labels.insert(fold(label), &question.key) {
                    Some(other) if other != question.key => {
                        self.fault(at.clone(), format!("the label {label:?} means `{other}` and `{}`", question.key), "take it away from one of them");
                    }
                    Some(_) | None => {}
                }
            }
        }
        for needed in ["name", "languages"] {
            if !questions.iter().any(|(_, question)| question.key == needed && question.required) {
                let what = format!("nobody can be matched and introduced without `{needed}`");
                self.fault(span.clone(), what, format!("add a question with key = {needed:?} and required = true"));
            }
        }
    }
}

/// As the file writes it.
fn name_of(kind: KindName) -> &'static str {
    match kind {
        KindName::Text => "text",
        KindName::Prose => "prose",
        KindName::Country => "country",
        KindName::Countries => "countries",
        KindName::Regions => "regions",
        KindName::Places => "places",
        KindName::Language => "language",
        KindName::Languages => "languages",
        KindName::Timezone => "timezone",
        KindName::Choice => "choice",
        KindName::Choices => "choices",
        KindName::Terms => "terms",
        KindName::Number => "number",
        KindName::YesNo => "yes-no",
        KindName::People => "people",
        KindName::Questions => "questions",
    }
}
