//! `pairpost match`: matches applicants from a file, or a graph, and prints the result; without a database.
use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::matching::{
    Applicant, BadLine, BadLines, Certificate, Decision, Graph, Input, LIBRARIES, MatchError, Pairs, Past, Step, Verdict, WeightedPair, Weights, certificate,
    each_pair, fairness, generate, optimum, prove_round_telling, read_applicants, read_lines,
};
use crate::domain::programme::{Kind, Programme};

mod answer;
mod sheet;
mod table;

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
    /// Writes how fair the match is into this file, as JSON: how satisfaction is spread, what became of each kind of wish, who would rather have each other.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What is matched; one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Applicants, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    applicants: Option<PathBuf>,
    /// A weighted graph in place of applicants: {"a": "…", "b": "…", "w": integer} a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "pins", "scores", "programme", "trios", "report"])]
    graph: Option<PathBuf>,
    /// Prints so many made-up applicants, to try things with.
    #[arg(long, value_name = "N", conflicts_with_all = ["history", "pins", "scores", "programme", "trios", "certificate", "report", "format"])]
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
    let mut out = BufWriter::new(io::stdout().lock());
    let written = answer(args, &mut out).and_then(|()| out.flush().context("can't write to standard output"));
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.chain().any(is_broken_pipe) => Ok(()),
        result => result,
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind.or_else(|| error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind)) == Some(ErrorKind::BrokenPipe)
}

fn answer(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    check_sources(args)?;
    if let Some(number) = args.source.generate {
        write_lines(out, &generate::applicants(number, args.seed))?;
    } else if let Some(file) = &args.source.graph {
        match_graph(file, args, out)?;
    } else if let Some(file) = &args.source.applicants {
        match_applicants(file, args, out)?;
    }
    Ok(())
}

fn match_applicants(file: &Path, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let programme = args.programme.as_deref().map_or_else(|| Ok(Programme::librarians()), read_programme)?;
    let weights = Weights { trios: programme.matching.trios || args.trios, ..programme.matching.clone() };
    let wording = programme.wording();
    let applicants = read_applicants(&read(file)?, &sectors(&programme)).map_err(|faults| in_file(file, &faults))?;
    let history: Vec<Past> = args.history.as_deref().map(read_values).transpose()?.unwrap_or_default().into_iter().map(|(_, pair)| pair).collect();
    let pins: Vec<(usize, Decision)> = args.pins.as_deref().map(read_values).transpose()?.unwrap_or_default();
    for (line, decision) in idle_vetoes(&pins, &applicants) {
        eprintln!("{}: line {line}: this veto changes nothing, for {decision}", args.pins.as_deref().unwrap_or(Path::new("")).display());
    }
    let decisions: Vec<Decision> = pins.iter().map(|(_, decision)| decision.clone()).collect();
    let input = Input { past: &history, decisions: &decisions, wording: &wording, ..Input::new(&applicants, &weights, args.seed) };
    let begin = Instant::now();
    let progress = Progress::begin();
    let proven = prove_round_telling(&input, &|step| progress.at(doing(step))).map_err(|error| with_line(args, &pins, error))?;
    let seconds = begin.elapsed().as_secs_f64();
    if let Some(file) = &args.scores {
        progress.at("writing every acceptable pair");
        write_file(file, |out| write_scores(out, &input))?;
    }
    write_certificate(args, &proven.certificate)?;
    progress.at("comparing everybody's partners");
    let report = if args.report.is_some() || args.format == Format::Table { Some(fairness(&input, &proven.matching)?) } else { None };
    drop(progress);
    if let (Some(file), Some(report)) = (&args.report, &report) {
        write_file(file, |out| Ok(serde_json::to_writer_pretty(&mut *out, report).map(|()| out.write_all(b"\n"))??))?;
    }
    match args.format {
        Format::Json => answer::of_round(out, &proven.matching, seconds),
        Format::Csv => sheet::of_round(out, &proven.matching),
        Format::Table => table::of_round(out, &applicants, &proven.matching, &report.unwrap_or_default()),
    }
}

