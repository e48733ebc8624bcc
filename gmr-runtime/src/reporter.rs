//! Making reports and looks: the plan of what they consist of, and the one thread that makes them.
//!
//! The reporter takes no lock that application code can hold. Generators run on other threads,
//! under deadlines, unless no thread can be started. Each piece of a report is handed over as soon
//! as it is known, so that later pieces can't delay it.

mod attached;
mod delivery;
mod gate;
mod judging;
mod losses;
mod output;
mod parts;
mod past;
mod pending;
mod rates;
mod serve;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::capture;
use crate::findings::{PeerProcess, SecondLook, Seen, Suspects};
use crate::generators::{Identity, Selection};
use crate::model::{Content, Heading, Report, Section, Summary, Trigger};
use crate::section::generator::Generator;
use crate::section::run;
use crate::sys::{self, channel, own_threads};
use crate::threads;
use crate::views::Piece;

pub(crate) use delivery::Destination;
pub use delivery::LogTracing;
pub(crate) use output::Target;
use parts::{Made, Parts, microseconds};
pub(crate) use serve::{Style, serve, serve_once};

/// After what time a report takes its second look, by default. CPU clocks count nanoseconds, so
/// this is enough to tell which threads have run.
pub(crate) const SECOND_LOOK: Duration = Duration::from_millis(50);

/// The least time between the beginnings of two reports for signals, by default. A report costs
/// milliseconds of processor time, and who sends signals in a loop must not cost the program more.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The least limit of a report's size: room for the heading, the findings and the Package section.
const LEAST_MAX_BYTES: u64 = 16 << 10;

/// The limit of a report's size that a user has chosen. `None` for zero, which is none.
pub(crate) fn max_bytes(chosen: u64) -> Option<usize> {
    (chosen > 0).then(|| usize::try_from(chosen.max(LEAST_MAX_BYTES)).unwrap_or(usize::MAX))
}

/// What a report and a look consist of.
#[derive(Debug)]
pub(crate) struct Plan {
    of_report: Parts,
    of_look: Parts,
    /// After what time a second look is taken if one is needed. Zero if none is taken.
    second_look: Duration,
}

/// What the heading of a look says.
const LOOK: &str = "a look of the command `gmr`: without findings, locks, source text and what descriptors refer \
                    to; a thread that has not run since the look before counts as blocked where it was, also if it \
                    waits for a processor by now";

impl Plan {
    /// The selected built-in sections, with the Configuration section's groups, then the others.
    /// `sections` and `groups` are those that [`Builder`](crate::Builder) adds to the registered
    /// ones.
    pub(crate) fn new(
        identity: Identity,
        selection: &Selection,
        sections: Vec<Generator>,
        groups: Vec<Generator>,
        second_look: Duration,
    ) -> Self {
        let of_report = Parts::of_report(identity, selection, sections, groups);
        Self { of_report, of_look: Parts::of_look(selection), second_look }
    }

    /// The same without the section that polls tasks.
    pub(crate) fn without_tasks(&self) -> Self {
        let [of_report, of_look] = [&self.of_report, &self.of_look].map(Parts::without_tasks);
        Self { of_report, of_look, second_look: self.second_look }
    }

    /// Forgets runs that are in progress. In a forked child, these are runs of the parent.
    pub(crate) fn forget_runs(&self) {
        self.of_report.forget_runs();
        self.of_look.forget_runs();
    }
}

