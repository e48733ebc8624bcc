//! `gmr symbolize`: names and lines for a report of a stripped executable, and for a crash report, from
//! files with debug information. A file counts only if its build-id is that of the report: names from
//! another build would be wrong.

mod crash;
mod debug_files;
mod outcome;

use std::collections::HashSet;

use gmr_runtime::__cli::symbolize;

use crate::args::Symbolize;
use crate::progress::Progress;
use crate::{output, sources, view};

use debug_files::DebugFiles;
use outcome::tell;

pub(crate) fn run(args: &Symbolize, pager: bool) -> Result<(), String> {
    let mut files = DebugFiles::default();
    let progress = Progress::new("looking for debug information");
    for path in &args.debug_dir {
        files.add(path)?;
    }
    drop(progress);
    if let Some(crash) = crash::read(&args.file)? {
        return crash::run(crash, &files, args, pager);
    }
    let mut report = sources::latest(&args.file)?;
    let ids: HashSet<&str> = report.frames.iter().filter_map(|frame| frame.build_id.as_deref()).collect();
    files.refuse_others(&ids)?;
    let progress = Progress::new("reading debug information");
    let modules = symbolize(&mut report, &mut |build_id| {
        let found = files.find(build_id);
        if let Some(path) = &found {
            progress.say(|| format!("reading {}", path.display()));
        }
        found
    });
    drop(progress);
    if modules.is_empty() {
        output::warn("no frame lacks a function or a line");
    }
    tell(&modules)?;
    view::write(&report, args.format, args.output.as_deref(), pager)
}
