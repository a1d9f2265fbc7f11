//! The order of the house, held by reading its files.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the ground up. A room uses those below it; never one beside it, never one above.
const FLOORS: [&[&str]; 8] = [
    &["domain"],
    &["mail"],
    &["config", "telemetry", "aside"],
    &["store", "templates"],
    &["handlers", "route", "net"],
    &["smtp", "inbox", "web", "schedule", "outbox"],
    &["app"],
    &["cli"],
];

/// Crates that one room alone may name.
const ONLY_IN: [(&str, &str); 4] = [("sqlx", "store"), ("samotop", "smtp"), ("mail_send", "outbox"), ("axum", "web")];

/// What the top level holds, but for dot-files and what git ignores.
const TOP_LEVEL: [&str; 10] =
    ["Cargo.toml", "Cargo.lock", "src", "templates", "migrations", "deploy", "tests", "README.md", "CHANGELOG.md", "LICENSE-MIT and LICENSE-APACHE"];

/// A source file: where it stands below `src`, and its lines without comments.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn all() -> Vec<Source> {
        let root = root().join("src");
        let mut sources: Vec<Source> = files_below(&root)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
            .map(|path| Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text: fs::read_to_string(&path).unwrap() })
            .collect();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(sources.len() > 10, "the sources are found");
        sources
    }

    /// The room: the first part of the path.
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// How many modules down from the crate's root this file's items stand.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    fn code(&self) -> String {
        self.text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    let mut wrong = Vec::new();
    for source in Source::all().iter().filter(|source| source.path != "lib.rs" && source.path != "main.rs") {
        let Some(floor) = floor_of(source.room()) else {
            wrong.push(format!("{}: `{}` is no room of the house", source.path, source.room()));
            continue;
        };
        for used in rooms_named(&source.code()) {
            match floor_of(&used) {
                _ if used == source.room() => {}
                Some(other) if other < floor => {}
                Some(_) => wrong.push(format!("{} uses {used}, which is not below {}", source.path, source.room())),
                None => wrong.push(format!("{} uses {used}, which is no room of the house", source.path)),
            }
        }
        if climbs(&source.code()) >= source.depth() + usize::from(source.text.contains("mod tests")) {
            wrong.push(format!("{}: `super` leads out of the room; write `crate::…`", source.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_large_crate_is_named_in_one_room() {
    let mut wrong = Vec::new();
    for source in Source::all() {
        for (name, room) in ONLY_IN {
            if source.room() != room && source.code().contains(&format!("{name}::")) {
                wrong.push(format!("{} names {name}, which only {room} may", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_first_what_it_holds() {
    for source in Source::all() {
        assert!(source.text.starts_with("//! "), "{} does not open with a //! sentence", source.path);
    }
}

#[test]
fn no_file_grows_beyond_reading() {
    let before_tests = |source: &Source| source.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    let mut long: Vec<String> = Vec::new();
    for source in Source::all().iter().filter(|source| !source.path.ends_with("/tests.rs")) {
        let lines = before_tests(source);
        if lines > 450 {
            long.push(format!("{}: {lines}", source.path));
        }
    }
    assert!(long.is_empty(), "more than 450 lines before the tests: {}", long.join(", "));
}

#[test]
fn every_letter_has_a_template_and_a_struct() {
    let code: String = Source::all().iter().filter(|source| source.room() == "templates").map(Source::code).collect();
    let structs: BTreeSet<&str> = code.split("const NAME: &'static str = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let files = files_below(&root().join("templates/mail"));
    assert!(!structs.is_empty() && !files.is_empty(), "letters are found");
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().strip_suffix(".md.j2").map(str::to_owned);
    for language in fs::read_dir(root().join("templates/mail")).unwrap() {
        let language = language.unwrap().path();
        let templates: BTreeSet<String> = files.iter().filter(|path| path.starts_with(&language)).filter_map(named).collect();
        let templates: BTreeSet<&str> = templates.iter().map(String::as_str).collect();
        let (alone, without): (Vec<_>, Vec<_>) = (templates.difference(&structs).collect(), structs.difference(&templates).collect());
        assert!(alone.is_empty() && without.is_empty(), "{}: templates without a struct {alone:?}, structs without a template {without:?}", language.display());
    }
}

#[test]
fn the_top_level_holds_what_the_house_knows() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = TOP_LEVEL.iter().flat_map(|entry| entry.split(" and ")).any(|entry| entry == name);
        assert!(known || name.starts_with('.') || ["target", "pairpost-data"].contains(&name.as_str()), "{name} stands on the top level");
    }
}

#[test]
fn every_text_ends_with_a_line_end() {
    for folder in ["src", "tests", "templates", "migrations", "deploy"] {
        for path in files_below(&root().join(folder)) {
            // Raw letters and dialogues may well end in the middle of a line.
            let ours = path.extension().is_none_or(|ending| ["rs", "sql", "md", "j2", "toml", "sh"].iter().any(|known| ending == *known));
            if let (true, Ok(text)) = (ours, fs::read_to_string(&path)) {
                assert!(text.is_empty() || text.ends_with('\n'), "{} has no end of line at its end", path.display());
            }
        }
    }
}

#[test]
fn no_test_sleeps() {
    let sleep = concat!("sleep", "(");
    let mut tests: Vec<(String, String)> = Source::all()
        .into_iter()
        .filter_map(|source| source.text.split_once("#[cfg(test)]\n").map(|(_, tests)| (source.path.clone(), tests.to_owned())))
        .collect();
    for path in files_below(&root().join("tests")).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        tests.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    for (path, text) in tests {
        assert!(!text.contains(sleep), "a test in {path} sleeps; let it wait for what it waits for");
    }
}

#[test]
fn the_rules_are_read_rightly() {
    let code = "use crate::{domain::address, mail::{self, draft}, store};\nlet x = crate::outbox::wake(); use super::super::letters;";
    assert_eq!(rooms_named(code).into_iter().collect::<Vec<_>>(), ["domain", "mail", "outbox", "store"]);
    assert_eq!(climbs(code), 2);
    assert_eq!(Source { path: "domain/matching/score.rs".into(), text: String::new() }.depth(), 3);
    assert_eq!(Source { path: "domain/matching/mod.rs".into(), text: String::new() }.depth(), 2);
    assert!(floor_of("domain") < floor_of("store") && floor_of("utils").is_none());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What cargo builds for benches and fuzzing is not ours.
            files.extend(if path.ends_with("target") { Vec::new() } else { files_below(&path) });
        } else {
            files.push(path);
        }
    }
    files
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// The rooms in every `crate::a…` and `crate::{a…, b…}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            rooms.extend(words(rest).next().map(str::to_owned));
            continue;
        };
        let (mut depth, mut first) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                _ if first && depth == 0 && !c.is_whitespace() => {
                    rooms.extend(words(&group[at..]).next().map(str::to_owned));
                    first = false;
                }
                _ => {}
            }
        }
    }
    rooms.retain(|room| room.starts_with(|c: char| c.is_lowercase()));
    rooms
}

/// The longest run of `super::`.
fn climbs(code: &str) -> usize {
    (1..).take_while(|times| code.contains(&"super::".repeat(*times))).last().unwrap_or(0)
}
