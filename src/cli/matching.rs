//! `pairpost match`: matches applicants from a file, or a graph, and prints the result; without a database.
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::domain::matching::{
    Applicant, Certificate, Decision, Graph, Input, LIBRARIES, Matching, Objective, Pairs, Past, Side, Unmatched, WeightedPair, Weights, certificate,
    each_pair, generate, optimum, prove_round, read_applicants, read_lines,
};
use crate::domain::programme::{Kind, Programme};

/// What `pairpost match` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "FILE may be - for standard input. Equal input and seed give equal output, whatever the order of the lines.")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Earlier pairs, {"a": "…", "b": "…"} a line: they don't meet again.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Coordinators' decisions, {"a": "…", "b": "…", "decision": "pin" or "veto"} a line.
    #[arg(long, value_name = "FILE")]
    pins: Option<PathBuf>,
    /// A programme file: its section [matching] says how much each wish counts.
    #[arg(long, value_name = "FILE")]
    programme: Option<PathBuf>,
    /// Lets somebody left over join a pair.
    #[arg(long)]
    trios: bool,
    /// Decides between equally good matches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Writes every acceptable pair with its weight into this file, a JSON line each.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Writes the dual values that prove the optimum into this file.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

/// What is matched; one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Applicants, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    applicants: Option<PathBuf>,
    /// A weighted graph in place of applicants: {"a": "…", "b": "…", "w": integer} a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "pins", "scores", "programme", "trios"])]
    graph: Option<PathBuf>,
    /// Prints so many made-up applicants, to try things with.
    #[arg(long, value_name = "N", conflicts_with_all = ["history", "pins", "scores", "programme", "trios", "certificate", "format"])]
    generate: Option<usize>,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One object, with reasons.
    Json,
    /// For a spreadsheet: a row for each pair, trio and person left over.
    Csv,
    /// For reading on a terminal.
    Table,
}

/// Matches and prints.
///
/// # Errors
/// A file can't be read, written or understood, or a pin can't be kept.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let answer = answer(args)?;
    match io::stdout().lock().write_all(&answer) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("can't write to standard output"),
    }
}

fn answer(args: &Args) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(number) = args.source.generate {
        write_lines(&mut text, &generate::applicants(number, args.seed))?;
    } else if let Some(file) = &args.source.graph {
        match_graph(file, args, &mut text)?;
    } else if let Some(file) = &args.source.applicants {
        match_applicants(file, args, &mut text)?;
    }
    Ok(text)
}

fn match_applicants(file: &Path, args: &Args, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let programme = args.programme.as_deref().map(read_programme).transpose()?;
    let (weights, sectors) = match &programme {
        Some(programme) => (programme.matching.clone(), sectors(programme)),
        None => (Weights::default(), LIBRARIES.to_vec()),
    };
    let weights = Weights { trios: weights.trios || args.trios, ..weights };
    let applicants = read_applicants(&read(file)?, &sectors).with_context(|| file.display().to_string())?;
    let history: Vec<Past> = args.history.as_deref().map(read_values).transpose()?.unwrap_or_default();
    let decisions: Vec<Decision> = args.pins.as_deref().map(read_values).transpose()?.unwrap_or_default();
    let begin = Instant::now();
    let input = Input { past: &history, decisions: &decisions, ..Input::new(&applicants, &weights, args.seed) };
    let proven = prove_round(&input)?;
    let seconds = begin.elapsed().as_secs_f64();
    if let Some(file) = &args.scores {
        write_file(file, |out| write_scores(out, &input))?;
    }
    write_certificate(args, &proven.certificate)?;
    match args.format {
        Format::Json => print_json(out, &Output::of(&proven.matching, seconds)),
        Format::Csv => csv(out, &proven.matching),
        Format::Table => table(out, &applicants, &proven.matching),
    }
}

