//! Lines of text below headings, and columns. Data of reports is shown without anything that a
//! terminal interprets.

use std::borrow::Cow;
use std::fmt::Write as _;

use gmr_runtime::__cli::printable;

use crate::output::{self, counted};

#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// A heading, after an empty line.
    pub(crate) fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(0, heading);
    }

    pub(crate) fn line(&mut self, indent: usize, line: &str) {
        let _ = writeln!(self.text, "{:indent$}{}", "", printable(line));
    }

    /// Columns, as wide as their widest cell. Numbers are right-aligned.
    pub(crate) fn table(&mut self, headings: &[String], rows: &[Vec<String>]) {
        let shown =
            |cells: &[String]| -> Vec<String> { cells.iter().map(|cell| short(cell).into_owned()).collect() };
        let (headings, rows) = (shown(headings), rows.iter().map(|row| shown(row)).collect::<Vec<_>>());
        let is_number =
            |cell: &str| cell.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b',' | b'.' | b'-'));
        let columns: Vec<(usize, bool)> = (0..headings.len())
            .map(|column| {
                let cells = rows.iter().map(|row| &*row[column]);
                let width = cells.clone().chain([&*headings[column]]).map(|cell| cell.chars().count()).max();
                (width.unwrap_or(0), !rows.is_empty() && cells.clone().all(is_number))
            })
            .collect();
        for row in std::iter::once(&headings).chain(&rows) {
            let cells = row.iter().zip(&columns).map(|(cell, (width, is_number))| {
                if *is_number { format!("{cell:>width$}") } else { format!("{cell:width$}") }
            });
            let _ = writeln!(self.text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }

    /// How many entries of a list are left out.
    pub(crate) fn more(&mut self, left_out: usize, noun: &str) {
        if left_out > 0 {
            let _ = writeln!(self.text, "  ... {}; --top shows more", counted(left_out, noun));
        }
    }

    pub(crate) fn print(self) -> Result<(), String> {
        output::write(self.text.as_bytes())
    }
}

/// A cell: long ones would hide the others.
fn short(cell: &str) -> Cow<'_, str> {
    const MAX: usize = 80;
    let cell = printable(cell);
    match cell.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}..", &cell[..end]).into(),
        None => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_control_the_terminal() {
        let mut page = Page::default();
        page.heading("\x1b[2J");
        page.line(2, "a\rb");
        page.table(&["x\n".to_owned()], &[vec!["\x1b]0;x\x07".repeat(40)]]);
        let controls = page.text.chars().filter(|char| char.is_control() && *char != '\n').count();
        assert_eq!((controls, page.text.lines().count()), (0, 4), "{:?}", page.text);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut page = Page::default();
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        page.table(&row(["name", "n", "m"]), &[row(["größe", "1,000", "x"]), row(["b", "2", "4"])]);
        assert_eq!(page.text, "name       n  m\ngröße  1,000  x\nb          2  4\n");
        page.more(1, "more row");
        assert!(page.text.ends_with("  ... 1 more row; --top shows more\n"), "{}", page.text);
    }
}
