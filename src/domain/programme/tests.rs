//! Programme files, good and bad.
use super::*;

/// A small programme, with more written behind it.
fn with(more: &str) -> String {
    format!(
        "name = \"Teachers\"\nlanguages = [\"en\", \"pt\"]\n\n[[questions]]\nkey = \"name\"\nask = \"Name\"\nkind = \"text\"\nrequired = true\n\n[[questions]]\nkey = \"languages\"\nask = \"Languages\"\nkind = \"languages\"\nrequired = true\n\n{more}"
    )
}

/// Line 16 is the first of `more`.
fn question(settings: &str) -> String {
    with(&format!("[[questions]]\n{settings}"))
}

#[test]
fn the_librarians_programme_is_valid() {
    let programme = Programme::parse(LIBRARIANS).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(programme.question_labelled("my TIME zone").map(|question| question.key.as_str()), Some("timezone"));
    assert_eq!(programme.question("learning").map(|question| question.key.as_str()), Some("learning"));
    assert_eq!(programme.question("excludes.regions").map(|question| question.key.as_str()), Some("excludes.regions"));
    let required: Vec<&str> = programme.questions.iter().filter(|question| question.required).map(|question| question.key.as_str()).collect();
    assert_eq!(required, ["name", "country", "languages"]);
    assert!(!programme.rules.is_empty() && programme.matching == Weights::default());
}

#[test]
fn a_small_programme_of_ones_own_is_enough() {
    let programme = Programme::parse(&with("")).expect("valid");
    assert_eq!((programme.questions.len(), programme.calendar), (2, Calendar::default()));
    let own = Programme::parse(&question("key = \"subject_taught\"\nask = \"Subject\"\nkind = \"terms\"\nshared = true"));
    assert!(own.is_err(), "\"Subject\" stands in the head of every letter");
    let own = Programme::parse(&question("key = \"subject_taught\"\nask = \"What you teach\"\nkind = \"terms\"\nshared = true")).expect("valid");
    assert_eq!(own.question("subject_taught").map(|question| question.kind.clone()), Some(Kind::Terms));
}

#[test]
fn years_give_a_stage() {
    let programme = Programme::parse(LIBRARIANS).expect("valid");
    let Some(Kind::Number { derives: Some(derived), .. }) = programme.question("years").map(|question| question.kind.clone()) else {
        panic!("years derive a stage")
    };
    for (years, stage) in [(0, "new"), (5, "new"), (6, "mid"), (15, "mid"), (16, "senior"), (80, "senior")] {
        assert_eq!(derived.value(years), Some(stage), "{years}");
    }
}

#[test]
fn each_fault_has_a_line_and_a_cure() {
    for (text, line, what) in [
        ("name = \"x\"\nlanguages = [\"en\"\n".to_owned(), 2, ""),
        ("name = \"x\"\n".to_owned(), 1, "languages"),
        (with("colour = 1"), 16, "colour"),
        (question("key = \"town\"\nask = \"Town\"\nkind = \"txt\""), 19, "txt"),
        (question("key = \"country\"\nask = \"Country\"\nkind = \"text\""), 19, "country"),
        (question("key = \"prefers.colour\"\nask = \"Colour\"\nkind = \"text\""), 17, "prefers.colour"),
        (question("key = \"Town\"\nask = \"Town\"\nkind = \"text\""), 17, "Town"),
        (question("key = \"town\"\nask = \"Town:\"\nkind = \"text\""), 18, "colon"),
        (question("key = \"town\"\nask = \"Name\"\nkind = \"text\""), 17, "label"),
        (question("key = \"name\"\nask = \"Called\"\nkind = \"text\""), 17, "twice"),
        (question("key = \"sector\"\nask = \"Sector\"\nkind = \"choice\""), 19, "values"),
        (question("key = \"rhythm\"\nask = \"Rhythm\"\nkind = \"choice\"\nvalues = [{ value = \"daily\" }]"), 20, "daily"),
        (
            question("key = \"sector\"\nask = \"Sector\"\nkind = \"choice\"\nvalues = [{ value = \"a\", also = [\"x\"] }, { value = \"b\", also = [\"X\"] }]"),
            20,
            "means",
        ),
        (question("key = \"years\"\nask = \"Years\"\nkind = \"number\"\nmin = 5\nmax = 2"), 17, "least"),
        (question("key = \"capacity\"\nask = \"Partners\"\nkind = \"number\"\nmax = 9"), 17, "partner"),
        (
            question(
                "key = \"years\"\nask = \"Years\"\nkind = \"number\"\nderives = { key = \"stage\", steps = [{ up_to = 9, value = \"a\" }, { up_to = 5, value = \"b\" }] }",
            ),
            20,
            "steps",
        ),
        (question("key = \"excludes\"\nask = \"Not with\"\nkind = \"places\"\nshared = true"), 17, "never see"),
        (question("key = \"town\"\nask = \"Town\"\nkind = \"text\"\nmax = 5"), 20, "max"),
        (question("key = \"town\"\nask = \"Town\"\nkind = \"places\""), 19, "places"),
        (with("").replace("\"pt\"", "\"xx\""), 2, "xx"),
        (with("").replace("required = true\n\n[[questions]]", "\n[[questions]]"), 4, "name"),
        (with("[calendar]\nround = 0"), 16, "round"),
        (with("[matching]\nplaice = 5"), 17, "plaice"),
        (with("[matching]\nstated = 900"), 16, "add up"),
    ] {
        let error = Programme::parse(&text).err().unwrap_or_else(|| panic!("no fault in\n{text}"));
        let [fault] = &error.faults[..] else { panic!("{error}") };
        assert!(fault.line == line && fault.to_string().contains(what), "{fault}\n{text}");
        assert!(!fault.cure.is_empty(), "{fault}");
    }
}

#[test]
fn several_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = question("key = \"Town\"\nask = \"To\"\nkind = \"choice\"").replace("\"pt\"", "\"xx\"");
    let lines: Vec<usize> = Programme::parse(&text).expect_err("four faults").faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 17, 19], "the question without values is not looked at further");
}