fn match_graph(file: &Path, args: &Args, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let graph = Graph::read(&read(file)?).with_context(|| file.display().to_string())?;
    let begin = Instant::now();
    let optimum = optimum::find(&graph, args.seed)?;
    certificate::examine(&graph, &optimum.pairs, &optimum.certificate)?;
    let seconds = begin.elapsed().as_secs_f64();
    write_certificate(args, &optimum.certificate)?;
    let name = |vertex: u32| graph.names()[vertex as usize].clone();
    let pairs: Vec<_> = optimum.pairs.iter().map(|&(a, b, w)| WeightedPair { a: name(a), b: name(b), w }).collect();
    match args.format {
        Format::Json => {
            let score: i128 = pairs.iter().map(|pair| i128::from(pair.w)).sum();
            let matched = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]).collect::<std::collections::HashSet<_>>();
            let left = graph.names().iter().filter(|name| !matched.contains(name));
            let why = "the best matching leaves it over";
            let output = Output {
                pairs: pairs
                    .iter()
                    .map(|pair| json!({"a": pair.a, "b": pair.b, "score": pair.w, "reasons": {"a": [], "b": []}, "unmet": {"a": [], "b": []}}))
                    .collect(),
                trios: Vec::new(),
                unmatched: left.map(|name| Unmatched { id: name.clone(), why: why.to_owned() }).collect(),
                objective: json!({"matched": matched.len(), "requests": 0, "requests_met": 0, "score": number(score), "optimal": true, "bound": number(score)}),
                seconds,
            };
            print_json(out, &output)
        }
        Format::Csv => {
            out.extend(b"a,b,w\r\n");
            pairs.iter().for_each(|pair| row(out, &[cell(&pair.a), cell(&pair.b), pair.w.to_string()]));
            Ok(())
        }
        Format::Table => {
            pairs.iter().try_for_each(|pair| writeln!(out, "{}  {}  {}", plain(&pair.a), plain(&pair.b), pair.w))?;
            Ok(())
        }
    }
}

/// The contract's JSON.
#[derive(Serialize)]
struct Output {
    pairs: Vec<Value>,
    trios: Vec<Value>,
    unmatched: Vec<Unmatched>,
    objective: Value,
    seconds: f64,
}

impl Output {
    fn of(matching: &Matching, seconds: f64) -> Self {
        let pairs = matching.pairs.iter().map(|pair| {
            let [a, b] = &pair.sides;
            json!({"a": pair.a, "b": pair.b, "score": pair.score, "reasons": {"a": reasons(a), "b": reasons(b)}, "unmet": {"a": a.unmet, "b": b.unmet}})
        });
        let trios = matching.trios.iter().map(|trio| {
            let by_id = |what: fn(&Side) -> Vec<&str>| -> Map<String, Value> {
                trio.members.iter().zip(&trio.sides).map(|(id, side)| (id.clone(), Value::from(what(side)))).collect()
            };
            json!({"members": trio.members, "score": trio.score, "reasons": by_id(reasons), "unmet": by_id(unmet)})
        });
        let Objective { matched, requests, requests_met, score, optimal, bound } = &matching.objective;
        Self {
            pairs: pairs.collect(),
            trios: trios.collect(),
            unmatched: matching.unmatched.clone(),
            objective: json!({"matched": matched, "requests": requests, "requests_met": requests_met, "score": score, "optimal": optimal, "bound": bound}),
            seconds,
        }
    }
}

/// What speaks for a match: the wishes met first.
fn reasons(side: &Side) -> Vec<&str> {
    side.met.iter().chain(&side.reasons).map(String::as_str).collect()
}

fn unmet(side: &Side) -> Vec<&str> {
    side.unmet.iter().map(String::as_str).collect()
}

/// JSON's own numbers end at 64 bits in many readers; a sum beyond is exact as text.
fn number(sum: i128) -> Value {
    i64::try_from(sum).map_or_else(|_| Value::from(sum.to_string()), Value::from)
}

fn print_json(out: &mut Vec<u8>, output: &Output) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, output)?;
    out.push(b'\n');
    Ok(())
}

