//! `gmr view`: a saved report in any format.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use gmr_runtime::{Format, Report};
use serde::Serialize;

use crate::args::{View, format_of};
use crate::out::Out;
use crate::output::{self, Page, as_u64, counted};
use crate::places::Identity;
use crate::progress::Progress;
use crate::sources::{self, Found};

/// A report of a file.
#[derive(Serialize)]
struct Row {
    place: usize,
    number: u64,
    made_at: String,
    process: Identity,
    trigger: String,
    findings: usize,
}

pub(crate) fn run(args: &View, pager: bool) -> Result<(), String> {
    let Found { reports, broken } = sources::read_slowly(&args.file)?;
    output::left_out(&broken);
    if args.list {
        return list(&reports, args.json, pager);
    }
    let report = match args.report {
        None => {
            if reports.len() > 1 {
                output::warn(&format!("the latest of {} reports; --list lists them", reports.len()));
            }
            reports.last()
        }
        Some(place) => usize::try_from(place - 1).ok().and_then(|index| reports.get(index)),
    };
    let count = counted(as_u64(reports.len()), "report");
    let report = report.ok_or_else(|| format!("the file has {count}; --list lists them"))?;
    write(report, args.format, args.output.as_deref(), pager)
}

/// Writes a report to a new file, or else to standard output.
pub(crate) fn write(
    report: &Report,
    chosen: Option<Format>,
    path: Option<&Path>,
    pager: bool,
) -> Result<(), String> {
    let format = format_of(chosen, path);
    let mut out = Out::new(path.map(Path::to_owned), pager && format == Format::Text)?;
    let progress = Some(Progress::new("making the text"));
    // A view can be many times as long as its report.
    let mut pieces = BufWriter::with_capacity(PIECE, Pieces { out: &mut out, progress });
    let written = report.write_to(&mut pieces, format).and_then(|()| pieces.flush());
    // What is left after an error is not written.
    drop(pieces.into_parts());
    let written = if out.is_closed() { Ok(()) } else { written.map_err(|error| error.to_string()) };
    out.end(written, false)
}

const PIECE: usize = 64 << 10;

/// Passes a report on as it is made, until nobody reads any more.
struct Pieces<'a> {
    out: &'a mut Out,
    /// Until there is something to read.
    progress: Option<Progress>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.progress.take());
        self.out.write(bytes).map_err(io::Error::other)?;
        if self.out.is_closed() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn list(reports: &[Report], as_json: bool, pager: bool) -> Result<(), String> {
    let rows = reports.iter().zip(1..).map(|(report, place)| Row {
        place,
        number: report.heading.number,
        made_at: report.heading.made_at.clone(),
        process: Identity::of(report),
        trigger: trigger(report),
        findings: report.findings.len(),
    });
    let rows: Vec<Row> = rows.collect();
    if as_json {
        return output::json(&rows);
    }
    let mut page = Page::new();
    for row in rows {
        let Row { place, number, made_at, process, trigger, findings } = row;
        let findings = counted(as_u64(findings), "finding");
        page.line(0, &format!("{place}: {made_at}, report {number} of {process}, {trigger}, {findings}"));
    }
    page.print(pager)
}

/// What requested a report, as its JSON has it.
fn trigger(report: &Report) -> String {
    let trigger = serde_json::to_value(&report.heading.trigger).unwrap_or_default();
    let of = |key: &str| trigger.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let kind = of("kind").unwrap_or_default();
    match of("name").or_else(|| of("path")) {
        Some(name) => format!("{kind} {name}"),
        None => kind,
    }
}
