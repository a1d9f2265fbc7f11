//! Results on standard output: JSON, or columns that line up.
use std::{
    fmt::Display,
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use serde::Serialize;

/// Pretty JSON and a line end.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    // JSON escapes the control characters of ASCII; terminals obey those above as well (ECMA-48 5.3).
    let text = serde_json::to_string_pretty(value)?;
    line(text.chars().map(|c| if matches!(c, '\u{7f}'..='\u{9f}') { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect::<String>());
    Ok(())
}

/// Rows in columns, each as wide as its widest cell; control characters in a cell can't play with the terminal.
pub fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = rows.map(|row| row.map(|cell| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count()))).collect();
        line(format_args!("{}", cells.join("  ").trim_end()));
    }
}

/// A letter's row and, while they are kept, its words.
pub fn letter<R: Serialize, const N: usize>(row: &R, line_of: fn(&R) -> [String; N], raw: Option<&[u8]>, as_json: bool) -> Result<()> {
    let words = raw.map(String::from_utf8_lossy);
    if as_json {
        return json(&serde_json::json!({"letter": row, "words": words}));
    }
    table(std::iter::once(line_of(row)));
    line(words.as_deref().unwrap_or("(its words are no longer kept)"));
    Ok(())
}

/// Whether the program has more to do than to print, and clears up behind itself, whoever reads.
static GOES_ON: AtomicBool = AtomicBool::new(false);

/// From now on a reader that has gone does not end the program.
pub fn go_on_without_a_reader() {
    GOES_ON.store(true, Ordering::Relaxed);
}

/// One line, or several; what others wrote in them can't play with the terminal. A reader that has gone (`… | head`) ends the program quietly, as it does every tool of the shell.
pub fn line(words: impl Display) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{}", tame(&words.to_string()))
        && error.kind() == std::io::ErrorKind::BrokenPipe
        && !GOES_ON.load(Ordering::Relaxed)
    {
        std::process::exit(0);
    }
}

/// Control characters become a sign that one was there; line ends and tabs stay.
fn tame(words: &str) -> String {
    words.replace("\r\n", "\n").chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// One line on standard error, for people and for whoever waits for `ready`. A service goes on though nobody listens any more.
pub fn note(words: impl Display) {
    let _nobody_may_listen = writeln!(std::io::stderr().lock(), "{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_gives_no_orders_to_the_terminal() {
        assert_eq!(tame("550 no\x1b[2J\u{9b}31m\u{7}\r\nnext\tline\n"), "550 no\u{fffd}[2J\u{fffd}31m\u{fffd}\nnext\tline\n");
    }
}