fn csv(out: &mut Vec<u8>, matching: &Matching) -> anyhow::Result<()> {
    out.extend(b"kind,a,b,c,score,satisfaction a,satisfaction b,satisfaction c,for a,for b,for c,unmet a,unmet b,unmet c,why\r\n");
    let partnership = |out: &mut Vec<u8>, kind: &str, members: &[&String], score: i64, sides: &[Side]| {
        let three = |text: &dyn Fn(usize) -> String| (0..3).map(|at| if at < members.len() { text(at) } else { String::new() }).collect::<Vec<_>>();
        let mut cells = vec![kind.to_owned()];
        cells.extend(three(&|at| cell(members[at])));
        cells.push(score.to_string());
        cells.extend(three(&|at| sides[at].satisfaction.to_string()));
        cells.extend(three(&|at| cell(&reasons(&sides[at]).join("; "))));
        cells.extend(three(&|at| cell(&unmet(&sides[at]).join("; "))));
        cells.push(String::new());
        row(out, &cells);
    };
    for pair in &matching.pairs {
        partnership(out, "pair", &[&pair.a, &pair.b], pair.score, &pair.sides);
    }
    for trio in &matching.trios {
        partnership(out, "trio", &trio.members.each_ref(), trio.score, &trio.sides);
    }
    for left in &matching.unmatched {
        let mut cells = vec!["unmatched".to_owned(), cell(&left.id)];
        cells.resize(14, String::new());
        cells.push(cell(&left.why));
        row(out, &cells);
    }
    Ok(())
}

fn row(out: &mut Vec<u8>, cells: &[String]) {
    out.extend(cells.join(",").bytes());
    out.extend(b"\r\n");
}

/// A cell of words (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let text = format!("{guard}{text}");
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn table(out: &mut Vec<u8>, applicants: &[Applicant], matching: &Matching) -> anyhow::Result<()> {
    let by_id: HashMap<&str, &Applicant> = applicants.iter().map(|person| (person.id.as_str(), person)).collect();
    let who = |id: &str| {
        let person = by_id.get(id);
        let name = person.and_then(|person| person.name.as_deref()).map(|name| format!(" {name}")).unwrap_or_default();
        let country = person.and_then(|person| person.country.as_deref()).map(|country| format!(", {country}")).unwrap_or_default();
        plain(&format!("{id}{name}{country}"))
    };
    let people = |ids: &[&String], sides: &[Side]| -> Vec<(String, u32)> { ids.iter().zip(sides).map(|(id, side)| (who(id), side.satisfaction)).collect() };
    let mut rows: Vec<Vec<(String, u32)>> = matching.pairs.iter().map(|pair| people(&[&pair.a, &pair.b], &pair.sides)).collect();
    rows.extend(matching.trios.iter().map(|trio| people(&trio.members.each_ref(), &trio.sides)));
    let width = rows.iter().flatten().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
    writeln!(out, "Partners, each with the satisfaction to be expected (of 1000)")?;
    for row in &rows {
        let cells: Vec<String> = row.iter().map(|(text, satisfaction)| format!("{text:<width$} {satisfaction:>4}")).collect();
        writeln!(out, "  {}", cells.join("   "))?;
    }
    if !matching.unmatched.is_empty() {
        writeln!(out, "\nWithout a partner")?;
        for left in &matching.unmatched {
            writeln!(out, "  {:<width$} {}", who(&left.id), left.why)?;
        }
    }
    summary(out, applicants.len(), matching, &rows)
}

fn summary(out: &mut Vec<u8>, people: usize, matching: &Matching, rows: &[Vec<(String, u32)>]) -> anyhow::Result<()> {
    let mut bars = [0_usize; 10];
    for (_, satisfaction) in rows.iter().flatten() {
        bars[(*satisfaction as usize / 100).min(9)] += 1;
    }
    writeln!(out, "\nHow satisfied")?;
    let longest = bars.into_iter().max().unwrap_or(0).max(1);
    for (step, &count) in bars.iter().enumerate().rev() {
        // At least one mark for anybody at all.
        let length = (count * 40).div_ceil(longest);
        writeln!(out, "  {:>3} to {:<4} {:>4} {}", step * 100, if step == 9 { 1000 } else { step * 100 + 99 }, count, "#".repeat(length))?;
    }
    let Objective { matched, requests, requests_met, .. } = &matching.objective;
    let counted = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (pairs, trios) = (counted(matching.pairs.len(), "pair"), counted(matching.trios.len(), "trio"));
    writeln!(out, "\nWith a partner: {matched} of {}, in {pairs} and {trios}. Wishes met: {requests_met} of {requests}.", counted(people, "applicant"))?;
    writeln!(out, "No other match has more pairs, and none with as many is better: this was proven.")?;
    Ok(())
}

/// Without control characters, which could rearrange a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).context("can't read standard input as UTF-8 text")?;
        return Ok(text);
    }
    fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))
}