fn match_graph(file: &Path, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let graph = Graph::read(&read(file)?).map_err(|faults| in_file(file, &faults))?;
    let begin = Instant::now();
    let progress = Progress::begin();
    progress.at(doing(Step::Solving { people: graph.names().len() }));
    let optimum = optimum::find(&graph, args.seed)?;
    progress.at(doing(Step::Examining));
    certificate::examine(&graph, &optimum.pairs, &optimum.certificate)?;
    drop(progress);
    let seconds = begin.elapsed().as_secs_f64();
    write_certificate(args, &optimum.certificate)?;
    let name = |vertex: u32| graph.names()[vertex as usize].clone();
    let pairs: Vec<_> = optimum.pairs.iter().map(|&(a, b, w)| WeightedPair { a: name(a), b: name(b), w }).collect();
    match args.format {
        Format::Json => answer::of_graph(out, graph.names(), &pairs, seconds),
        Format::Csv => sheet::of_graph(out, &pairs),
        Format::Table => table::of_graph(out, graph.names(), &pairs),
    }
}

/// Vetoes that name somebody who is no applicant, with their lines and what is wrong: as a rule somebody withdrew, but it may be a slip of the pen.
fn idle_vetoes(pins: &[(usize, Decision)], applicants: &[Applicant]) -> Vec<(usize, String)> {
    let known: HashSet<&str> = applicants.iter().map(|person| person.id.as_str()).collect();
    let stranger = |(line, veto): &(usize, Decision)| {
        let id = [&veto.a, &veto.b].into_iter().find(|id| !known.contains(id.as_str()))?;
        Some((*line, format!("no applicant has the id {}", Value::from(id.as_str()))))
    };
    pins.iter().filter(|(_, decision)| decision.decision == Verdict::Veto).filter_map(stranger).collect()
}

/// What is being done, and since when.
type Doing = (String, Instant);

/// Says on standard error where a match stands that takes its time.
struct Progress(Arc<Mutex<Option<Doing>>>);

/// The first word comes after this, and others at this distance.
const PATIENCE: Duration = Duration::from_secs(3);

impl Progress {
    fn begin() -> Self {
        let at: Arc<Mutex<Option<Doing>>> = Arc::default();
        let seen = Arc::downgrade(&at);
        // Ends by itself once the match is done with.
        std::thread::spawn(move || {
            let begin = Instant::now();
            loop {
                std::thread::sleep(PATIENCE);
                let Some(at) = seen.upgrade() else { return };
                if let Some((doing, since)) = at.lock().ok().and_then(|at| at.clone()) {
                    eprintln!("{doing} ({} s, {} s in all)", since.elapsed().as_secs(), begin.elapsed().as_secs());
                }
            }
        });
        Self(at)
    }

    fn at(&self, doing: impl Into<String>) {
        if let Ok(mut at) = self.0.lock() {
            *at = Some((doing.into(), Instant::now()));
        }
    }
}

fn doing(step: Step) -> String {
    match step {
        Step::Solving { people } => format!("looking for the best match of {people} people"),
        Step::Examining => "examining the proof".to_owned(),
        Step::Explaining => "putting it into words".to_owned(),
    }
}

/// A pin that can't be kept stands in a line of its file.
fn with_line(args: &Args, pins: &[(usize, Decision)], error: MatchError) -> anyhow::Error {
    if let (MatchError::Pin { a, b, .. }, Some(file)) = (&error, &args.pins)
        && let Some((line, _)) = pins.iter().find(|(_, pin)| pin.decision == Verdict::Pin && (&pin.a, &pin.b) == (a, b))
    {
        return in_file(file, &BadLines(vec![BadLine { line: *line, problem: error.to_string() }]));
    }
    error.into()
}