/// Makes a report, on the calling thread, and hands over each piece as soon as it is known.
pub(crate) fn make(
    plan: &Plan,
    trigger: Trigger,
    notes: Vec<String>,
    mut emit: impl FnMut(Piece<'_>),
) -> Report {
    let started = Instant::now();
    let heading = heading(next_number(), trigger, notes);
    emit(Piece::Heading(&heading));
    let Made { sections, frames } = plan.of_report.make(|_| (), &mut emit);
    let look = |suspects: &Suspects| {
        // Meanwhile, unless there is no pause.
        let asked = ask_for_peers(&suspects.connections);
        let second = second_look(plan.second_look, suspects, started, &mut emit);
        Seen { second, peers: asked.map_or_else(Vec::new, Answer::wait) }
    };
    let ((sections, frames), findings) = judging::judge((sections, frames), look);
    emit(Piece::Findings(&findings, &frames));
    let summary = summary(heading.number, &sections, started.elapsed());
    emit(Piece::Summary(&summary));
    Report { heading, findings, sections, frames, summary }
}

/// Makes a look, on the calling thread: a report of threads and tasks without a number, source text
/// and findings.
fn look(plan: &Plan, trigger: Trigger) -> Report {
    let started = Instant::now();
    let heading = heading(0, trigger, vec![LOOK.to_owned()]);
    let Made { sections, frames } = plan.of_look.make(|frame| frame.source = None, &mut |_| ());
    let summary = summary(heading.number, &sections, started.elapsed());
    Report { heading, findings: Vec::new(), sections, frames, summary }
}

/// Looks once more at threads, `after` this time. If that makes the report slow, what is known of it
/// is written first.
///
/// The time counts from when the threads were listed, since threads at rest are compared with that
/// list. If threads run, it counts from now, as their clocks are first read here.
fn second_look(
    after: Duration,
    suspects: &Suspects,
    started: Instant,
    emit: &mut impl FnMut(Piece<'_>),
) -> SecondLook {
    let Suspects { at_rest, running, .. } = suspects;
    if (at_rest.is_empty() && running.is_empty()) || after.is_zero() {
        return SecondLook::NotTaken;
    }
    let passed = if running.is_empty() { threads::since_list(started) } else { Duration::ZERO };
    let pause = after.min(run::SLOW).saturating_sub(passed);
    if started.elapsed() + pause > run::SLOW {
        emit(Piece::Slow);
    }
    let since = Instant::now();
    let before = threads::processor_times(running);
    sys::sleep(pause);
    let now = threads::processor_times(running);
    let between = since.elapsed();
    let used = running.iter().zip(before.into_iter().zip(now));
    let used = used.filter_map(|(tid, (before, now))| Some((*tid, now?.checked_sub(before?)?))).collect();
    SecondLook::Taken { moved: moved(at_rest.iter().copied().collect(), started), between, used }
}

/// The threads of these that have run since the report that began at this moment listed them. `None`
/// if that is not known.
fn moved(threads: Vec<u32>, report: Instant) -> Option<Vec<u32>> {
    /// The most threads that are looked at.
    const MAX_THREADS: usize = 1_024;
    if threads.is_empty() || threads.len() > MAX_THREADS {
        return None;
    }
    apart(move || threads::moved(&threads, report))?.wait_or_none()
}

/// The processes that have the other ends of these connections. `None` if there are no connections.
fn ask_for_peers(connections: &BTreeSet<String>) -> Option<Answer<Vec<PeerProcess>>> {
    if connections.is_empty() {
        return None;
    }
    let connections = connections.clone();
    apart(move || {
        let connections: Vec<&str> = connections.iter().map(String::as_str).collect();
        let peer = |(connection, holder): (&str, threads::SocketHolder)| PeerProcess {
            connection: connection.to_owned(),
            process: holder.words,
            is_this_process: holder.is_this_process,
        };
        threads::peers(&connections).into_iter().map(peer).collect()
    })
}

/// What a thread of gmr's finds out, with descriptors of its own.
struct Answer<T>(channel::Receiver<T>);

impl<T: Send + 'static> Answer<T> {
    /// `None` if the thread does not answer in time: what it reads takes milliseconds.
    fn wait_or_none(self) -> Option<T> {
        const WITHIN: Duration = Duration::from_millis(500);
        self.0.recv_timeout(WITHIN).ok()
    }

    fn wait(self) -> T
    where
        T: Default,
    {
        self.wait_or_none().unwrap_or_default()
    }
}

/// Has a thread find something out. `None` if it can't be started.
fn apart<T: Send + 'static>(find: impl FnOnce() -> T + Send + 'static) -> Option<Answer<T>> {
    let (send, received) = channel::channel();
    let look = move || {
        capture::shield_thread(None);
        sys::separate_files();
        let _ = send.send(find());
    };
    own_threads::spawn("gmr look", look).ok().map(|()| Answer(received))
}

/// The number of a report that begins now.
pub(crate) fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// The heading of a report that begins now.
fn heading(number: u64, trigger: Trigger, notes: Vec<String>) -> Heading {
    let made_at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut heading = Heading { number, made_at, pid: std::process::id(), trigger, notes };
    gate::heading(&mut heading);
    heading
}

fn summary(number: u64, sections: &[Section], took: Duration) -> Summary {
    Summary {
        number,
        sections: sections.len(),
        failed: sections.iter().filter(|section| !section.content.is_ok()).count(),
        threads: sections.iter().map(threads_in).sum(),
        took_us: microseconds(took),
    }
}

fn threads_in(section: &Section) -> usize {
    match &section.content {
        Content::Threads(threads) => threads.threads.len(),
        _ => 0,
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// The id of a thread that has nothing to do until the sender is dropped.
    fn idle_thread() -> (u32, mpsc::Sender<()>) {
        let (send_id, id) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        thread::spawn(move || {
            send_id.send(sys::current_tid()).unwrap();
            let _ = ended.recv();
        });
        (id.recv().unwrap(), ends)
    }

    /// A second look some time after a list, `meanwhile` later. Whether the thread was at rest all the
    /// time, and how long the look has waited.
    fn look_again(tid: u32, after: Duration, meanwhile: Duration) -> (bool, Duration) {
        let suspects = Suspects { at_rest: [tid].into(), ..Suspects::default() };
        let started = Instant::now();
        drop(threads::list(None).unwrap());
        sys::sleep(meanwhile);
        let second = second_look(after, &suspects, started, &mut |_| ());
        assert!(started.elapsed() >= after);
        let SecondLook::Taken { moved, between, .. } = second else { panic!("{second:?}") };
        (moved == Some(Vec::new()), between)
    }

    /// The threads of other tests make lists as well, so some attempts fail.
    fn is_seen(mut attempt: impl FnMut() -> bool) -> bool {
        (0..100).any(|_| attempt())
    }

    #[test]
    fn threads_at_rest_are_looked_at_again_some_time_after_they_were_listed() {
        const AFTER: Duration = Duration::from_millis(50);
        let (tid, _ends) = idle_thread();
        assert!(is_seen(|| look_again(tid, AFTER, Duration::ZERO).0));
        // Making the report has taken that time.
        assert!(is_seen(|| {
            let (is_still, waited) = look_again(tid, AFTER, AFTER);
            is_still && waited < AFTER
        }));
    }

    #[test]
    fn a_list_that_is_not_the_reports_tells_nothing() {
        let (tid, _ends) = idle_thread();
        drop(threads::list(None).unwrap());
        // A report that begins after all lists so far, and after those of other tests.
        let report = Instant::now() + Duration::from_mins(1);
        assert_eq!(threads::moved(&[tid], report), [tid]);
        assert_eq!(threads::since_list(report), Duration::ZERO);
    }
}