fn read_values<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Vec<T>> {
    let values = read_lines(&read(file)?).with_context(|| file.display().to_string())?;
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

fn read_programme(file: &Path) -> anyhow::Result<Programme> {
    Programme::parse(&read(file)?).map_err(|error| anyhow!("{}: {error}", file.display()))
}

/// The sectors that a programme asks for.
fn sectors(programme: &Programme) -> Vec<&str> {
    match programme.question("sector").map(|question| &question.kind) {
        Some(Kind::Choice(choices)) => choices.iter().map(|choice| choice.value.as_str()).collect(),
        // Whatever else the question may be, its answers are none of a list.
        Some(_) | None => LIBRARIES.to_vec(),
    }
}

fn write_certificate(args: &Args, certificate: &Certificate) -> anyhow::Result<()> {
    match &args.certificate {
        Some(file) => write_file(file, |out| Ok(serde_json::to_writer(out, certificate)?)),
        None => Ok(()),
    }
}

fn write_lines<T: Serialize>(out: &mut dyn Write, values: &[T]) -> anyhow::Result<()> {
    for value in values {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Pair by pair: a large round has more of them than memory should hold.
fn write_scores(out: &mut dyn Write, input: &Input) -> anyhow::Result<()> {
    let mut written = Ok(());
    each_pair(input, |a, b, w| {
        if written.is_ok() {
            written = write_lines(out, &[WeightedPair { a: a.to_owned(), b: b.to_owned(), w }]);
        }
    })?;
    written
}

fn write_file(file: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let written = || -> anyhow::Result<()> {
        let mut out = BufWriter::new(fs::File::create(file)?);
        write(&mut out)?;
        Ok(out.flush()?)
    };
    written().with_context(|| format!("can't write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    const PEOPLE: &str = r#"{"id": "a", "name": "Ana", "country": "PE", "languages": ["es"], "interests": ["maps"], "prefers": {"countries": ["ES"]}}
{"id": "b", "name": "=Ben, \"B\"", "country": "ES", "languages": ["es"], "interests": ["maps"]}
{"id": "c", "name": "Cai", "country": "GB", "languages": ["cy"]}
"#;

    /// A folder with files in it; `answers` is told of them by name.
    struct Desk(tempfile::TempDir);

    impl Desk {
        fn with(files: &[(&str, &str)]) -> Self {
            let desk = Self(tempfile::tempdir().expect("a folder"));
            files.iter().for_each(|(name, text)| fs::write(desk.0.path().join(name), text).expect("written"));
            desk
        }

        fn answers(&self, line: &str) -> Result<String, String> {
            let words = line.split(' ').map(|word| if word.contains('.') { self.0.path().join(word).display().to_string() } else { word.to_owned() });
            let typed = Typed::try_parse_from(std::iter::once("match".to_owned()).chain(words)).map_err(|error| error.to_string())?;
            answer(&typed.args).map(|text| String::from_utf8(text).expect("text")).map_err(|error| format!("{error:#}"))
        }

        fn json(&self, line: &str) -> Value {
            let mut value: Value = serde_json::from_str(&self.answers(line).expect("an answer")).expect("JSON");
            assert!(value.as_object_mut().and_then(|object| object.remove("seconds")).is_some_and(|seconds| seconds.is_f64()));
            value
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.path().join(name)).expect("a file")
        }
    }

    #[test]
    fn applicants_are_answered_in_the_fixed_form() {
        let desk = Desk::with(&[("people.jsonl", PEOPLE)]);
        assert_eq!(
            desk.json("--applicants people.jsonl"),
            json!({
                "pairs": [{"a": "a", "b": "b", "score": 1742,
                    "reasons": {"a": ["you asked for a partner in Spain: your partner is in Spain", "you both work with, or care for, maps", "you both speak Spanish"],
                                "b": ["you both work with, or care for, maps", "you both speak Spanish"]},
                    "unmet": {"a": [], "b": []}}],
                "trios": [],
                "unmatched": [{"id": "c", "why": "nobody in this round shares a language with you"}],
                "objective": {"matched": 2, "requests": 1, "requests_met": 1, "score": 1742, "optimal": true, "bound": 1742},
            })
        );
    }

    #[test]
    fn scores_and_certificate_are_written_and_fit_the_answer() {
        let desk = Desk::with(&[("people.jsonl", PEOPLE)]);
        desk.answers("--applicants people.jsonl --scores scores.jsonl --certificate proof.json").expect("an answer");
        assert_eq!(desk.read("scores.jsonl"), "{\"a\":\"a\",\"b\":\"b\",\"w\":1742}\n");
        let proof: Certificate = serde_json::from_str(&desk.read("proof.json")).expect("a certificate");
        assert_eq!((proof.scale, proof.primal, proof.dual), (4, 4 * (proof.constant + 1742), 4 * (proof.constant + 1742)));
        assert_eq!(proof.names, ["a", "b", "c"]);
    }

    #[test]
    fn history_pins_and_a_programme_count() {
        let welsh = "{\"id\": \"d\", \"languages\": [\"cy\", \"es\"]}\n";
        let desk = Desk::with(&[
            ("people.jsonl", &format!("{PEOPLE}{welsh}")),
            ("history.jsonl", r#"{"a": "b", "b": "a"}"#),
            ("pins.jsonl", r#"{"a": "a", "b": "d", "decision": "pin"}"#),
            ("bad.jsonl", "\n{\"a\": \"a\", \"b\": \"d\", \"decision\": \"maybe\"}"),
            ("programme.toml", include_str!("../../templates/programmes/librarians.toml")),
        ]);
        let pairs = |line: &str| -> Vec<String> {
            let answer = desk.json(line);
            answer["pairs"].as_array().expect("pairs").iter().map(|pair| format!("{}{}", pair["a"], pair["b"]).replace('"', "")).collect()
        };
        assert_eq!(pairs("--applicants people.jsonl --programme programme.toml"), ["ab", "cd"]);
        assert_eq!(pairs("--applicants people.jsonl --pins pins.jsonl"), ["ad"]);
        assert_eq!(pairs("--applicants people.jsonl --history history.jsonl").len(), 1);
        let error = desk.answers("--applicants people.jsonl --pins bad.jsonl").expect_err("refused");
        assert!(error.contains("bad.jsonl: line 2: unknown variant `maybe`"), "{error}");
    }

    #[test]
    fn a_graph_is_matched_by_the_same_engine() {
        let desk = Desk::with(&[("graph.jsonl", "{\"a\": \"x\", \"b\": \"y\", \"w\": 5}\n{\"a\": \"z\", \"b\": \"y\", \"w\": 7}\n")]);
        let answer = desk.json("--graph graph.jsonl --certificate proof.json");
        assert_eq!((&answer["pairs"][0]["a"], &answer["pairs"][0]["score"], &answer["unmatched"][0]["id"]), (&json!("y"), &json!(7), &json!("x")));
        assert!(desk.read("proof.json").contains("\"x\":0"));
        assert!(desk.answers("--graph graph.jsonl --pins graph.jsonl").expect_err("refused").contains("cannot be used with"));
        assert!(desk.answers("--seed 3").expect_err("refused").contains("required"));
        assert!(desk.answers("--graph missing.jsonl").expect_err("refused").starts_with("can't read "));
    }

    #[test]
    fn a_table_is_for_people_and_csv_for_spreadsheets() {
        let desk = Desk::with(&[("people.jsonl", PEOPLE)]);
        let table = desk.answers("--applicants people.jsonl --format table").expect("an answer");
        for part in ["a Ana, PE", "=Ben", "  c Cai, GB", "With a partner: 2 of 3 applicants, in 1 pair and 0 trios. Wishes met: 1 of 1."] {
            assert!(table.contains(part), "{part} is in {table}");
        }
        let csv = desk.answers("--applicants people.jsonl --format csv").expect("an answer");
        assert_eq!(csv.matches("\r\n").count(), 3);
        assert_eq!(cell("=1+1, \"x\""), "\"'=1+1, \"\"x\"\"\"");
    }

    #[test]
    fn equal_people_in_any_order_get_equal_answers() {
        let made_up = Desk::with(&[]).answers("--generate 40 --seed 2").expect("people");
        let backwards: Vec<&str> = made_up.lines().rev().collect();
        let desk = Desk::with(&[("there.jsonl", &made_up), ("back.jsonl", &backwards.join("\n"))]);
        assert_eq!(desk.json("--applicants there.jsonl --seed 8 --trios"), desk.json("--applicants back.jsonl --seed 8 --trios"));
    }
}
