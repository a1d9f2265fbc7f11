//! The form in a letter: `Field: value` lines read from whatever a mail client made of them, and written.
use crate::domain::answers::{Answer, Answers};
use crate::domain::programme::{Kind, Programme, Question};
use crate::domain::wording;

mod lines;

/// What the lines of a form say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormReading {
    /// What was understood.
    pub answers: Answers,
    /// What stands in a line of the form and could not be read.
    pub unread: Vec<Unread>,
    /// Keys of `answers` that no line states: they follow from another answer (a stage from years).
    pub inferred: Vec<String>,
}

/// Words in a line of the form that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The form's own label of the line.
    pub label: String,
    /// The words.
    pub value: String,
    /// Why, in words for the writer, to follow "because" or a colon.
    pub why: String,
    /// The line is quoted: it may be one that we could not read before.
    pub quoted: bool,
}

/// Reads the form in a letter's plain text. What the writer wrote themselves counts more than what is quoted, and a later line
/// more than an earlier one; lines that are empty or still hold the form's hint say nothing.
pub fn read_form(text: &str, programme: &Programme) -> FormReading {
    read_form_knowing(text, programme, &Answers::default())
}

/// [`read_form`], where something is known of the writer already: "not from my own country" in a later letter.
pub fn read_form_knowing(text: &str, programme: &Programme, known: &Answers) -> FormReading {
    let mut reading = FormReading::default();
    let mut known = known.clone();
    let mut fields = lines::fields(text, programme);
    // The country first: other answers may speak of it.
    fields.sort_by_key(|field| (programme.questions[field.question].kind != Kind::Country, field.question));
    let mut derived = Vec::new();
    for field in fields {
        let question = &programme.questions[field.question];
        let worded = wording::read(programme, question, &field.value, &known);
        for (key, answer) in worded.answers {
            // Two lines may fill one key ("Languages", "Learning"): one that names something counts more than one that names nothing.
            let names_nothing = answer == Answer::List(Vec::new());
            if !(names_nothing && reading.answers.get(&key).is_some()) {
                known.set(key.clone(), answer.clone());
                reading.answers.set(key, answer);
            }
        }
        derived.extend(worded.derived);
        reading.unread.extend(worded.unread.into_iter().map(|(value, why)| Unread { label: question.ask.clone(), value, why, quoted: field.depth > 0 }));
    }
    for (key, answer) in derived {
        if reading.answers.get(&key).is_none() {
            reading.inferred.push(key.clone());
            reading.answers.set(key, answer);
        }
    }
    reading
}

/// The form with what is known filled in and hints where nothing is; a star marks what is needed. [`read_form`] reads the same answers back.
pub fn blank_form(programme: &Programme, answers: &Answers) -> String {
    let mut form = String::new();
    for question in &programme.questions {
        let said = wording::say(programme, question, answers).filter(|_| question.on_form || !is_told_elsewhere(programme, question, answers));
        // The star says that it is needed; reading passes over it.
        let label = format!("{}{}", question.ask, if question.required { "*" } else { "" });
        let line = match said {
            Some(said) => format!("{label}: {said}\n"),
            None if question.on_form && question.hint().is_empty() => format!("{label}:\n"),
            None if question.on_form => format!("{label}: [{}]\n", question.hint()),
            None => continue,
        };
        form.push_str(&line);
    }
    form
}

/// The required questions that have no answer yet, in the order of the form.
pub fn missing<'a>(programme: &'a Programme, answers: &Answers) -> Vec<&'a Question> {
    let answered = |question: &Question| match answers.get(&question.key) {
        Some(Answer::List(items)) => !items.is_empty(),
        Some(Answer::Text(text)) => !text.is_empty(),
        Some(Answer::YesNo(_) | Answer::Number(_)) => true,
        None => question.keys().iter().any(|key| !answers.list(key).is_empty()) && matches!(question.kind, Kind::Places { .. }),
    };
    programme.questions.iter().filter(|question| question.required && !answered(question)).collect()
}

/// All answers as label and words, in the order of the form: for a letter to the person themselves.
pub fn show(programme: &Programme, answers: &Answers) -> Vec<(String, String)> {
    let told = programme.questions.iter().filter(|question| question.on_form || !is_told_elsewhere(programme, question, answers));
    told.filter_map(|question| Some((question.ask.clone(), wording::say(programme, question, answers)?))).collect()
}

/// What the partner may see, as label and words: questions of the programme that are shared, less what the person keeps private.
pub fn shared(programme: &Programme, answers: &Answers) -> Vec<(String, String)> {
    let mut open = answers.clone();
    for key in answers.list("private") {
        open.0.remove(key);
        // What follows from a private number is private too.
        if let Some(Kind::Number { derives: Some(derived), .. }) = programme.question(key).map(|question| &question.kind) {
            open.0.remove(&derived.key);
        }
    }
    let told = programme.questions.iter().filter(|question| question.shared && (question.on_form || !is_told_elsewhere(programme, question, &open)));
    let pairs = told.filter_map(|question| Some((question.ask.clone(), wording::say(programme, question, &open)?)));
    pairs.filter(|(_, words)| words != "none").collect()
}

/// Whether the line of another question says all that this one would: languages being learnt stand among the languages, a stage
/// follows from the years.
fn is_told_elsewhere(programme: &Programme, question: &Question, answers: &Answers) -> bool {
    question.keys().iter().all(|key| {
        programme.questions.iter().filter(|other| other.key != question.key).any(|other| {
            let told = other.keys().contains(key) && wording::say(programme, other, answers).is_some();
            let follows = if let (Kind::Number { derives: Some(derived), .. }, Some(number)) = (&other.kind, answers.number(&other.key)) {
                derived.key == *key && derived.value(number) == answers.text(key)
            } else {
                false
            };
            told || follows
        })
    })
}

#[cfg(test)]
mod tests;
