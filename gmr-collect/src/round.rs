//! Asking all endpoints that were chosen: so many at a time, each within its time, and all within
//! theirs.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::{counted, duration, number};

use crate::answer::report;
use crate::chosen::Chosen;
use crate::kept::Kept;
use crate::options::Options;
use crate::progress::Progress;

/// The exit code if some reports are there, and others are not.
const PARTIAL: u8 = 4;

/// A way to ask processes. It is used by several threads at the same time.
pub trait Ask: Send + Sync + 'static {
    /// A process, as messages name it.
    type Endpoint: Display + Send + Sync + 'static;

    /// What the process has answered, within this time.
    ///
    /// # Errors
    /// There is no whole answer, with the reason.
    fn ask(&self, endpoint: &Self::Endpoint, timeout: Duration) -> Result<Vec<u8>, String>;

    /// The process, for the name of a file.
    fn name(endpoint: &Self::Endpoint) -> String;
}

/// How long things may take.
#[derive(Debug)]
pub struct Limits {
    each: Duration,
    all: Duration,
    begun: Instant,
}

impl Limits {
    /// From now on.
    pub fn new(options: &Options) -> Self {
        Self { each: options.timeout, all: options.deadline, begun: Instant::now() }
    }

    /// For the next thing that is to be done.
    pub fn next(&self) -> Duration {
        self.left().min(self.each)
    }

    /// What is left for all.
    fn left(&self) -> Duration {
        self.all.saturating_sub(self.begun.elapsed())
    }
}

/// Everything that it takes to ask.
#[derive(Debug)]
pub struct Round<A: Ask> {
    /// How.
    pub asker: A,
    /// Whom.
    pub chosen: Chosen<A::Endpoint>,
    /// Whom not, with the reasons.
    pub failed: Vec<String>,
    /// How long it may take.
    pub limits: Limits,
    /// What an endpoint is called.
    pub noun: &'static str,
    /// Says something to the user.
    pub warn: fn(&str),
}

/// What the threads that ask share.
struct Work<A: Ask> {
    endpoints: Vec<(usize, A::Endpoint)>,
    /// The first that nobody has taken.
    next: AtomicUsize,
    asker: A,
    limits: Limits,
}

/// The number of an endpoint in the list, and its report as JSON on one line, or why there is none.
type Answer = (usize, Result<String, String>);

impl<A: Ask> Round<A> {
    /// Asks them, keeps the reports, and says who has not answered, and why.
    ///
    /// # Errors
    /// No report has come, or none can be kept.
    pub fn run(self, options: &Options) -> Result<ExitCode, String> {
        let Self { asker, chosen: Chosen { endpoints, all }, mut failed, limits, noun, warn } = self;
        let unknown = failed.len();
        let mut kept = Kept::new(options.output.as_deref(), all)?;
        if endpoints.len() < all {
            let (some, all) = (number(as_u64(endpoints.len())), counted(as_u64(all), noun));
            warn(&format!("asks {some} of {all}, chosen at random"));
        }
        let work = Arc::new(Work { endpoints, next: AtomicUsize::new(0), asker, limits });
        // A report that is not written yet keeps one thread from asking for the next.
        let (sender, answers) = sync_channel(1);
        for _ in 0..usize::from(options.concurrency).min(work.endpoints.len()) {
            let (work, sender) = (Arc::clone(&work), sender.clone());
            let ask = move || work.ask_all(&sender);
            // The others do its part.
            let _ = thread::Builder::new().name("ask".to_owned()).spawn(ask);
        }
        drop(sender);
        let collected = work.take(&answers, &mut kept, &mut failed);
        for reason in &failed {
            warn(&format!("left out: {reason}"));
        }
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let total = counted(as_u64(work.endpoints.len() + unknown), noun);
        if collected == 0 {
            return Err(format!("no report has come, of {total}"));
        }
        warn(&format!("{} of {total} have answered with a report", number(as_u64(collected))));
        Ok(ExitCode::from(PARTIAL))
    }
}

impl<A: Ask> Work<A> {
    /// Asks endpoints, one after the other, until all are taken or nobody listens.
    fn ask_all(&self, sender: &SyncSender<Answer>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((_, endpoint)) = self.endpoints.get(index) else { return };
            let left = self.limits.left();
            let answer = if left.is_zero() {
                Err(format!("not asked: the deadline of {} for all had passed", shown(self.limits.all)))
            } else {
                self.asker.ask(endpoint, self.limits.each.min(left)).and_then(report)
            };
            if sender.send((index, answer)).is_err() {
                return;
            }
        }
    }

    /// Keeps the answers as they come, and says which did not come. Returns how many reports there are.
    fn take(&self, answers: &Receiver<Answer>, kept: &mut Kept, failed: &mut Vec<String>) -> usize {
        /// What the last answers may take beyond the deadline to be read and checked.
        const GRACE: Duration = Duration::from_secs(5);
        let mut progress = Progress::new(self.endpoints.len());
        let mut is_there = vec![false; self.endpoints.len()];
        let mut reasons = Vec::new();
        let mut collected = 0;
        while let Ok((index, answer)) = answers.recv_timeout(self.limits.left() + GRACE) {
            let (place, endpoint) = &self.endpoints[index];
            is_there[index] = true;
            match answer.and_then(|json| kept.add(*place, &A::name(endpoint), &json)) {
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
        let missing = (0..self.endpoints.len()).filter(|index| !is_there[*index]);
        reasons.extend(missing.map(|index| (index, "no answer by the deadline for all".to_owned())));
        reasons.sort_unstable();
        failed.extend(
            reasons.into_iter().map(|(index, reason)| format!("{}: {reason}", self.endpoints[index].1)),
        );
        collected
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `999 ms`, `9.3 s`
fn shown(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
