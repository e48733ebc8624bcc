//! The text view: for terminals and logs, in the layout of `oslo.reports`.
//!
//! Lines have 72 columns, unless data needs more. All data is escaped by [`clean`], so that it can
//! neither move the cursor nor pass for the report's own structure.

mod findings;
mod layout;
mod sections;
mod stacks;
mod tasks;
mod tracing;
mod values;

use std::fmt::{self, Write as _};
use std::io;

use self::layout::{Flush, WIDTH, framed, title};
use super::room::{MAX_TEXT, Room};
use super::{Context, Detail, Known, words};
use crate::model::{Finding, Frame, Heading, Report, Section, Summary};
use crate::units;

/// The whole report.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(report: &Report, detail: Detail, out: &mut dyn io::Write) -> io::Result<()> {
    let frames = Known::all(&report.frames);
    let room = Room::new(MAX_TEXT);
    let cx = Context { frames: &frames, detail, room: &room };
    out.write_all(heading(&report.heading).as_bytes())?;
    in_pieces(out, |text, flush| findings::write(text, &report.findings, &report.frames, &room, flush))?;
    for part in &report.sections {
        in_pieces(out, |text, flush| section_to(text, part, cx, flush))?;
    }
    out.write_all(summary(&report.summary).as_bytes())
}

/// What is long is written in pieces of about this many bytes. A row or a frame is never split.
const PIECE: usize = 4 << 10;

