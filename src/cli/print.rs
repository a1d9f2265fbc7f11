//! Results on standard output: JSON, or columns that line up.
use anyhow::Result;
use serde::Serialize;

/// Pretty JSON and a line end.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
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
        let line: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count()))).collect();
        println!("{}", line.join("  ").trim_end());
    }
}
