//! `gmr merge`: what many processes do, grouped by place. Of a report, only its places and findings
//! are kept while the next one is read, and each stack once for all reports.

mod groups;
mod shown;
mod stacks;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use groups::{Kept, merge};
use stacks::Stacks;

use crate::args::Merge;
use crate::output::{as_u64, counted, number};
use crate::progress::Progress;
use crate::{output, sources};

pub(crate) fn run(args: &Merge, pager: bool) -> Result<(), String> {
    let stacks = Stacks::default();
    let progress = Progress::new("listing the files");
    let (reports, left_out) = read(&sources::files(&args.files)?, &stacks, &progress);
    if reports.is_empty() {
        let reason = left_out.first().map_or("the folder is empty", |reason| reason);
        return Err(format!("there is no report that can be read: {reason}"));
    }
    progress.say(|| format!("grouping {}", counted(as_u64(reports.len()), "report")));
    let merged = merge(reports, &stacks, left_out);
    drop(progress);
    output::left_out(&merged.left_out);
    if args.json {
        return output::json(&merged);
    }
    shown::page(&merged, args.top).print(pager)
}

/// What is kept of the reports of all files, and why others can't be read.
fn read(files: &[PathBuf], stacks: &Stacks, progress: &Progress) -> (Vec<Kept>, Vec<String>) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, file)) = take(&next, files) {
            let kept = match sources::read(file) {
                Ok(found) => (found.reports.iter().map(|it| Kept::of(it, stacks)).collect(), found.broken),
                Err(error) => (Vec::new(), vec![error]),
            };
            let mut results = results.lock().expect("no worker panics");
            results.push((index, kept));
            let (read, all) = (as_u64(results.len()), as_u64(files.len()));
            progress.say(|| format!("read {} of {}", number(read), counted(all, "file")));
        }
    };
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(files.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut results = results.into_inner().expect("no worker panics");
    results.sort_by_key(|(index, _)| *index);
    let (mut reports, mut left_out) = (Vec::new(), Vec::new());
    for (_, (kept, broken)) in results {
        reports.extend::<Vec<Kept>>(kept);
        left_out.extend(broken);
    }
    (reports, left_out)
}

fn take<'a>(next: &AtomicUsize, files: &'a [PathBuf]) -> Option<(usize, &'a PathBuf)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|file| (index, file))
}
