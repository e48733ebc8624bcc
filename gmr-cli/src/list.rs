//! `gmr list`: the processes of this machine that have gmr, in containers as well. They are
//! recognized by their mark, and notice nothing.

use gmr_runtime::__cli::{bytes, signal_name, uptime};
use serde::Serialize;

use crate::args::List;
use crate::output::{self, Page, number};
use crate::processes::{Process, Signals, not_looked_at};
use crate::progress::Progress;

#[derive(Serialize)]
struct Row {
    pid: u32,
    /// The id inside its own PID namespace, if that is another one.
    pid_inside: Option<u32>,
    service: Option<String>,
    version: Option<String>,
    gmr: String,
    schema: String,
    /// The report signal.
    signal: Option<String>,
    /// Whether the process has a handler for it now. One without must not be sent it.
    caught: Option<bool>,
    /// As `ps` has it: `S`, `T`.
    state: char,
    user_id: Option<u64>,
    uptime_s: Option<u64>,
    threads: Option<u64>,
    resident_bytes: Option<u64>,
    /// How many copies of gmr there are in it.
    copies: usize,
}

#[derive(Serialize)]
struct Listing {
    processes: Vec<Row>,
    /// How many processes could not be looked at, such as those of other users.
    unreadable: u64,
}

pub(crate) fn run(args: &List, pager: bool) -> Result<(), String> {
    let listing = list()?;
    if args.json {
        return output::json(&listing);
    }
    page(&listing).print(pager)
}

fn list() -> Result<Listing, String> {
    let _progress = Progress::new("looking at all processes");
    let mut listing = Listing { processes: Vec::new(), unreadable: 0 };
    let all = Process::all().map_err(|error| format!("could not list /proc: {error}"))?;
    for process in all {
        match process.marks() {
            Ok(marks) if marks.is_empty() => {}
            // It can end at any time.
            Ok(_) => listing.processes.extend(row(process)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => listing.unreadable += 1,
            Err(_) => {}
        }
    }
    Ok(listing)
}

fn row(process: Process) -> Option<Row> {
    let (marks, status) = (process.marks().ok()?, process.status().ok()?);
    let mark = marks.first()?.clone();
    let inside = status.pids().last().copied().filter(|inside| *inside != process.pid());
    Some(Row {
        pid: process.pid(),
        pid_inside: inside,
        service: mark.service,
        version: mark.version,
        gmr: mark.gmr,
        schema: mark.schema,
        signal: mark.signal.map(signal_name),
        caught: mark.signal.and_then(|signal| status.has(Signals::Caught, signal)),
        state: status.state(),
        user_id: status.number("Uid"),
        uptime_s: process.uptime(),
        threads: status.number("Threads"),
        resident_bytes: status.number("VmRSS").map(|kib| kib << 10),
        copies: marks.len(),
    })
}

/// Whether a report can be requested by the signal, and why not.
fn answer(row: &Row) -> String {
    match (&row.signal, row.caught) {
        (None, _) => "handles no report signal".to_owned(),
        (Some(signal), Some(false)) => format!("has no handler for {signal} now: do not send it"),
        (Some(signal), _) if matches!(row.state, 'T' | 't') => format!("{signal}, but it is stopped"),
        (Some(signal), _) => signal.clone(),
    }
}

fn page(listing: &Listing) -> Page {
    const HEADINGS: [&str; 8] =
        ["PID", "INSIDE", "SERVICE", "VERSION", "UPTIME", "THREADS", "MEMORY", "SIGNAL"];
    let mut page = Page::new();
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let cells = |row: &Row| {
        [
            row.pid.to_string(),
            or_dash(row.pid_inside.map(|pid| pid.to_string())),
            or_dash(row.service.clone()),
            or_dash(row.version.clone()),
            or_dash(row.uptime_s.map(|seconds| uptime(seconds * 1_000))),
            or_dash(row.threads.map(number)),
            or_dash(row.resident_bytes.map(bytes)),
            answer(row),
        ]
    };
    let rows: Vec<[String; 8]> = listing.processes.iter().map(cells).collect();
    if rows.is_empty() {
        page.line(0, "No process with gmr was found.");
    } else {
        page.table(&HEADINGS, &rows);
    }
    if listing.unreadable > 0 {
        page.line(0, &not_looked_at(listing.unreadable));
    }
    page
}
