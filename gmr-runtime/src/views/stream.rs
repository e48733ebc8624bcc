//! Writes a report while it is being made. Text is written piece by piece, so that a later failure
//! does not lose what is known already. The other formats are written when the report is complete.
//!
//! In the text, the findings come before the sections, which are held back until the findings are
//! known. If the sections take too long, they are written first, after a line that announces the
//! findings at the end.
//!
//! A view that panics loses its own output, never the report.

use std::panic::{self, AssertUnwindSafe};

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
    /// The text of the sections held back until the findings are known. `None` once released.
    held: Option<Vec<u8>>,
    room: Room,
    /// A field, so that a test can replace it.
    render: fn(&Report, Format, Detail) -> Vec<u8>,
}

impl Stream {
    pub(crate) fn new(format: Format, detail: Detail) -> Self {
        Self { format, detail, held: Some(Vec::new()), room: Room::new(MAX_TEXT), render }
    }

    /// The bytes that can be written now that this piece is known.
    pub(crate) fn piece(&mut self, piece: &Piece<'_>) -> Vec<u8> {
        if self.format != Format::Text {
            return Vec::new();
        }
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
        let mut bytes = text.into_bytes();
        match (piece, &mut self.held) {
            (Piece::Section(..), Some(held)) => {
                held.append(&mut bytes);
                Vec::new()
            }
            (Piece::Slow | Piece::Findings(..), held) => {
                bytes.extend(held.take().unwrap_or_default());
                bytes
            }
            _ => bytes,
        }
    }

    /// The remaining bytes, once the report is complete. If the format's view panics, these are a
    /// warning and the report as text.
    pub(crate) fn finish(self, report: &Report) -> Vec<u8> {
        let Self { format, detail, render, .. } = self;
        if format == Format::Text {
            return Vec::new();
        }
        panic::catch_unwind(AssertUnwindSafe(|| render(report, format, detail))).unwrap_or_else(|_| {
            let warning = format!(
                "gmr: warning: could not write the report as {format}: the view panicked; as text:\n"
            );
            let mut text = Self::new(Format::Text, detail);
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
        let mut stream = Stream::new(Format::Text, Detail::Short);
        let mut bytes: Vec<u8> = pieces(&report).flat_map(|piece| stream.piece(&piece)).collect();
        bytes.extend(stream.finish(&report));
        assert_eq!(String::from_utf8(bytes).unwrap(), report.to_text());
    }

    #[test]
    fn sections_are_held_until_the_findings_are_known_or_it_takes_too_long() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Text, Detail::Short);
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

    #[cfg(feature = "json")]
    #[test]
    fn a_format_that_needs_the_whole_report_waits_for_it() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Json, Detail::Short);
        assert!(pieces(&report).all(|piece| stream.piece(&piece).is_empty()));
        assert_eq!(String::from_utf8(stream.finish(&report)).unwrap(), report.to_json());
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_view_that_panics_leaves_the_report_as_text() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Json, Detail::Short);
        stream.render = |_, _, _| panic!("a fault of the view");
        let written = String::from_utf8(stream.finish(&report)).unwrap();
        let (warning, text) = written.split_once('\n').unwrap();
        let expected = "gmr: warning: could not write the report as json: the view panicked; as text:";
        assert_eq!(warning, expected);
        assert_eq!(text, report.to_text());
    }
}
