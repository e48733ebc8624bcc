//! Writing a report while it is made. Text goes out piece by piece, so that what is known is out
//! whatever happens later; the other formats are written when the report is complete.
//!
//! A view that panics costs its own output, never the report.

use std::panic::{self, AssertUnwindSafe};

use super::{Context, Detail, Format, text, written};
use crate::model::{Frame, Heading, Report, Section, Summary};

/// What becomes known while a report is made.
pub(crate) enum Piece<'a> {
    Heading(&'a Heading),
    /// A section, and the frames of all sections so far.
    Section(&'a Section, &'a [Frame]),
    Summary(&'a Summary),
}

/// A report that is being written.
#[derive(Debug)]
pub(crate) struct Stream {
    format: Format,
    detail: Detail,
    /// A field so that a test can have it panic.
    write: fn(&Report, Format, Detail) -> Vec<u8>,
}

impl Stream {
    pub(crate) fn new(format: Format, detail: Detail) -> Self {
        Self { format, detail, write: written }
    }

    /// The bytes that can go out now that this piece is known.
    pub(crate) fn piece(&mut self, piece: &Piece<'_>) -> Vec<u8> {
        if self.format != Format::Text {
            return Vec::new();
        }
        let detail = self.detail;
        let text = panic::catch_unwind(AssertUnwindSafe(|| match piece {
            Piece::Heading(heading) => text::heading(heading),
            Piece::Section(section, frames) => text::section(section, Context { frames, detail }),
            Piece::Summary(summary) => text::summary(summary),
        }));
        let text = text.unwrap_or_else(|_| {
            let part = match piece {
                Piece::Heading(_) => "the heading",
                Piece::Section(section, _) => &format!("the section {:?}", section.title),
                Piece::Summary(_) => "the summary",
            };
            format!("gmr: warning: could not write {part}: the view panicked\n")
        });
        text.into_bytes()
    }

    /// The bytes that are left once the report is complete. If the format's view panics, they are
    /// the report as text, after a warning.
    pub(crate) fn finish(self, report: &Report) -> Vec<u8> {
        let Self { format, detail, write } = self;
        if format == Format::Text {
            return Vec::new();
        }
        panic::catch_unwind(AssertUnwindSafe(|| write(report, format, detail))).unwrap_or_else(|_| {
            let warning = format!(
                "gmr: warning: could not write the report as {format}: the view panicked; as text:\n"
            );
            let mut text = Self::new(Format::Text, detail);
            let mut bytes = warning.into_bytes();
            bytes.extend(text.piece(&Piece::Heading(&report.heading)));
            for section in &report.sections {
                bytes.extend(text.piece(&Piece::Section(section, &report.frames)));
            }
            bytes.extend(text.piece(&Piece::Summary(&report.summary)));
            bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(report: &Report) -> impl Iterator<Item = Piece<'_>> {
        let sections = report.sections.iter().map(|section| Piece::Section(section, &report.frames));
        [Piece::Heading(&report.heading)].into_iter().chain(sections).chain([Piece::Summary(&report.summary)])
    }

    #[test]
    fn the_pieces_of_the_text_are_the_report() {
        let report = Report::capture();
        let mut stream = Stream::new(Format::Text, Detail::Short);
        let mut bytes: Vec<u8> = pieces(&report).flat_map(|piece| stream.piece(&piece)).collect();
        bytes.extend(stream.finish(&report));
        assert_eq!(String::from_utf8(bytes).unwrap(), report.to_text());
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
        stream.write = |_, _, _| panic!("a fault of the view");
        let written = String::from_utf8(stream.finish(&report)).unwrap();
        let (warning, text) = written.split_once('\n').unwrap();
        let expected = "gmr: warning: could not write the report as json: the view panicked; as text:";
        assert_eq!(warning, expected);
        assert_eq!(text, report.to_text());
    }
}