fn in_pieces(out: &mut dyn io::Write, write: impl FnOnce(&mut String, &mut Flush<'_>)) -> io::Result<()> {
    let (mut text, mut written) = (String::new(), Ok(()));
    write(&mut text, &mut |text| {
        if text.len() > PIECE {
            if written.is_ok() {
                written = out.write_all(text.as_bytes());
            }
            text.clear();
        }
    });
    written?;
    out.write_all(text.as_bytes())
}

/// The heading of a report.
pub(crate) fn heading(heading: &Heading) -> String {
    let mut text = String::new();
    text.push_str(&title("Guru Meditation"));
    text.push_str(&"|".repeat(WIDTH));
    text.push('\n');
    for (key, value) in words::heading(heading) {
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push('\n');
    text
}

/// Announces the findings at the end, if they are not known in time.
pub(crate) fn findings_follow() -> String {
    format!("{}not known yet; see the end of the report\n\n", title(findings::TITLE))
}

/// The findings, with their title.
pub(in crate::views) fn findings(findings: &[Finding], frames: &[Frame], room: &Room) -> String {
    let mut text = String::new();
    findings::write(&mut text, findings, frames, room, &mut |_| ());
    text
}

/// One section, with its title.
pub(in crate::views) fn section(section: &Section, cx: Context<'_>) -> String {
    let mut text = String::new();
    section_to(&mut text, section, cx, &mut |_| ());
    text
}

/// What stands in place of a section of so many bytes in a report that is limited.
pub(in crate::views) fn too_large(section: &Section, bytes: usize, limit: usize) -> String {
    let (bytes, limit) = (units::bytes(bytes as u64), units::bytes(limit as u64));
    format!("{}{bytes} of text are left out: the report is limited to {limit}\n\n", title(&section.title))
}

fn section_to(text: &mut String, section: &Section, cx: Context<'_>, flush: &mut Flush<'_>) {
    text.push_str(&title(&section.title));
    cx.room.begin_section();
    sections::content(text, &section.content, cx, flush);
    text.push('\n');
}

/// The last line.
pub(crate) fn summary(summary: &Summary) -> String {
    format!("{}\n", framed(&words::summary(summary)))
}

/// The text view, without the runtime's frames at both ends of a stack.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::{Certainty, Content, Evidence, Sender, Severity, Trigger};

    fn report() -> Report {
        let finding = Finding {
            code: "section.failed".into(),
            severity: Severity::Error,
            message: "Cache failed:\tcold".into(),
            threads: Vec::new(),
            tasks: Vec::new(),
            section: Some("Cache".into()),
            certainty: Certainty::Probable,
            evidence: vec![
                Evidence { message: "#7 (main) waits".into(), frame: Some(0), ..Evidence::default() },
                Evidence { message: "it is\tcold".into(), ..Evidence::default() },
            ],
            next: Some("the heating".into()),
        };
        let frame = Frame {
            function: Some("shop::pay".into()),
            file: Some("src/pay.rs".into()),
            line: Some(88),
            ..Frame::default()
        };
        let sender = Sender { pid: 42, uid: 0, user: Some("root".into()), command: None };
        Report {
            heading: Heading {
                number: 3,
                made_at: "2026-01-02T03:04:05.678Z".into(),
                pid: 7,
                trigger: Trigger::Signal { name: "SIGUSR2".into(), sender: Some(sender), coalesced: 2 },
                notes: vec!["report 2 lost its last 17 bytes".into()],
            },
            findings: vec![finding],
            sections: vec![Section {
                title: "Cache".into(),
                took_us: 12,
                content: Content::Text("warm".into()),
            }],
            frames: vec![frame],
            summary: Summary { number: 3, sections: 1, failed: 0, threads: 2, took_us: 1_250 },
        }
    }

    #[test]
    fn a_report_built_by_hand_looks_like_this() {
        let line = "=".repeat(72);
        let bars = "|".repeat(72);
        let expected = format!(
            "{line}\n\
             ====                        Guru Meditation                         ====\n\
             {line}\n\
             {bars}\n\
             report = 3\n\
             time = 2026-01-02T03:04:05.678Z\n\
             pid = 7\n\
             trigger = SIGUSR2 from process 42, user 0 (root), and 2 more signals since\n\
             note = report 2 lost its last 17 bytes\n\
             \n\
             {line}\n\
             ====                            Findings                            ====\n\
             {line}\n\
             error: Cache failed:\\tcold (probable)\n\
             \u{20}   #7 (main) waits in shop::pay, src/pay.rs:88\n\
             \u{20}   it is\\tcold\n\
             \u{20}   next: the heating\n\
             \n\
             {line}\n\
             ====                             Cache                              ====\n\
             {line}\n\
             warm\n\
             \n\
             ====       end of report 3: 1 section, 2 threads, 1.2 ms        ====\n"
        );
        // Of the last line only the width and the words: the standard library centers it.
        let text = report().to_string();
        let (body, last) = text.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(body, expected.trim_end().rsplit_once('\n').unwrap().0);
        assert_eq!(last.len(), 72, "{last}");
        assert!(last.contains(" end of report 3: 1 section, 2 threads, 1.2 ms "), "{last}");
    }

    #[test]
    fn every_trigger_is_one_line() {
        let line = |trigger| {
            let heading = Heading { trigger, ..report().heading };
            let text = Report { heading, ..report() }.to_string();
            text.lines().find(|line| line.starts_with("trigger = ")).map(str::to_owned)
        };
        let file = Trigger::File { path: "/run/shop".into(), coalesced: 0 };
        assert_eq!(line(file).as_deref(), Some("trigger = the file /run/shop was touched"));
        let (name, cause) = ("on_panic".into(), "a thread\tpanicked".into());
        let automatic = Trigger::Automatic { name, cause, coalesced: 1 };
        let expected = "trigger = automatic (on_panic): a thread\\tpanicked, and 1 more event since";
        assert_eq!(line(automatic).as_deref(), Some(expected));
    }

    #[test]
    fn without_findings_one_line_says_so() {
        let report = Report { findings: Vec::new(), ..report() };
        assert!(report.to_string().contains("\nno problems detected\n"), "{report}");
    }

    #[test]
    fn a_title_cannot_forge_structure() {
        let mut report = report();
        report.sections[0].title = "x\u{1b}[2J\n====".into();
        let text = report.to_string();
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("x\\u{1b}[2J\\n===="), "{text}");
    }
}
