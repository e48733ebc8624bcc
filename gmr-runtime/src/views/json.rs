//! The JSON view: writes a report as one object or in pieces, and reads it back.

mod limits;
mod order;

use crate::sys::sort;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};

use crate::error::ParseReportError;
use crate::model::{self, Report};

/// The maximum length of a line in a container's log. Docker and CRI cut lines at 16 KiB. Tools
/// that ship Docker's log files cut the lines that Docker has written:
/// `{"log":"...","stream":"stderr","time":"..."}`. journald's `LineMax=` is 48 KiB.
const MAX_LINE: usize = 16 << 10;

/// Reserved for what surrounds a piece: names, numbers and the id, with escaped quotes, and what
/// Docker adds to a line. CRI adds less.
const LINE_OVERHEAD: usize = 320;

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

/// A writer for JSON that splits it into pieces of at most `max_length` bytes in a container's log.
struct Splitter<'a> {
    id: &'a str,
    parts: usize,
    max_length: usize,
    /// The number of pieces written so far.
    part: usize,
    piece: String,
    /// The length of `piece` in a container's log.
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
        let length = text.chars().map(logged_length).sum::<usize>();
        if self.length + length <= self.max_length {
            self.piece.push_str(text);
            self.length += length;
            return Ok(bytes.len());
        }
        for c in text.chars() {
            let length = logged_length(c);
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

/// How many bytes a character of a piece takes in Docker's log, where the piece is a JSON string
/// within a JSON string. JSON text has no control characters.
fn logged_length(c: char) -> usize {
    match c {
        // `\"` in the line, and `\\\"` in the log.
        '"' | '\\' => 4,
        // Docker writes them as `\u003c`.
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        _ => c.len_utf8(),
    }
}

impl Report {
    /// Reads a report from its JSON form. It can come from somebody else: every index and depth in
    /// it is checked, and so are the limits that `docs/report-schema.md` lists.
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
    /// The text is not JSON, has another major version of the schema, is not a complete report, or
    /// exceeds a limit.
    pub fn from_json(json: &str) -> Result<Self, ParseReportError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: String,
        }
        let outline = limits::Outline::of(json);
        if outline.is_too_deep() {
            limits::check(json)?;
        }
        let ordered = order::kinds_first(json);
        if outline.may_exceed_a_limit() {
            limits::check(&ordered)?;
        }
        serde_json::from_str(&ordered).map_err(|error| {
            // What is no JSON is said first. Whatever is wrong with a report of a later major version,
            // its version is the reason.
            let version = || {
                let Versioned { schema_version } = serde_json::from_str(json).ok()?;
                model::check_version(&schema_version).err().map(ParseReportError::new)
            };
            let error = ParseReportError::from(error);
            let error = if matches!(ordered, Cow::Owned(_)) { error.without_position() } else { error };
            limits::check(json).err().or_else(version).unwrap_or(error)
        })
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
        lines.retain(|line| line.gmr_report == id && (1..=parts).contains(&line.part));
        sort::by_key(&mut lines, |line| line.part);
        lines.dedup_by_key(|line| line.part);
        if let Some(missing) =
            (1..=parts).find(|part| lines.get(part - 1).is_none_or(|line| line.part != *part))
        {
            let message = format!("part {missing} of {parts} of report {id} is missing");
            return Err(ParseReportError::new(message));
        }
        let mut json = String::with_capacity(lines.iter().map(|line| line.json.len()).sum());
        for line in &lines {
            json.push_str(&line.json);
        }
        drop(lines);
        Self::from_json(&json)
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_between_characters_and_are_short_enough_as_strings() {
        let text = r#"größe \\ "x" <a> "#.repeat(100);
        let mut out = Vec::new();
        let splitter = |out| Splitter { max_length: 40, ..Splitter::new("id", 7, out) };
        let parts = splitter(&mut out).split(&text).unwrap();
        let lines = String::from_utf8(out).unwrap();
        let lines: Vec<Line<'_>> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), parts);
        for (line, part) in lines.iter().zip(1..) {
            assert_eq!((&*line.gmr_report, line.part, line.parts), ("id", part, 7));
            assert!(in_docker(&in_json(&line.json)).len() <= 40 + 2 * "\\\"".len(), "{}", line.json);
        }
        let whole: String = lines.iter().map(|line| &*line.json).collect();
        assert_eq!(serde_json::from_str::<String>(&whole).unwrap(), text);
        assert!(parts > whole.len() / 40, "{parts}");
    }

    fn in_json(text: &str) -> String {
        serde_json::to_string(text).unwrap()
    }

    /// A string as Docker's `json-file` driver escapes it, without the quotes around it.
    fn in_docker(text: &str) -> String {
        let escaped = in_json(text).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        escaped[1..escaped.len() - 1].to_owned()
    }

    #[test]
    fn lines_are_whole_in_the_log_of_a_container() {
        let mut report = Report::capture();
        // Worse than any real report: long runs of characters, most of which are escaped.
        for (number, c) in ['"', '\\', '<', 'x', 'ß'].into_iter().cycle().take(50).enumerate() {
            let text = c.to_string().repeat(1000 + 997 * number);
            let content = model::Content::Text(text);
            let title = number.to_string();
            report.sections.push(model::Section { title, took_us: 0, content });
        }
        let lines = report.to_json_lines();
        let mut longest = 0;
        for line in lines.lines() {
            let docker = format!(
                r#"{{"log":"{}\n","stream":"stderr","time":"2026-11-26T03:39:32.123456789Z"}}"#,
                in_docker(line)
            );
            let cri = format!("2026-11-26T03:39:32.123456789+00:00 stderr F {line}");
            longest = longest.max(docker.len() + 1).max(cri.len() + 1);
        }
        assert!(longest <= 16 << 10, "{longest}");
        assert!(longest > 15 << 10, "pieces are as long as they can be: {longest}");
        assert_eq!(Report::from_json_lines(&lines).unwrap(), report);
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
