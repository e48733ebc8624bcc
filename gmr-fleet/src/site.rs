//! The answers as pages for a browser: one of all processes, and those of single reports that it
//! links to. It chooses what is shown, and writes the files.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use gmr_runtime::Report;

use crate::args::Site;
use crate::engine::{Engine, Variables};
use crate::html::{self, All};
use crate::output::{self, counted};
use crate::questions::{FINDINGS, FINDINGS_BY_VERSION, STACKS, STACKS_BY_VERSION, VERSIONS, rows};
use crate::{args, join};

/// The folder of single reports, beside the page.
const REPORTS: &str = "reports";

pub(crate) fn write(args: &Site) -> Result<(), String> {
    let engine = Engine::open(&args.from, Variables::new())?;
    let mut all = All {
        versions: rows(&engine, VERSIONS)?,
        findings: rows(&engine, FINDINGS)?,
        findings_by_version: rows(&engine, FINDINGS_BY_VERSION)?,
        places: rows(&engine, STACKS)?,
        places_by_version: rows(&engine, STACKS_BY_VERSION)?,
        reports: BTreeSet::new(),
        top: args.top,
    };
    let folder = args.to.join(REPORTS);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| format!("could not create {}: {error}", folder.display()))?;
    let wanted = chosen(&all, args.reports);
    join::documents(&args.from.tables, &wanted, |id, document| {
        let report = Report::from_json(&document.to_string());
        let report = report.map_err(|error| format!("the report {id} can't be shown: {error}"))?;
        file(&folder.join(format!("{id}.html")), report.to_html().as_bytes())?;
        all.reports.insert(id.to_owned());
        Ok(())
    })?;
    let page = args.to.join("index.html");
    file(&page, html::page(&all).as_bytes())?;
    let reports = counted(all.reports.len(), "report");
    output::warn(&format!("the page is {}, with those of {reports} beside it", page.display()));
    Ok(())
}

/// The reports that get a page: of each finding and place, one of each version.
fn chosen(all: &All, most: usize) -> BTreeSet<String> {
    let mut chosen = BTreeSet::new();
    let of_findings = all.findings.iter().take(all.top).flat_map(|finding| all.of_finding(finding));
    let of_places = all.places.iter().take(all.top).flat_map(|place| all.of_place(place));
    let ids = of_findings.map(|row| &row.report_id).chain(of_places.map(|row| &row.report_id));
    for id in ids.flatten() {
        if chosen.len() >= most {
            break;
        }
        // It becomes the name of a file, and anybody can have written the tables.
        if args::is_id(id) {
            chosen.insert(id.clone());
        }
    }
    chosen
}

fn file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut options = File::options();
    let open = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = open.and_then(|mut file: File| -> io::Result<()> { file.write_all(bytes) });
    written.map_err(|error| format!("could not write {}: {error}", path.display()))
}
