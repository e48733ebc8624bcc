//! Writes a report while it is being made. Text is written piece by piece, so that a later failure
//! does not lose what is known already. The other formats are written when the report is complete.
//!
//! If the report has a limit, it is written when it is complete, or when it takes too long. In the
//! one case it is made smaller as a whole, in the other it lacks the sections that are too large.
//!
//! In the text, the findings come before the sections, which are held back until the findings are
//! known. If the sections take too long, they are written first, after a line that announces the
//! findings at the end.
//!
//! A view that panics loses its own output, never the report.

use std::panic::{self, AssertUnwindSafe};

use super::fit::fit;
use super::room::{MAX_TEXT, Room};
use super::{Context, Detail, Format, Known, render, text};
use crate::model::{Finding, Frame, Heading, Report, Section, Summary};

/// A part of a report that has become known.
pub(crate) enum Piece<'a> {
    Heading(&'a Heading),
    /// A section, with the frames of all sections so far.
    Section(&'a Section, &'a [Frame]),
    /// The sections are taking too long.
    Slow,
    /// All findings, with the frames of all sections. No sections follow.
    Findings(&'a [Finding], &'a [Frame]),
    Summary(&'a Summary),
}

/// The output of one report.
#[derive(Debug)]
pub(crate) struct Stream {
    format: Format,
    detail: Detail,
    /// How many bytes the report may have. `None` for any number.
    limit: Option<usize>,
    /// The text held back until the findings are known. `None` once released.
    held: Option<Held>,
    /// How many bytes may follow those that are held or written.
    left: usize,
    room: Room,
    /// A field, so that a test can replace it.
    render: fn(&Report, Format, Detail) -> Vec<u8>,
}

#[derive(Debug, Default)]
struct Held {
    /// It is only held if the report has a limit: then it says what is left out.
    heading: Vec<u8>,
    sections: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(format: Format, detail: Detail, limit: Option<usize>) -> Self {
        let left = limit.unwrap_or(usize::MAX);
        Self { format, detail, limit, held: Some(Held::default()), left, room: Room::new(MAX_TEXT), render }
    }

    /// The bytes that can be written now that this piece is known.
    pub(crate) fn piece(&mut self, piece: &Piece<'_>) -> Vec<u8> {
        if self.format != Format::Text {
            return Vec::new();
        }
        let mut bytes = self.text(piece).into_bytes();
        match (piece, &mut self.held) {
            (Piece::Heading(_), Some(held)) if self.limit.is_some() => {
                held.heading = bytes;
                Vec::new()
            }
            (Piece::Section(..), Some(held)) => {
                held.sections.append(&mut bytes);
                Vec::new()
            }
            // It is written when it is complete.
            (Piece::Findings(..) | Piece::Summary(_), Some(_)) if self.limit.is_some() => Vec::new(),
            (Piece::Slow | Piece::Findings(..), held) => {
                let held = held.take().unwrap_or_default();
                [held.heading, bytes, held.sections].concat()
            }
            _ => bytes,
        }
    }

    fn text(&mut self, piece: &Piece<'_>) -> String {
        let (detail, room) = (self.detail, &self.room);
        let text = panic::catch_unwind(AssertUnwindSafe(|| match piece {
            Piece::Heading(heading) => text::heading(heading),
            Piece::Section(section, frames) => {
                text::section(section, Context { frames: &Known::all(frames), detail, room })
            }
            Piece::Slow if self.held.is_none() => String::new(),
            Piece::Slow => text::findings_follow(),
            Piece::Findings(findings, frames) => text::findings(findings, frames, room),
            Piece::Summary(summary) => text::summary(summary),
        }));
        let text = text.unwrap_or_else(|_| {
            let part = match piece {
                Piece::Heading(_) => "the heading",
                Piece::Section(section, _) => &format!("the section {:?}", section.title),
                Piece::Slow | Piece::Findings(..) => "the findings",
                Piece::Summary(_) => "the summary",
            };
            format!("gmr: warning: could not write {part}: the view panicked\n")
        });
        let text = match (piece, self.limit) {
            (Piece::Section(section, _), Some(limit)) if text.len() > self.left => {
                text::too_large(section, text.len(), limit)
            }
            _ => text,
        };
        self.left = self.left.saturating_sub(text.len());
        text
    }

    /// The remaining bytes, once the report is complete. If the format's view panics, these are a
    /// warning and the report as text.
    pub(crate) fn finish(self, report: &Report) -> Vec<u8> {
        let Self { format, detail, render, limit, held, .. } = self;
        let is_written = format == Format::Text && (limit.is_none() || held.is_none());
        if is_written {
            return Vec::new();
        }
        let render = |report: &Report| render(report, format, detail);
        let rendered = panic::catch_unwind(AssertUnwindSafe(|| match limit {
            Some(limit) => fit(report, limit, render),
            None => render(report),
        }));
        rendered.unwrap_or_else(|_| {
            let warning = format!(
                "gmr: warning: could not write the report as {format}: the view panicked; as text:\n"
            );
            let mut text = Self::new(Format::Text, detail, None);
            let mut bytes = warning.into_bytes();
            bytes.extend(text.piece(&Piece::Heading(&report.heading)));
            bytes.extend(text.piece(&Piece::Findings(&report.findings, &report.frames)));
            for section in &report.sections {
                bytes.extend(text.piece(&Piece::Section(section, &report.frames)));
            }
            bytes.extend(text.piece(&Piece::Summary(&report.summary)));
            bytes
        })
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn pieces(report: &Report) -> impl Iterator<Item = Piece<'_>> {
        let sections = report.sections.iter().map(|section| Piece::Section(section, &report.frames));
        let last = [Piece::Findings(&report.findings, &report.frames), Piece::Summary(&report.summary)];
        [Piece::Heading(&report.heading)].into_iter().chain(sections).chain(last)
    }

    #[test]
    fn the_pieces_of_the_text_are_the_report() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Text, Detail::Short, None);
        let mut bytes: Vec<u8> = pieces(&report).flat_map(|piece| stream.piece(&piece)).collect();
        bytes.extend(stream.finish(&report));
        assert_eq!(String::from_utf8(bytes).unwrap(), report.to_text());
    }

    #[test]
    fn sections_are_held_until_the_findings_are_known_or_it_takes_too_long() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Text, Detail::Short, None);
        let section = Piece::Section(&report.sections[0], &report.frames);
        assert!(!stream.piece(&Piece::Heading(&report.heading)).is_empty());
        assert!(stream.piece(&section).is_empty());
        let late = String::from_utf8(stream.piece(&Piece::Slow)).unwrap();
        let (follow, package) = (late.find(" Findings ").unwrap(), late.find(" Package ").unwrap());
        assert!(follow < package, "{late}");
        assert!(late.contains("not known yet; see the end of the report\n"), "{late}");
        // From here on, sections are written at once.
        assert!(!stream.piece(&section).is_empty());
        assert!(stream.piece(&Piece::Slow).is_empty());
        let findings = String::from_utf8(stream.piece(&Piece::Findings(&[], &[]))).unwrap();
        assert!(findings.contains("no problems detected\n"), "{findings}");
    }

    #[test]
    fn a_report_with_a_limit_is_written_when_it_is_complete() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Text, Detail::Short, Some(1 << 20));
        assert!(pieces(&report).all(|piece| stream.piece(&piece).is_empty()));
        assert_eq!(String::from_utf8(stream.finish(&report)).unwrap(), report.to_text());
    }

    #[test]
    fn if_it_takes_too_long_only_sections_beyond_the_limit_are_missing() {
        let report = Report::capture();
        let room = Room::new(MAX_TEXT);
        let cx = Context { frames: &[], detail: Detail::Short, room: &room };
        let package = text::section(&report.sections[0], cx);
        let limit = text::heading(&report.heading).len() + package.len();
        let mut stream = Stream::new(Format::Text, Detail::Short, Some(limit));
        let mut bytes = Vec::new();
        for (number, piece) in pieces(&report).enumerate() {
            bytes.extend(stream.piece(&piece));
            if number == 1 {
                bytes.extend(stream.piece(&Piece::Slow));
            }
        }
        bytes.extend(stream.finish(&report));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(&package), "{text}");
        assert_eq!(text.matches("of text are left out").count(), report.sections.len() - 1, "{text}");
        assert!(text.ends_with(&text::summary(&report.summary)), "{text}");
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_format_that_needs_the_whole_report_waits_for_it() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Json, Detail::Short, None);
        assert!(pieces(&report).all(|piece| stream.piece(&piece).is_empty()));
        assert_eq!(String::from_utf8(stream.finish(&report)).unwrap(), report.to_json());
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_view_that_panics_leaves_the_report_as_text() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Json, Detail::Short, None);
        stream.render = |_, _, _| panic!("a fault of the view");
        let written = String::from_utf8(stream.finish(&report)).unwrap();
        let (warning, text) = written.split_once('\n').unwrap();
        let expected = "gmr: warning: could not write the report as json: the view panicked; as text:";
        assert_eq!(warning, expected);
        assert_eq!(text, report.to_text());
    }
}
