//! `gmr symbolize`: names and lines for a report of a stripped executable, and for a crash report, from
//! files with debug information, of this machine or of a server. A file counts only if its build-id is
//! that of the report: names from another build would be wrong.

mod crash;
mod debug_files;
mod debuginfod;
mod outcome;
mod search;

use std::collections::HashSet;

use gmr_runtime::__cli::symbolize;

use crate::args::Symbolize;
use crate::progress::Progress;
use crate::{output, sources, view};

use outcome::tell;
use search::Search;

pub(crate) fn run(args: &Symbolize, pager: bool) -> Result<(), String> {
    let progress = Progress::new("looking for debug information");
    let mut search = Search::new(args)?;
    drop(progress);
    if let Some(crash) = crash::read(&args.file)? {
        return crash::run(crash, search, args, pager);
    }
    let mut report = sources::latest(&args.file)?;
    let ids: HashSet<&str> = report.frames.iter().filter_map(|frame| frame.build_id.as_deref()).collect();
    search.refuse_others(&ids)?;
    let progress = Progress::new("reading debug information");
    let split = search.split().clone();
    let modules = symbolize(&mut report, &mut |build_id| search.find(build_id, &progress), &split);
    drop(progress);
    if modules.is_empty() {
        output::warn("no frame lacks a function or a line");
    }
    tell(&modules)?;
    view::write(&report, args.format, args.output.as_deref(), pager)
}