/// Each fault in a line of its own, with the file it stands in.
fn in_file(file: &Path, faults: &BadLines) -> anyhow::Error {
    let lines: Vec<String> = faults.to_string().lines().map(|line| format!("{}: {line}", file.display())).collect();
    anyhow!("{}", lines.join("\n"))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = if file == Path::new(STANDARD_INPUT) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("can't read standard input")?;
        bytes
    } else {
        fs::read(file).with_context(|| format!("can't read {}", file.display()))?
    };
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        in_file(file, &BadLines(vec![BadLine { line, problem: "this is not UTF-8 text".to_owned() }]))
    })
}

const STANDARD_INPUT: &str = "-";

/// Standard input can be read once.
fn check_sources(args: &Args) -> anyhow::Result<()> {
    let Args { source: Source { applicants, graph, .. }, history, pins, programme, .. } = args;
    let from_there = [applicants, graph, history, pins, programme].into_iter().flatten().filter(|file| *file == Path::new(STANDARD_INPUT));
    ensure!(from_there.count() <= 1, "only one of the files can be standard input");
    Ok(())
}

fn read_values<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Vec<(usize, T)>> {
    read_lines(&read(file)?).map_err(|faults| in_file(file, &faults))
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
    use serde_json::json;

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
            let mut text = Vec::new();
            answer(&typed.args, &mut text).map(|()| String::from_utf8(text).expect("text")).map_err(|error| format!("{error:#}"))
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
    fn everything_wrong_with_the_files_is_told_at_once_with_its_line() {
        let pins = "{\"a\": \"a\", \"b\": \"b\", \"decision\": \"veto\"}\n\n{\"a\": \"b\", \"b\": \"c\", \"decision\": \"pin\"}";
        let desk =
            Desk::with(&[("people.jsonl", PEOPLE), ("bad.jsonl", "{\"id\": \"a\", \"country\": \"XX\"}\nnonsense\n{\"id\": \"a\"}"), ("pins.jsonl", pins)]);
        let error = desk.answers("--applicants bad.jsonl").expect_err("refused");
        let lines: Vec<&str> = error.lines().map(|line| line.split_once("bad.jsonl: ").expect("names its file").1).collect();
        assert!(
            lines[0].starts_with("line 1: `country` can't be \"XX\"") && lines[1].starts_with("line 2: ") && lines[2].starts_with("line 3: the id"),
            "{error}"
        );
        let error = desk.answers("--applicants people.jsonl --pins pins.jsonl").expect_err("refused");
        assert!(error.ends_with("pins.jsonl: line 3: b and c can't be pinned to each other: they have no language in common"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_line_and_one_from_a_spreadsheet_is_read() {
        let desk = Desk::with(&[("windows.jsonl", &format!("\u{feff}{}", PEOPLE.replace('\n', "\r\n")))]);
        assert_eq!(desk.json("--applicants windows.jsonl")["objective"]["matched"], 2);
        fs::write(desk.0.path().join("latin.jsonl"), b"{\"id\": \"a\"}\n{\"id\": \"b\", \"name\": \"Jos\xe9\"}\n").expect("written");
        let error = desk.answers("--applicants latin.jsonl").expect_err("refused");
        assert!(error.ends_with("latin.jsonl: line 2: this is not UTF-8 text"), "{error}");
        assert_eq!(desk.answers("--applicants - --pins -").expect_err("refused"), "only one of the files can be standard input");
    }

    #[test]
    fn a_veto_that_names_nobody_is_told() {
        let pins: Vec<(usize, Decision)> =
            read_lines("{\"a\": \"a\", \"b\": \"b\", \"decision\": \"veto\"}\n{\"a\": \"a\", \"b\": \"bb\", \"decision\": \"veto\"}").expect("decisions");
        assert_eq!(idle_vetoes(&pins, &[Applicant::new("a"), Applicant::new("b")]), [(2, "no applicant has the id \"bb\"".to_owned())]);
    }

    #[test]
    fn a_report_says_how_fair_the_match_is() {
        let desk = Desk::with(&[("people.jsonl", PEOPLE)]);
        desk.answers("--applicants people.jsonl --report report.json").expect("an answer");
        let report: Value = serde_json::from_str(&desk.read("report.json")).expect("JSON");
        assert_eq!((&report["min"], &report["all_met"], &report["blocking_pairs"]), (&json!(640), &json!(1), &json!(0)));
        assert_eq!(report["wishes"], json!([{"wish": "place", "asked": 1, "met": 1, "hopeless": 0}]));
    }

    #[test]
    fn long_runs_say_where_they_stand() {
        assert_eq!(doing(Step::Solving { people: 20_000 }), "looking for the best match of 20000 people");
    }

    #[test]
    fn a_graph_is_matched_by_the_same_engine() {
        let desk = Desk::with(&[("graph.jsonl", "{\"a\": \"x\", \"b\": \"y\", \"w\": 5}\n{\"a\": \"z\", \"b\": \"y\", \"w\": 7}\n")]);
        let answer = desk.json("--graph graph.jsonl --certificate proof.json");
        assert_eq!((&answer["pairs"][0]["a"], &answer["pairs"][0]["score"], &answer["unmatched"][0]["id"]), (&json!("y"), &json!(7), &json!("x")));
        assert!(desk.read("proof.json").contains("\"x\":0"));
        let table = desk.answers("--graph graph.jsonl --format table").expect("an answer");
        assert_eq!(
            table,
            "y  z  7\n\n1 pair, worth 7 together. Left over: x.\nNo other match has more pairs, and none with as many is better: this was proven.\n"
        );
        assert!(desk.answers("--graph graph.jsonl --pins graph.jsonl").expect_err("refused").contains("cannot be used with"));
        assert!(desk.answers("--seed 3").expect_err("refused").contains("required"));
        assert!(desk.answers("--graph missing.jsonl").expect_err("refused").starts_with("can't read "));
    }

    #[test]
    fn a_table_is_for_people_and_csv_for_spreadsheets() {
        let desk = Desk::with(&[("people.jsonl", PEOPLE)]);
        let table = desk.answers("--applicants people.jsonl --format table").expect("an answer");
        for part in [
            "a Ana, PE",
            "=Ben",
            "  c Cai, GB\n      they are told: because nobody in this round shares a language with you\n      for you alone: the rules leave nobody",
            "  600 to 699     2 ########################################\n",
            "  country or region           1     1      0      0\n",
            "With a partner: 2 of 3 applicants, in 1 pair and 0 trios. Wishes met: 1 of 1.\nAll wishes are met for 1 of 1 who have any, and a partner.\n",
            "No two people would both rather have each other.\nNo other match has more pairs",
        ] {
            assert!(table.contains(part), "{part} is in {table}");
        }
        let nobody = Desk::with(&[("people.jsonl", "")]).answers("--applicants people.jsonl --format table").expect("an answer");
        assert!(nobody.starts_with("Nobody has a partner.\n\nWith a partner: 0 of 0 applicants"), "{nobody}");
        let csv = desk.answers("--applicants people.jsonl --format csv").expect("an answer");
        assert_eq!(csv.matches("\r\n").count(), 3);
        assert_eq!(sheet::cell("=1+1, \"x\""), "\"'=1+1, \"\"x\"\"\"");
    }

    #[test]
    fn equal_people_in_any_order_get_equal_answers() {
        let made_up = Desk::with(&[]).answers("--generate 40 --seed 2").expect("people");
        let backwards: Vec<&str> = made_up.lines().rev().collect();
        let desk = Desk::with(&[("there.jsonl", &made_up), ("back.jsonl", &backwards.join("\n"))]);
        let bytes = |file: &str, format: &str| {
            let answer = desk
                .answers(&format!("--applicants {file} --seed 8 --trios --scores s-{file} --certificate c-{file} --report r-{file} --format {format}"))
                .expect("an answer");
            let beside = ["s", "c", "r"].map(|one| desk.read(&format!("{one}-{file}")));
            (answer.lines().filter(|line| !line.contains("\"seconds\": ")).collect::<Vec<_>>().join("\n"), beside)
        };
        for format in ["json", "csv", "table"] {
            assert_eq!(bytes("there.jsonl", format), bytes("back.jsonl", format), "byte for byte but for `seconds`");
        }
    }
}
