//! `#[gmr::test]`: runs a test under a time limit. A test that hangs prints a report, and fails.
//!
//! A thread cannot be ended from outside. So the test runs on a thread of its own, and the thread
//! that the test runner waits for fails without it. It must not be used in programs: until the last
//! test ends, SIGTERM is held back.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::findings;
use crate::install::warn;
use crate::model::{Content, Frame, Report, Stack, Trigger};
use crate::units::duration;
use crate::{env, sys};

/// How long a test may take if the attribute says nothing.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How soon SIGTERM is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a test, whose path this is. Zero is no limit.
///
/// # Panics
/// The test panics, or does not end in time.
#[track_caller]
pub fn run_test<T, F>(name: &'static str, timeout: Option<Duration>, body: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let chosen = env::test_timeout().unwrap_or_else(|problem| {
        warn(&problem);
        None
    });
    let limit = chosen.or(timeout).unwrap_or(TIMEOUT);
    // The test runner removes the crate's name.
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    let ((ended, wait), (begin, may_begin)) = (channel(), channel());
    let test = move || {
        let _ = ended.send(sys::current_tid());
        // SIGTERM is held back from here on.
        let _ = may_begin.recv();
        // Dropped at the end, also by a panic.
        let _ended = ended;
        body()
    };
    // Panics name the thread. The runner's has the test's name.
    let thread_name = thread::current().name().unwrap_or(name).to_owned();
    let started = thread::Builder::new().name(thread_name).spawn(test);
    let test = started.unwrap_or_else(|error| panic!("no thread can be started for this test: {error}"));
    let tid = wait.recv().unwrap_or_default();
    let running = Running::begin(Test { name, tid, since: Instant::now() });
    let _ = begin.send(());
    let is_over = wait_for(&wait, limit);
    if !is_over {
        let (report, place) = running.0.report(&format!("it has not ended within {}", words(limit)));
        // The test runner captures what this thread prints, and shows it with the failure.
        eprint!("{report}");
        drop(running);
        panic!("test `{name}` has not ended within {}: {place}", words(limit));
    }
    drop(running);
    test.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whether the test ends in time.
fn wait_for(ended: &Receiver<u32>, limit: Duration) -> bool {
    let start = Instant::now();
    loop {
        let left = if limit.is_zero() { LOOK } else { limit.saturating_sub(start.elapsed()) };
        match ended.recv_timeout(left.min(LOOK)) {
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) | Ok(_) => {}
        }
        #[cfg(target_os = "linux")]
        if sys::termination::is_held_back() {
            last_words();
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Test {
    name: &'static str,
    tid: u32,
    since: Instant,
}

/// The tests that run, the oldest first.
static RUNNING: Mutex<Vec<Test>> = Mutex::new(Vec::new());

/// A test that runs, until it is dropped.
struct Running(Test);

impl Running {
    fn begin(test: Test) -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(target_os = "linux")]
        if running.is_empty() {
            sys::termination::hold_back();
        }
        running.push(test);
        Self(test)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|test| test.tid != self.0.tid);
        #[cfg(target_os = "linux")]
        if running.is_empty() {
            sys::termination::let_through();
        }
    }
}

/// SIGTERM has arrived, as from a test runner that waits no longer. Reports, and ends the process
/// as SIGTERM does. The lock lets one thread do so.
#[cfg(target_os = "linux")]
fn last_words() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(oldest) = running.first() else { return };
    let (report, place) = oldest.report("SIGTERM arrived");
    let mut text = report;
    for test in running.iter() {
        let time = words(test.since.elapsed());
        let _ = writeln!(text, "gmr: SIGTERM arrived while test `{}` was running, for {time}", test.name);
    }
    let _ = writeln!(text, "gmr: `{}`: {place}", oldest.name);
    // Not what the test runner captures: it has no time left to show that.
    let _ = std::io::stderr().write_all(text.as_bytes());
    sys::termination::let_through();
}

impl Test {
    /// A report that begins with the test's thread, as text, and where the test is.
    fn report(&self, why: &str) -> (String, String) {
        let mut report = Report::capture();
        report.heading.trigger = Trigger::Automatic {
            name: "test".to_owned(),
            cause: format!("test `{}`: {why}", self.name),
            coalesced: 0,
        };
        report.sections.retain(|section| !is_about_process(&section.content));
        report.summary.sections = report.sections.len();
        for section in &mut report.sections {
            if let Content::Threads(threads) = &mut section.content {
                let own = threads.threads.iter().position(|thread| thread.tid == self.tid);
                if let Some(own) = own {
                    threads.threads[..=own].rotate_right(1);
                }
            }
        }
        let place = self.place(&report);
        (report.to_text(), place)
    }

    /// Where the test is: where its future waits, if it has one that is tracked, or else its
    /// thread.
    fn place(&self, report: &Report) -> String {
        let contents = || report.sections.iter().map(|section| &section.content);
        let of_task = contents().find_map(|content| match content {
            Content::GreenThreads(tasks) => {
                let task = tasks
                    .tasks
                    .iter()
                    .find(|task| task.name.split_once("::").is_some_and(|(_, name)| name == self.name))?;
                innermost(task.stacks.first()?, &report.frames)
            }
            _ => None,
        });
        let of_thread = || {
            contents().find_map(|content| match content {
                Content::Threads(threads) => {
                    let thread = threads.threads.iter().find(|thread| thread.tid == self.tid)?;
                    innermost(&thread.stack, &report.frames)
                }
                _ => None,
            })
        };
        of_task
            .or_else(of_thread)
            .map_or_else(|| "see the report".to_owned(), |place| format!("it is in {place}"))
    }
}

/// Whether it says nothing about where a test hangs.
fn is_about_process(content: &Content) -> bool {
    matches!(
        content,
        Content::Package(_)
            | Content::Resources(_)
            | Content::Processes(_)
            | Content::Descriptors(_)
            | Content::Modules(_)
            | Content::Environment(_)
    )
}

/// The innermost of the program's functions on this stack.
fn innermost(stack: &Stack, frames: &[Frame]) -> Option<String> {
    let frame = findings::program_frame(&stack.frames, frames)?;
    let function = without_closures(frame.function.as_deref()?);
    let file = frame.file.as_deref().map(|file| format!(", {file}")).unwrap_or_default();
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    Some(format!("{function}{file}{line}"))
}

/// The attribute moves the test's body into a closure.
fn without_closures(mut function: &str) -> &str {
    while let Some((outer, last)) = function.rsplit_once("::")
        && (last == "{{closure}}" || last.starts_with("{closure#"))
    {
        function = outer;
    }
    function
}

fn words(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
