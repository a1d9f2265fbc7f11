//! The answer as rows for a spreadsheet (RFC 4180).
use std::io::Write;

use super::answer::{reasons, unmet};
use crate::domain::matching::{Matching, Side, WeightedPair};

pub(super) fn of_round(out: &mut dyn Write, matching: &Matching) -> anyhow::Result<()> {
    out.write_all(b"kind,a,b,c,score,satisfaction a,satisfaction b,satisfaction c,for a,for b,for c,unmet a,unmet b,unmet c,why\r\n")?;
    for pair in &matching.pairs {
        row(out, &partnership("pair", &[&pair.a, &pair.b], pair.score, &pair.sides))?;
    }
    for trio in &matching.trios {
        row(out, &partnership("trio", &trio.members.each_ref(), trio.score, &trio.sides))?;
    }
    for left in &matching.unmatched {
        let mut cells = vec!["unmatched".to_owned(), cell(&left.id)];
        cells.resize(14, String::new());
        cells.push(cell(&left.why));
        row(out, &cells)?;
    }
    Ok(())
}

pub(super) fn of_graph(out: &mut dyn Write, pairs: &[WeightedPair]) -> anyhow::Result<()> {
    out.write_all(b"a,b,w\r\n")?;
    pairs.iter().try_for_each(|pair| row(out, &[cell(&pair.a), cell(&pair.b), pair.w.to_string()]))
}

fn partnership(kind: &str, members: &[&String], score: i64, sides: &[Side]) -> Vec<String> {
    let three = |text: &dyn Fn(usize) -> String| (0..3).map(|at| if at < members.len() { text(at) } else { String::new() }).collect::<Vec<_>>();
    let mut cells = vec![kind.to_owned()];
    cells.extend(three(&|at| cell(members[at])));
    cells.push(score.to_string());
    cells.extend(three(&|at| sides[at].satisfaction.to_string()));
    cells.extend(three(&|at| cell(&reasons(&sides[at]).join("; "))));
    cells.extend(three(&|at| cell(&unmet(&sides[at]).join("; "))));
    cells.push(String::new());
    cells
}

fn row(out: &mut dyn Write, cells: &[String]) -> anyhow::Result<()> {
    out.write_all(cells.join(",").as_bytes())?;
    Ok(out.write_all(b"\r\n")?)
}

/// A cell of words. What a spreadsheet would take for a formula gets an apostrophe.
pub(super) fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let text = format!("{guard}{text}");
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
