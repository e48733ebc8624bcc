//! `gmr report`: the report of a running process, here. It asks by the report signal, with a value
//! that says so, and only a process that has a handler for the signal and says that it understands
//! the value. The process offers the report in a memory file, which the command reads; nothing is
//! written into it.
//!
//! Whatever a process does with this, the command neither waits for ever, nor reads another file
//! than one of that process's memory, nor passes on what a terminal would interpret.

mod attach;
mod lines;
mod looker;
mod offered;
mod target;

use std::borrow::Cow;
use std::fmt::Write as _;

use gmr_runtime::__cli::{Attach, printable};
use gmr_runtime::model::Content;
use gmr_runtime::{Format, Report};

use crate::args;
use crate::named;
use crate::out::Out;
use crate::progress::Progress;
use lines::Lines;
pub(crate) use looker::Looker;
pub(crate) use target::Target;

/// The process that an argument names, if it can be asked.
fn target(argument: &str) -> Result<Target, String> {
    Target::new(named::find(argument)?)
}

/// A whole report of this process.
fn ask(target: &Target, without_tasks: bool) -> Result<Report, String> {
    let attach = Attach { is_json: true, without_tasks, is_look: false, token: attach::token() };
    let report = attach::request(target, attach)?.report(target)?;
    selected(report, &[], without_tasks)
}

pub(crate) fn run(args: &args::Report, pager: bool) -> Result<(), String> {
    let target = target(&args.process)?;
    let chosen = if args.browser { Some(Format::Html) } else { args.format };
    let format = args::format_of(chosen, args.output.as_deref());
    let is_text = format == Format::Text && args.sections.is_empty();
    let without_tasks = args.no_tasks;
    let attach = Attach { is_json: !is_text, without_tasks, is_look: false, token: attach::token() };
    // Before the process is asked: what can't be written costs it nothing.
    let page = || std::env::temp_dir().join(format!("gmr-report-{:08x}.html", attach.token));
    let path = args.output.clone().or_else(|| args.browser.then(page));
    let mut out = Out::new(path, pager && format == Format::Text)?;
    let progress = Progress::new(format!("waiting for the report of process {}", target.pid()));
    let written = if is_text {
        text(&target, attach, &mut out, progress)
    } else {
        let shown = attach::request(&target, attach)
            .and_then(|offered| offered.report(&target))
            .and_then(|report| selected(report, &args.sections, args.no_tasks))
            .and_then(|report| Ok(harmless(rendered(&report, format)?, format)));
        drop(progress);
        shown.and_then(|shown| out.write(&shown))
    };
    out.end(written, args.browser)
}

/// Passes text on as it comes.
fn text(target: &Target, attach: Attach, out: &mut Out, progress: Progress) -> Result<(), String> {
    let mut offered = attach::request(target, attach)?;
    let mut progress = Some(progress);
    let mut lines = Lines::default();
    loop {
        match offered.next(target) {
            Ok(Some(bytes)) => {
                if out.is_on_terminal() {
                    drop(progress.take());
                }
                out.write(&lines.add(bytes))?;
                if out.is_closed() {
                    return Ok(());
                }
            }
            // What has come may be all that there is ever going to be.
            end => {
                out.write(&lines.end())?;
                return end.map(|_| ());
            }
        }
    }
}

/// The report with these sections only, or with all if none is named.
fn selected(mut report: Report, names: &[String], without_tasks: bool) -> Result<Report, String> {
    let plain = |name: &str| name.trim().to_lowercase().replace(['-', '_'], " ");
    if without_tasks {
        // It is there if somebody else has wanted the same report.
        report.sections.retain(|section| !matches!(section.content, Content::GreenThreads(_)));
    }
    for name in names {
        if !report.sections.iter().any(|section| plain(&section.title) == plain(name)) {
            let titles: Vec<&str> = report.sections.iter().map(|section| &*section.title).collect();
            return Err(format!("the report has no section `{name}`; it has: {}", titles.join(", ")));
        }
    }
    if !names.is_empty() {
        report.sections.retain(|section| names.iter().any(|name| plain(name) == plain(&section.title)));
    }
    Ok(report)
}

fn rendered(report: &Report, format: Format) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    report.write_to(&mut bytes, format).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Without what a terminal would interpret. The views escape what their formats require, and a
/// terminal interprets more.
fn harmless(bytes: Vec<u8>, format: Format) -> Vec<u8> {
    let text = match String::from_utf8(bytes) {
        Ok(text) if text.chars().any(is_harmful) => text,
        Ok(text) => return text.into_bytes(),
        Err(error) => return error.into_bytes(),
    };
    let is_json = matches!(format, Format::Json | Format::JsonLines);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_harmful(c) {
            shown.push(c);
        } else if is_json {
            // Only strings have any.
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(char::REPLACEMENT_CHARACTER);
        }
    }
    shown.into_bytes()
}

/// Other than line breaks and tabs, which documents have between their parts.
fn is_harmful(c: char) -> bool {
    !c.is_ascii_graphic()
        && !matches!(c, ' ' | '\n' | '\t' | '\r')
        && matches!(printable(c.encode_utf8(&mut [0; 4])), Cow::Owned(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_has_what_a_terminal_interprets() {
        let text = "{\"größe\":\"a\u{9b}31m\u{7f}\u{202e}b\"}\n";
        let shown = |format| String::from_utf8(harmless(text.into(), format)).expect("text");
        assert_eq!(shown(Format::Json), "{\"größe\":\"a\\u009b31m\\u007f\\u202eb\"}\n");
        assert_eq!(shown(Format::Html), "{\"größe\":\"a\u{fffd}31m\u{fffd}\u{fffd}b\"}\n");
        let read: serde_json::Value = serde_json::from_str(&shown(Format::Json)).expect("JSON");
        assert_eq!(read["größe"], "a\u{9b}31m\u{7f}\u{202e}b");
    }

    #[test]
    fn sections_are_chosen_by_their_titles() {
        let report = Report::capture();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let titles = |chosen: &[&str]| {
            let report = selected(report.clone(), &names(chosen), false).expect("they are there");
            report.sections.into_iter().map(|section| section.title).collect::<Vec<_>>()
        };
        assert_eq!(titles(&["green_threads", "PACKAGE"]), ["Package", "Green Threads"]);
        assert_eq!(titles(&[]).len(), report.sections.len());
        let error =
            selected(report.clone(), &names(&["package", "thread"]), false).expect_err("there is none");
        let without = selected(report.clone(), &[], true).expect("all others");
        assert_eq!(without.sections.len(), report.sections.len() - 1);
        assert!(error.contains("`thread`") && error.contains("Package, Resources, Threads"), "{error}");
    }
}
