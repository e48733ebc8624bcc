//! Tables in Markdown, aligned so that they can be read on a terminal.

use std::fmt;

/// A table whose first column is text and whose others are figures.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        (0..self.rows[0].len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = widths.iter().zip(row).enumerate().map(|(column, (&width, cell))| {
                if column == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
            });
            writeln!(f, "|{}|", cells.collect::<Vec<_>>().join("|"))?;
            if number == 0 {
                let line = |(column, width): (usize, &usize)| {
                    let dashes = "-".repeat(width + 1);
                    if column == 0 { format!("{dashes}-") } else { format!("{dashes}:") }
                };
                writeln!(f, "|{}|", widths.iter().enumerate().map(line).collect::<Vec<_>>().join("|"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let mut table = Table::new(&["tool", "time"]);
        table.row(["gmr".to_owned(), "34.6 µs".to_owned()]);
        assert_eq!(table.to_string(), "| tool |    time |\n|------|--------:|\n| gmr  | 34.6 µs |\n");
    }
}
