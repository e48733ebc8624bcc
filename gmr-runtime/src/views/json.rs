//! The JSON view: writes a report as one object or in pieces, and reads it back.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};

use crate::error::ParseReportError;
use crate::model::{self, Report};

/// The maximum length of a line, with its line feed: journald's default `LineMax=`.
const MAX_LINE: usize = 48 << 10;

/// Reserved for the rest of a line: names, numbers, the id.
const LINE_OVERHEAD: usize = 256;

/// A line: one piece of a report.
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
    // Unique on a machine: no two processes have the same pid at the same time.
    let id = format!("{}-{}-{}", heading.made_at, heading.pid, heading.number);
    // Every line has the number of lines. To save memory, a first pass counts them.
    let parts = Splitter::new(&id, 0, &mut io::sink()).split(report)?;
    Splitter::new(&id, parts, out).split(report)?;
    Ok(())
}

/// A writer for JSON that splits it into pieces of at most `max_length` bytes as JSON strings.
struct Splitter<'a> {
    id: &'a str,
    parts: usize,
    max_length: usize,
    /// The number of pieces written so far.
    part: usize,
    piece: String,
    /// The length of `piece` as a JSON string.
    length: usize,
    out: &'a mut dyn Write,
}

impl<'a> Splitter<'a> {
    fn new(id: &'a str, parts: usize, out: &'a mut dyn Write) -> Self {
        Self {
            id,
            parts,
            max_length: MAX_LINE - LINE_OVERHEAD,
            part: 0,
            piece: String::new(),
            length: 0,
            out,
        }
    }

    /// Writes the document, and returns the number of pieces.
    fn split(mut self, document: &impl Serialize) -> io::Result<usize> {
        let mut buffered = BufWriter::new(&mut self);
        serde_json::to_writer(&mut buffered, document)?;
        buffered.flush()?;
        drop(buffered);
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

impl Write for Splitter<'_> {
    /// Expects whole characters, which is what `serde_json` writes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        // JSON text has no control characters, so these are the only ones that need an escape.
        let escapes = |byte: u8| usize::from(matches!(byte, b'"' | b'\\'));
        let length = bytes.iter().map(|&byte| 1 + escapes(byte)).sum::<usize>();
        if self.length + length <= self.max_length {
            self.piece.push_str(text);
            self.length += length;
            return Ok(bytes.len());
        }
        for c in text.chars() {
            let length = c.len_utf8() + usize::from(matches!(c, '"' | '\\'));
            if self.length + length > self.max_length {
                self.end_piece()?;
            }
            self.piece.push(c);
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
        // Checked first, for a clear error about a later major version.
        let versioned: Versioned = serde_json::from_str(json)?;
        model::check_version(&versioned.schema_version).map_err(ParseReportError::new)?;
        Ok(serde_json::from_str(json)?)
    }

    /// Reads a report from its JSON lines in a log. Other lines and prefixes are skipped, and the
    /// report's lines can be in any order. If the log has several reports, the first is read.
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
    /// The log has no line of a report, one of the report's lines is missing, or the lines do not
    /// make a valid report.
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
    fn pieces_end_between_characters_and_are_short_enough_as_strings() {
        let text = r#"größe \\ "x" "#.repeat(100);
        let mut out = Vec::new();
        let splitter = |out| Splitter { max_length: 40, ..Splitter::new("id", 7, out) };
        let parts = splitter(&mut out).split(&text).unwrap();
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
        let expected = format!("not a report: a stack refers to frame {count}, but there are {count} frames");
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
