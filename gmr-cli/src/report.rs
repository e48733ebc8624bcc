//! `gmr report`: the report of a running process, here. It asks by the report signal, with a value
//! that says so, and only a process that has a handler for the signal and says that it understands
//! the value. The process offers the report in a memory file, which the command reads; nothing is
//! written into it.
//!
//! Whatever a process does with this, the command neither waits for ever, nor reads another file
//! than one of that process's memory, nor passes on what a terminal would interpret.

mod attach;
mod named;
mod offered;
mod out;
mod target;

use gmr_runtime::__cli::Attach;
use gmr_runtime::model::Content;
use gmr_runtime::{Format, Report};

use crate::args;
use offered::Offered;
use out::Out;
use target::Target;

pub(crate) fn run(args: &args::Report, pager: bool) -> Result<(), String> {
    let target = Target::new(named::find(&args.process)?)?;
    let format = if args.browser { Format::Html } else { args.format };
    let is_text = format == Format::Text && args.sections.is_empty();
    let attach = Attach { is_json: !is_text, without_tasks: args.no_tasks, token: attach::token() };
    // Before the process is asked: what can't be written costs it nothing.
    let mut out = Out::new(args, attach.token, pager && format == Format::Text)?;
    let written = if is_text {
        text(&target, attach, &mut out)
    } else {
        json(&target, attach)
            .and_then(|report| selected(report, &args.sections, args.no_tasks))
            .and_then(|report| out.write(&rendered(&report, format)?))
    };
    out.end(written, args.browser)
}

/// Passes text on as it comes.
fn text(target: &Target, attach: Attach, out: &mut Out) -> Result<(), String> {
    let mut offered = attach::request(target, attach)?;
    let mut lines = out::Lines::default();
    loop {
        match offered.next(target) {
            Ok(Some(bytes)) => {
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

fn json(target: &Target, attach: Attach) -> Result<Report, String> {
    let mut offered = attach::request(target, attach)?;
    if offered.format != "json" {
        return Err(format!(
            "process {} writes text only: its gmr has no feature `json`, which other formats and --sections need; \
             `gmr report {0}` shows the text",
            target.pid()
        ));
    }
    let all = all(&mut offered, target)?;
    let text = String::from_utf8(all).map_err(|_| "the report is not text".to_owned())?;
    Report::from_json(&text).map_err(|error| format!("process {}: {error}", target.pid()))
}

fn all(offered: &mut Offered, target: &Target) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while let Some(bytes) = offered.next(target)? {
        all.extend_from_slice(bytes);
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

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
