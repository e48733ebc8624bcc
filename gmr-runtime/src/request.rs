//! Requests that a caller waits for: `Report::capture`, its async form, and those over HTTP.
//!
//! A request goes to the installed reporter's inbox, like a signal. Without a reporter, a thread is
//! started that answers it and ends. Either way, the report is not made on the caller's thread
//! unless no thread can be started, and callers that wait at the same time share one report.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use crate::generators::{Identity, Selection};
use crate::model::{Content, Heading, Report, Section, Summary, Trigger};
use crate::reporter::{self, Plan};
use crate::section::panics;
use crate::sys::forked_lock::lock_within;
use crate::sys::own_threads;
use crate::trigger::reply::{self, Reply, block_on};
#[cfg(feature = "http")]
use crate::trigger::{Client, Rendered};
use crate::trigger::{Deferred, Request};
use crate::{capture, emergency, install};

impl Report {
    /// What a report would mask of a value, such as a configuration, and why: one line for each
    /// part, without anything of the secret. For a test of the program, or a look before
    /// production.
    ///
    /// It takes names from [`Builder::mask_keys`](crate::Builder::mask_keys) into account if gmr is
    /// installed. If the value cannot be serialized, the only line says why.
    ///
    /// ```
    /// let config = std::collections::BTreeMap::from([("db_password", "hunter2"), ("host", "db1")]);
    /// let masked = gmr_runtime::Report::explain_masks(&config);
    /// assert_eq!(masked, ["db_password: the name `db_password`"]);
    /// ```
    pub fn explain_masks(value: &impl serde::Serialize) -> Vec<String> {
        gmr_mask::explain(value).unwrap_or_else(|error| vec![error.to_string()])
    }

    /// Makes a report and returns it. **Blocks the calling thread until the report is made**; in
    /// async code, use [`capture_async`](Self::capture_async).
    ///
    /// A report takes milliseconds; if sections hang, about ten seconds at most. If one is already
    /// being made, this call gets the next one, which it shares with other callers. gmr need not be
    /// installed.
    ///
    /// A section's function can't capture a report, since that report would wait for the section.
    /// It gets a report whose only section says so. So does a caller in a process that has too
    /// little memory left.
    ///
    /// ```
    /// let report = gmr_runtime::Report::capture();
    /// assert!(report.section("Threads").is_some());
    /// println!("{report}");
    /// ```
    pub fn capture() -> Self {
        finish(block_on(ask(Request::Capture)))
    }

    /// Makes a report without blocking the calling thread. Works on any async runtime, and does not
    /// use the runtime's threads or timers.
    ///
    /// Otherwise like [`capture`](Self::capture). Nothing happens until the future is polled. It is
    /// cancel-safe: dropping it cancels this request and no other.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let report = gmr_runtime::Report::capture_async().await;
    /// assert!(report.section("Threads").is_some());
    /// # });
    /// ```
    pub async fn capture_async() -> Self {
        finish(ask(|reply| Request::Deferred(Deferred::Report(reply))).await)
    }
}

/// The next report in this format, rendered on a thread of gmr's own. `None` if it cannot be made.
#[cfg(feature = "http")]
pub(crate) async fn rendered(format: crate::views::Format, client: Client) -> Rendered {
    ask(|reply| Request::Deferred(Deferred::Rendered(format, client.clone(), reply))).await.ok().flatten()
}

fn finish(answer: Result<Arc<Report>, String>) -> Report {
    answer.map_or_else(|reason| refused(&reason), Arc::unwrap_or_clone)
}

/// A report with a single section, which says why the report could not be made.
fn refused(reason: &str) -> Report {
    let content = Content::Error(reason.to_owned());
    let section = Section { title: "Report".to_owned(), took_us: 0, content };
    Report {
        heading: Heading {
            number: 0,
            made_at: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
            pid: std::process::id(),
            trigger: Trigger::Api,
            notes: Vec::new(),
        },
        findings: Vec::new(),
        sections: vec![section],
        frames: Vec::new(),
        summary: Summary { number: 0, sections: 1, failed: 1, threads: 0, took_us: 0 },
    }
}

/// Sends a request and waits for its answer.
///
/// # Errors
/// The reason why there is no answer.
async fn ask<T>(request: impl Fn(Reply<T>) -> Request) -> Result<T, String> {
    if panics::in_generator() {
        return Err("a section cannot capture a report: the report would wait for the section".to_owned());
    }
    // A thread that cannot allocate aborts the process.
    if !emergency::has_memory() {
        return Err("too little memory is left for a report, or the kernel refuses to map any".to_owned());
    }
    let (reply, answer) = reply::channel();
    if install::send(request(reply))
        && let Some(value) = answer.await
    {
        return Ok(value);
    }
    // There is no reporter, or it was stopped before it answered.
    let (reply, answer) = reply::channel();
    send_without_reporter(request(reply)).map_err(|error| format!("could not start the report: {error}"))?;
    answer.await.ok_or_else(|| "gmr panicked while it made the report".to_owned())
}

