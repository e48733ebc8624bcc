//! Reports in text that comes line by line, such as a log: whole ones, and those in pieces, each
//! with what a logger puts around it. It reads no file.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Report;

/// A report, and the text that it was read from.
#[derive(Debug)]
pub struct Found {
    /// The report.
    pub report: Report,
    /// Its JSON, as the process has written it: also what this release does not know.
    pub json: String,
}

/// Finds reports in the lines of a text.
#[derive(Debug, Default)]
pub struct Finder {
    /// The number of the last line.
    line: u64,
    /// Reports of which pieces are missing, in the order of their first lines.
    incomplete: Vec<Pieces>,
}

/// The pieces of a report that have come.
#[derive(Debug)]
struct Pieces {
    id: String,
    parts: u64,
    json: BTreeMap<u64, String>,
}

/// How a whole report begins.
const BEGINNING: &str = r#"{"schema_version""#;
const LINE: &str = r#"{"gmr_report""#;
/// The same in a log whose lines are JSON themselves, such as Docker's.
const QUOTED_LINE: &str = r#"{\"gmr_report\""#;

/// More than processes that write to a log at the same time. A log without end can have the
/// beginnings of very many reports, each of which is kept.
const MAX_INCOMPLETE: usize = 1 << 10;

impl Finder {
    /// Looks at the next line. What it returns is a report that ends there, or why that can't be
    /// read.
    pub fn line(&mut self, line: &str) -> Option<Result<Found, String>> {
        self.line += 1;
        // Most files are one report, which takes long to search.
        let is_report = line.starts_with(BEGINNING);
        let unquoted = (!is_report && line.contains(QUOTED_LINE)).then(|| unquoted(line)).flatten();
        let line = unquoted.as_deref().unwrap_or(line);
        let piece = if is_report { None } else { line.find(LINE) };
        if let Some(start) = piece {
            return self.piece(line[start..].trim_end());
        }
        let number = self.line;
        whole(line).map(|json| read(json).map_err(|error| format!("line {number}: {error}")))
    }

    /// No line follows. Returns why reports of which pieces have come can't be read.
    pub fn end(self) -> Vec<String> {
        self.incomplete.iter().map(Pieces::missing).collect()
    }

    fn piece(&mut self, line: &str) -> Option<Result<Found, String>> {
        let line: Value = serde_json::from_str(line).ok()?;
        let id = line.get("gmr_report")?.as_str()?;
        let (part, parts) = (line.get("part")?.as_u64()?, line.get("parts")?.as_u64()?);
        let json = line.get("json")?.as_str()?;
        // Nearly always that of the line before.
        let known = self.incomplete.iter().rposition(|pieces| pieces.id == id);
        let place = known.unwrap_or_else(|| {
            self.incomplete.push(Pieces { id: id.to_owned(), parts, json: BTreeMap::new() });
            self.incomplete.len() - 1
        });
        let pieces = &mut self.incomplete[place];
        if (1..=pieces.parts).contains(&part) {
            pieces.json.entry(part).or_insert_with(|| json.to_owned());
        }
        if u64::try_from(pieces.json.len()).is_ok_and(|count| count == pieces.parts) {
            let Pieces { id, json, .. } = self.incomplete.remove(place);
            let json: String = json.into_values().collect();
            return Some(read(&json).map_err(|error| format!("report {id}: {error}")));
        }
        let first = (self.incomplete.len() > MAX_INCOMPLETE).then(|| self.incomplete.remove(0));
        first.map(|pieces| Err(pieces.missing()))
    }
}

impl Pieces {
    fn missing(&self) -> String {
        let Self { id, parts, json } = self;
        let missing = (1..=*parts).find(|part| !json.contains_key(part)).unwrap_or(*parts);
        format!("report {id}: part {missing} of {parts} is missing")
    }
}

fn read(json: &str) -> Result<Found, String> {
    let report = Report::from_json(json).map_err(|error| error.to_string())?;
    Ok(Found { report, json: json.to_owned() })
}

/// What a line of a log that is JSON has of a report.
fn unquoted(line: &str) -> Option<String> {
    let line: BTreeMap<String, Value> = serde_json::from_str(line).ok()?;
    line.into_values().find_map(|value| match value {
        Value::String(text) if text.contains(LINE) => Some(text),
        _ => None,
    })
}

/// A report that is whole on this line, perhaps after what a logger puts before it.
fn whole(line: &str) -> Option<&str> {
    let start = line.find(BEGINNING)?;
    line.ends_with('}').then(|| &line[start..])
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_there_once_its_last_piece_is() {
        let report = Report::capture();
        let text = report.to_json_lines();
        let lines: Vec<&str> = text.lines().collect();
        let (last, others) = lines.split_last().expect("a line");
        assert!(!others.is_empty(), "it has one line only");
        let mut finder = Finder::default();
        for line in others.iter().chain(others) {
            assert!(finder.line(line).is_none());
        }
        let found = finder.line(last).expect("it is whole").expect("a report");
        assert_eq!((found.report, found.json), (report.clone(), report.to_json().trim_end().to_owned()));
        // The next process can have the same id.
        assert!(finder.line(last).is_none());
        assert_eq!(finder.end().len(), 1);
    }

    #[test]
    fn the_beginnings_of_reports_are_not_kept_without_end() {
        let mut finder = Finder::default();
        let piece = |id: u64| format!(r#"{{"gmr_report":"{id}","part":2,"parts":3,"json":"x"}}"#);
        let count = u64::try_from(MAX_INCOMPLETE).expect("a small number");
        for id in 0..count {
            assert!(finder.line(&piece(id)).is_none());
        }
        let error = finder.line(&piece(count)).expect("an error").expect_err("it is not whole");
        assert_eq!(error, "report 0: part 1 of 3 is missing");
        assert_eq!(finder.incomplete.len(), MAX_INCOMPLETE);
        // Impossible numbers.
        for piece in [r#""part":0,"parts":0"#, r#""part":9,"parts":1"#, r#""part":-1,"parts":1"#] {
            assert!(
                finder
                    .line(&format!(r#"{{"gmr_report":"x",{piece},"json":""}}"#))
                    .is_none_or(|it| it.is_err())
            );
        }
    }
}
