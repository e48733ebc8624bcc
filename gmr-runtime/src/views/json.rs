//! The JSON view: the report as one object or in pieces, and the way back.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};

use crate::error::ParseReportError;
use crate::model::{self, Report};

/// The maximum length of a line, with its line feed: journald's default for `LineMax`.
const LONGEST_LINE: usize = 48 << 10;

/// The length of a line beside its piece: the names, the numbers, the id.
const AROUND: usize = 256;

/// One piece of a report.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    gmr_report: Cow<'a, str>,
    part: usize,
    parts: usize,
    #[serde(borrow)]
    json: Cow<'a, str>,
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    out.write_all(b"\n")
}

pub(super) fn write_lines(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let heading = &report.heading;
    // No two processes of a machine have the same id at the same time.
    let id = format!("{}-{}-{}", heading.made_at, heading.pid, heading.number);
    // Every line says how many there are, and there is not room for all of them: the first time
    // they are only counted.
    let parts = Cutter::new(&id, 0, &mut io::sink()).cut(report)?;
    Cutter::new(&id, parts, out).cut(report)?;
    Ok(())
}

/// Takes JSON and writes it in pieces that are no longer than this as JSON strings.
struct Cutter<'a> {
    id: &'a str,
    parts: usize,
    longest: usize,
    /// How many have been written.
    part: usize,
    piece: String,
    /// Of the piece, as a JSON string.
    length: usize,
    out: &'a mut dyn Write,
}

impl<'a> Cutter<'a> {
    fn new(id: &'a str, parts: usize, out: &'a mut dyn Write) -> Self {
        Self { id, parts, longest: LONGEST_LINE - AROUND, part: 0, piece: String::new(), length: 0, out }
    }

    /// Writes all of it, and returns how many pieces there were.
    fn cut(mut self, document: &impl Serialize) -> io::Result<usize> {
        // Which keeps together what is written together.
        let mut several = BufWriter::new(&mut self);
        serde_json::to_writer(&mut several, document)?;
        several.flush()?;
        drop(several);
        self.end_piece()?;
        Ok(self.part)
    }

    fn end_piece(&mut self) -> io::Result<()> {
        self.part += 1;
        let (gmr_report, json) = (Cow::Borrowed(self.id), Cow::Borrowed(self.piece.as_str()));
        serde_json::to_writer(
            &mut *self.out,
            &Line { gmr_report, part: self.part, parts: self.parts, json },
        )?;
        self.out.write_all(b"\n")?;
        self.piece.clear();
        self.length = 0;
        Ok(())
    }
}