/// The requests to a process without a reporter.
static PENDING: Mutex<Pending> = Mutex::new(Pending { requests: Vec::new(), answering: None });

struct Pending {
    requests: Vec<Request>,
    /// The process in which a thread is answering them. A forked child has a copy of this memory,
    /// but not that thread.
    answering: Option<u32>,
}

/// How long other threads may hold [`PENDING`]. In a forked child, it may be locked forever.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(1);

fn pending() -> io::Result<MutexGuard<'static, Pending>> {
    let reason = "this process was forked while another thread requested a report";
    lock_within(&PENDING, UNLOCKED_WITHIN).ok_or_else(|| io::Error::other(reason))
}

/// Leaves the request to the thread that is answering others, or to a new one. If no thread can be
/// started, the calling thread answers it.
///
/// # Errors
/// Too little memory is left to start a thread, or the process was forked under the lock.
fn send_without_reporter(request: Request) -> io::Result<()> {
    let this = Some(std::process::id());
    {
        let mut pending = pending()?;
        if pending.answering == this {
            pending.requests.push(request);
            return Ok(());
        }
        pending.answering = this;
        // In a forked child, these are the parent's. Not dropped: that would wake its tasks.
        std::mem::forget(std::mem::replace(&mut pending.requests, vec![request]));
    }
    own_threads::spawn_or_run(own_threads::REPORTER, prepare_thread, answer_pending).inspect_err(|_| {
        let requests = {
            let Ok(mut pending) = pending() else { return };
            pending.answering = None;
            std::mem::take(&mut pending.requests)
        };
        // This wakes the callers, which must not happen under the lock.
        drop(requests);
    })
}

/// Prepares first: the mask must leave the capture signal open, so that signal has to be chosen.
fn prepare_thread() {
    let _ = capture::prepare(None);
    capture::shield_thread(None);
}

/// Makes reports until no request is left.
fn answer_pending() {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    static ANSWERED_IN: AtomicU32 = AtomicU32::new(0);
    // If this fails, the report says why it has no stacks.
    let _ = capture::prepare(None);
    panics::install_hook();
    let plan = PLAN.get_or_init(new_plan);
    let pid = std::process::id();
    if ANSWERED_IN.swap(pid, Ordering::Relaxed) != pid {
        plan.forget_runs();
    }
    let note = install::parent_with_reporter().map(forked_note);
    loop {
        let requests = {
            let Ok(mut pending) = pending() else { continue };
            if pending.requests.is_empty() {
                pending.answering = None;
                return;
            }
            std::mem::take(&mut pending.requests)
        };
        // A panic drops the replies, so the callers learn that there is no report.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| reporter::serve_once(plan, requests, note.clone())));
    }
}

fn new_plan() -> Plan {
    Plan::new(Identity::default(), &Selection::default(), Vec::new(), Vec::new(), reporter::SECOND_LOOK)
}

fn forked_note(parent: u32) -> String {
    format!(
        "this process was forked from process {parent}, in which gmr was installed. It does not answer \
         the report signal: call gmr::after_fork() in it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::generator::Generator;
    use crate::section::run::{self, Update};

    #[test]
    fn a_section_gets_a_report_that_says_why_it_is_empty() {
        let nested = |capture: fn() -> Report| {
            let generator = Generator::new("Nested", move || Content::Text(capture().to_text()));
            let mut content = None;
            let total = Duration::from_secs(10);
            run::run_all(&[Arc::new(generator)], total, |update| {
                if let Update::Outcome(outcome) = update {
                    content = Some(outcome.output.content);
                }
            });
            content
        };
        for capture in [Report::capture, || block_on(Report::capture_async())] {
            let content = nested(capture);
            let Some(Content::Text(text)) = &content else { panic!("{content:?}") };
            assert!(text.contains("error: a section cannot capture a report"), "{text}");
        }
    }

    #[test]
    fn the_future_can_move_between_threads() {
        fn is_send<T: Send + 'static>(_: &T) -> bool {
            true
        }
        assert!(is_send(&Report::capture_async()));
    }

    #[test]
    fn the_callers_thread_does_not_make_the_report() {
        let report = block_on(Report::capture_async());
        let Some(Content::Threads(threads)) = report.section("Threads").map(|section| &section.content)
        else {
            panic!("{report}")
        };
        let role = |tid| threads.threads.iter().find(|thread| thread.tid == tid).map(|thread| thread.role);
        if cfg!(target_os = "linux") {
            assert_eq!(role(crate::sys::current_tid()), Some(crate::model::Role::Program));
        }
    }
}
