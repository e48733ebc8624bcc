//! `gmr doctor`: why a report of a process does not come, or lacks stacks. It reads files of the
//! kernel, and sends nothing to the process. What it can't look at, it says; it does not conclude
//! anything from that.

mod check;
mod debug_information;
mod process;
mod standard_error;

use std::process::ExitCode;

use serde::Serialize;

use crate::args::Doctor;
use crate::named;
use crate::output::{self, Page, Style};
use crate::processes::Process;
use check::{Check, Result};

/// The exit code if a problem was found.
const FOUND: u8 = 3;

/// The exit code if none was found, and not everything could be looked at.
const PARTLY: u8 = 4;

#[derive(Serialize)]
struct Diagnosis {
    pid: u32,
    service: Option<String>,
    version: Option<String>,
    gmr: Option<String>,
    checks: Vec<Check>,
}

pub(crate) fn run(args: &Doctor, pager: bool) -> std::result::Result<ExitCode, String> {
    let diagnosis = diagnose(named::find(&args.process)?)?;
    let has = |result| diagnosis.checks.iter().any(|check| check.result == result);
    let code = match (has(Result::Problem), has(Result::Unknown)) {
        (true, _) => ExitCode::from(FOUND),
        (false, true) => ExitCode::from(PARTLY),
        (false, false) => ExitCode::SUCCESS,
    };
    if args.json {
        output::json(&diagnosis)?;
    } else {
        page(&diagnosis).print(pager)?;
    }
    Ok(code)
}

fn diagnose(process: Process) -> std::result::Result<Diagnosis, String> {
    let pid = process.pid();
    let status = process.status().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no process {pid}; `gmr list` lists those with gmr"),
        _ => format!("could not look at process {pid}: {error}"),
    })?;
    let marks = process.marks();
    let mark = marks.as_ref().ok().and_then(|marks| marks.first().cloned());
    let mut checks = vec![process::state(&status), process::installed(&status, &marks)];
    // One that has ended has nothing else.
    if status.state() != 'Z' {
        if let Some(signal) = mark.as_ref().and_then(|mark| mark.signal) {
            checks.extend(process::signal(process, &status, signal));
        }
        checks.extend(process::reporter(process, mark.is_some()));
        checks.push(standard_error::check(process));
        checks.extend(process::restrictions(process, &status));
        checks.extend(debug_information::check(process));
    }
    let mark = mark.unwrap_or_default();
    let gmr = Some(mark.gmr).filter(|version| !version.is_empty());
    Ok(Diagnosis { pid, service: mark.service, version: mark.version, gmr, checks })
}

fn page(diagnosis: &Diagnosis) -> Page {
    let mut page = Page::new();
    let Diagnosis { pid, service, version, gmr, checks } = diagnosis;
    let name = [service, version].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let gmr = gmr.as_ref().map(|version| format!(", gmr {version}")).unwrap_or_default();
    let name = if name.is_empty() { name } else { format!(": {name}") };
    page.line(0, &format!("process {pid}{name}{gmr}"));
    for Check { about, result, fact, remedy } in checks {
        let (shown, style) = match result {
            Result::Good => ("ok", None),
            Result::Note => ("note", None),
            Result::Problem => ("problem", Some(Style::Error)),
            Result::Unknown => ("unknown", Some(Style::Warning)),
        };
        page.styled(2, style, &format!("{shown:8}"), &format!("{about}: {fact}"));
        if let Some(remedy) = remedy {
            page.line(10, &format!("-> {remedy}"));
        }
    }
    page
}