impl Write for Cutter<'_> {
    /// Whatever is serialized is written in whole letters.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        // What has been JSON once has no control characters left, so these are all that is written
        // differently.
        let differently = |byte: u8| usize::from(matches!(byte, b'"' | b'\\'));
        let length = bytes.iter().map(|&byte| 1 + differently(byte)).sum::<usize>();
        if self.length + length <= self.longest {
            self.piece.push_str(text);
            self.length += length;
            return Ok(bytes.len());
        }
        for letter in text.chars() {
            let length = letter.len_utf8() + usize::from(matches!(letter, '"' | '\\'));
            if self.length + length > self.longest {
                self.end_piece()?;
            }
            self.piece.push(letter);
            self.length += length;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Report {
    /// Reads a report from its JSON form.
    ///
    /// ```
    /// use gmr_runtime::Report;
    ///
    /// let report = Report::capture();
    /// assert_eq!(Report::from_json(&report.to_json())?, report);
    /// # Ok::<(), gmr_runtime::ParseReportError>(())
    /// ```
    ///
    /// # Errors
    /// The text is not JSON, has another major version of the schema, or is not a complete report.
    pub fn from_json(json: &str) -> Result<Self, ParseReportError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: String,
        }
        // Checked first, so that the error for a later schema is not that of its first unknown
        // field.
        let versioned: Versioned = serde_json::from_str(json)?;
        model::check_version(&versioned.schema_version).map_err(ParseReportError::new)?;
        Ok(serde_json::from_str(json)?)
    }

    /// Reads a report from its JSON lines in a log. Other lines and prefixes are skipped, and the
    /// report's own lines can come in any order. Of several reports, the first is read.
    ///
    /// ```
    /// use gmr_runtime::Report;
    ///
    /// let report = Report::capture();
    /// let log = format!("GET / 200\n{}GET / 200\n", report.to_json_lines());
    /// assert_eq!(Report::from_json_lines(&log)?, report);
    /// # Ok::<(), gmr_runtime::ParseReportError>(())
    /// ```
    ///
    /// # Errors
    /// The log has no line of a report, a line of the report is missing, or the lines together are
    /// not a report.
    pub fn from_json_lines(log: &str) -> Result<Self, ParseReportError> {
        let lines = log.lines().filter_map(|line| {
            // Loggers put a prefix before the line.
            let json = &line[line.find(r#"{"gmr_report""#)?..];
            serde_json::from_str::<Line<'_>>(json).ok()
        });
        let mut lines: Vec<Line<'_>> = lines.collect();
        let first = lines.first().ok_or_else(|| ParseReportError::new("no line of a report found"))?;
        let (id, parts) = (first.gmr_report.clone(), first.parts);
        lines.retain(|line| line.gmr_report == id);
        lines.sort_by_key(|line| line.part);
        lines.dedup_by_key(|line| line.part);
        if let Some(missing) =
            (1..=parts).find(|part| lines.get(part - 1).is_none_or(|line| line.part != *part))
        {
            let message = format!("part {missing} of {parts} of report {id} is missing");
            return Err(ParseReportError::new(message));
        }
        Self::from_json(&lines.iter().map(|line| &*line.json).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_between_letters_and_are_short_enough_as_strings() {
        let text = r#"größe \\ "x" "#.repeat(100);
        let mut out = Vec::new();
        let cutter = |out| Cutter { longest: 40, ..Cutter::new("id", 7, out) };
        let parts = cutter(&mut out).cut(&text).unwrap();
        let lines = String::from_utf8(out).unwrap();
        let lines: Vec<Line<'_>> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), parts);
        for (line, part) in lines.iter().zip(1..) {
            assert_eq!((&*line.gmr_report, line.part, line.parts), ("id", part, 7));
            assert!(serde_json::to_string(&line.json).unwrap().len() <= 40 + 2, "{}", line.json);
        }
        let whole: String = lines.iter().map(|line| &*line.json).collect();
        assert_eq!(serde_json::from_str::<String>(&whole).unwrap(), text);
        assert!(parts > whole.len() / 40, "{parts}");
    }

    #[test]
    fn a_text_that_is_not_a_report_is_refused_with_the_reason() {
        let why = |json: &str| Report::from_json(json).unwrap_err().to_string();
        let error = Report::from_json("{\n  \"schema_version\": nothing").unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(2), Some(22)), "{error}");
        assert!(why("GET / 200").starts_with("not a report: expected"), "{}", why("GET / 200"));
        let later = r#"{"schema_version": "2.0", "threads": "as runes"}"#;
        assert_eq!(why(later), "not a report: schema version 2.0 is not supported; expected 1.x");
        assert_eq!(Report::from_json(later).unwrap_err().line(), None);
        assert!(why(r#"{"schema_version": "1.0"}"#).contains("missing field `heading`"));
        let mut report = Report::capture();
        report.frames.pop();
        let count = report.frames.len();
        let expected = format!("not a report: a stack has frame {count}, but there are {count} frames");
        assert!(why(&report.to_json()).starts_with(&expected), "{}", why(&report.to_json()));
    }

    #[test]
    fn a_missing_line_is_named() {
        let lines = [1, 2, 3]
            .map(|part| format!(r#"host app: {{"gmr_report":"x","part":{part},"parts":3,"json":"{{}}"}}"#));
        let log = [&lines[2], &lines[0]].map(String::as_str).join("\n");
        let error = Report::from_json_lines(&log).unwrap_err();
        assert_eq!(error.to_string(), "not a report: part 2 of 3 of report x is missing");
        let error = Report::from_json_lines("GET / 200\n").unwrap_err();
        assert_eq!(error.to_string(), "not a report: no line of a report found");
    }
}
