//! `gmr collect`: asks many processes for their reports at once, over HTTP. It asks each at most
//! once, and nobody that is not named. What has not answered in time is named with the reason, and
//! does not hold up the others.

mod ask;
mod endpoints;
mod kept;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Collect;
use crate::output::{self, as_u64, counted, number};
use ask::Asker;
use endpoints::Endpoint;
use kept::Kept;

/// The exit code if some reports are there, and others are not.
const PARTIAL: u8 = 4;

/// What the threads that ask share.
struct Work {
    endpoints: Vec<Endpoint>,
    /// The first that nobody has taken.
    next: AtomicUsize,
    asker: Asker,
    limits: Limits,
}

/// How long things may take.
struct Limits {
    each: Duration,
    all: Duration,
    begun: Instant,
}

impl Limits {
    /// What is left for all.
    fn left(&self) -> Duration {
        self.all.saturating_sub(self.begun.elapsed())
    }
}

/// The number of an endpoint in the list, and its report as JSON on one line, or why there is none.
type Answer = (usize, Result<String, String>);

pub(crate) fn run(args: &Collect) -> Result<ExitCode, String> {
    let limits = Limits { each: args.timeout, all: args.deadline, begun: Instant::now() };
    let asker = Asker::new(args)?;
    let (endpoints, mut failed) = endpoints::of(args, limits.left().min(limits.each))?;
    let (all, unknown) = (endpoints.len(), failed.len());
    let endpoints = endpoints::chosen(endpoints, args.at_most);
    let mut kept = Kept::new(args.output.as_deref(), all)?;
    if endpoints.len() < all {
        let (some, all) = (number(as_u64(endpoints.len())), counted(as_u64(all), "endpoint"));
        output::warn(&format!("asks {some} of {all}, chosen at random"));
    }
    let work = Arc::new(Work { endpoints, next: AtomicUsize::new(0), asker, limits });
    // A report that is not written yet keeps one thread from asking for the next.
    let (sender, answers) = sync_channel(1);
    for _ in 0..usize::from(args.concurrency).min(work.endpoints.len()) {
        let (work, sender) = (Arc::clone(&work), sender.clone());
        let ask = move || ask_all(&work, &sender);
        // The others do its part.
        let _ = thread::Builder::new().name("ask".to_owned()).spawn(ask);
    }
    drop(sender);
    let collected = take(&work, &answers, &mut kept, &mut failed);
    output::left_out(&failed);
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let total = counted(as_u64(work.endpoints.len() + unknown), "endpoint");
    if collected == 0 {
        return Err(format!("no report has come, of {total}"));
    }
    output::warn(&format!("{} of {total} have answered with a report", number(as_u64(collected))));
    Ok(ExitCode::from(PARTIAL))
}

/// Asks endpoints, one after the other, until all are taken or nobody listens.
fn ask_all(work: &Work, sender: &SyncSender<Answer>) {
    loop {
        let index = work.next.fetch_add(1, Ordering::Relaxed);
        let Some(endpoint) = work.endpoints.get(index) else { return };
        let left = work.limits.left();
        let answer = if left.is_zero() {
            Err(format!("not asked: the deadline of {} for all had passed", output::time(work.limits.all)))
        } else {
            work.asker.ask(endpoint, work.limits.each.min(left))
        };
        if sender.send((index, answer)).is_err() {
            return;
        }
    }
}

/// Keeps the answers as they come, and says which did not come. Returns how many reports there are.
fn take(work: &Work, answers: &Receiver<Answer>, kept: &mut Kept, failed: &mut Vec<String>) -> usize {
    /// What the last answers may take beyond the deadline to be read and checked.
    const GRACE: Duration = Duration::from_secs(5);
    let mut progress = Progress::new(work.endpoints.len());
    let mut is_there = vec![false; work.endpoints.len()];
    let mut reasons = Vec::new();
    let mut collected = 0;
    while let Ok((index, answer)) = answers.recv_timeout(work.limits.left() + GRACE) {
        let endpoint = &work.endpoints[index];
        is_there[index] = true;
        match answer.and_then(|json| kept.add(endpoint, &json)) {
            Ok(()) => collected += 1,
            Err(reason) => reasons.push((index, reason)),
        }
        if kept.is_closed() {
            // Who stops reading has seen enough.
            return collected;
        }
        progress.step();
    }
    drop(progress);
    let missing = (0..work.endpoints.len()).filter(|index| !is_there[*index]);
    reasons.extend(missing.map(|index| (index, "no answer by the deadline for all".to_owned())));
    reasons.sort_unstable();
    failed.extend(reasons.into_iter().map(|(index, reason)| format!("{}: {reason}", work.endpoints[index])));
    collected
}

/// How many have answered, on a terminal that shows nothing else meanwhile.
struct Progress {
    of: usize,
    done: usize,
    is_shown: bool,
}

impl Progress {
    fn new(of: usize) -> Self {
        Self { of, done: 0, is_shown: io::stderr().is_terminal() && !io::stdout().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.is_shown {
            let _ = write!(io::stderr(), "\r{} of {}", self.done, self.of);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
