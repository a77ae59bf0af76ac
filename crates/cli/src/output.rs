//! Standard output, sizes, tables and progress.
//!
//! Lines are seen at once: the standard library flushes standard output at every end of a line.

use crate::error::CliError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Prints a line. Unlike `println!` it does not panic when nobody reads.
pub(crate) fn line(text: impl Display) -> Result<(), CliError> {
    writeln!(io::stdout(), "{text}").map_err(CliError::Output)
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Prints rows in columns; the last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> Result<(), CliError> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        line(cells.join(" ").trim_end())?;
    }
    Ok(())
}

/// A number of bytes as Kubo prints it: powers of 1000, one decimal below 10.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, (value * 10.0).round() / 10.0) {
        (1.., value) if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        (_, value) => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// Whether somebody watches standard error.
pub(crate) fn watched() -> bool {
    io::stderr().is_terminal()
}

/// A bar on standard error, without an end when the total is not known. It draws on a terminal only.
pub(crate) fn bar(shown: bool, total: Option<u64>) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let template = match total {
        Some(_) => "{bytes} / {total_bytes} [{bar:40}] {percent}% {bytes_per_sec} {eta}",
        None => "{bytes} {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates are literals");
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_kubo_writes_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (9, "9 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_550, "1.6 kB"),
            (82_854_982, "83 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
