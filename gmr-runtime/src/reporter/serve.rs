//! Answers requests: makes one report for all that have arrived, then replies to each.
//!
//! The reporter answers threads that wait for a report as a value. It has reports for signals
//! written by a separate thread: signals that arrive meanwhile share the next report, and other
//! requests do not wait. Replies that take time, such as rendering a page, or that wake an async
//! task are sent from another thread, so that a signal's report does not wait for them. There is
//! one such thread at a time: requests that arrive while it runs share the next report.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attached::{Attachments, Lookers};
use super::delivery::Outline;
use super::losses::Losses;
use super::output::{Output, Target};
use super::pending::{Batch, Pending};
use super::rates::Rates;
use super::{Plan, look, make};
use crate::emergency;
use crate::model::Report;
use crate::sinks::Stderr;
use crate::sys::{self, Purpose, own_threads};
use crate::task;
use crate::threads;
use crate::trigger::reply::Reply;
use crate::trigger::{self, Deferred, Inbox, Outbox, Request};
use crate::views::{self, Detail, Format, Piece, Stream};

/// How long another copy of gmr in this process may make a report. It takes longer than ten seconds
/// only where the kernel withholds the CPU.
const OTHERS_WITHIN: Duration = Duration::from_secs(15);

/// How reports are written to standard error.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) detail: Detail,
    /// The least time from the beginning of a report for signals to that of the next one.
    pub(crate) min_interval: Duration,
    /// How many reports each option may request by itself in an hour; 0 for no limit. By default a
    /// few.
    pub(crate) max_per_hour: Option<u32>,
    /// How many bytes a report may have. `None` for any number.
    pub(crate) max_bytes: Option<usize>,
}

/// The reporter's loop. It returns after [`Request::Stop`].
pub(crate) fn serve(
    mut inbox: Inbox,
    outbox: &Arc<Outbox>,
    plan: &Plan,
    (stderr, target): (Stderr, Target),
    signal_name: &str,
    style: Style,
) {
    let mut output = Output::new(stderr, target, Arc::clone(outbox));
    // The last report that was written there.
    let mut last = 0;
    let mut losses = Losses::default();
    // Whether a warning has said that the signal was taken away.
    let mut has_warned = false;
    let rates = Rates::new(style.max_per_hour);
    let mut pending = Pending { interval: style.min_interval, rates, ..Pending::default() };
    let mut lookers = Lookers::default();
    loop {
        pending.is_writing = output.is_writing();
        // What arrived during the last report has been taken from the inbox, and would not end a
        // wait. The same holds for the message that a report has been written.
        if !pending.can_begin() {
            pending.add(inbox.wait(emergency::has_memory, pending.begins_at()));
            pending.is_writing = output.is_writing();
        }
        let mut batch = pending.next_batch();
        let mut files = Attachments::new(style.detail, style.max_bytes);
        for request in std::mem::take(&mut batch.attached) {
            match files.begin(request.attach, &mut lookers) {
                Ok(()) => batch.attached.push(request),
                // The command asks again, or says that it has missed one.
                Err(_) if request.attach.is_look => inbox.dismissed(1),
                Err(reason) => pending.answer_on_stderr(request, reason),
            }
        }
        if batch.is_look() {
            serve_look(plan, &batch, signal_name, &mut inbox, files);
            pending.add(inbox.arrived_by_now());
            inbox.ended();
        } else if let Some(trigger) = batch.trigger(signal_name) {
            let is_idle = !output.is_writing();
            let mut loss = output.loss().map(|loss| loss_note(last, &loss));
            if is_idle {
                pending.rates.settle(loss.is_none());
            }
            let mut stream = batch.is_written().then(|| {
                losses.begin(loss.take());
                pending.last = Some(Instant::now());
                output.begin(batch.waiting());
                Stream::new(style.format, style.detail, style.max_bytes)
            });
            let mut notes = losses.notes();
            notes.extend(loss.into_iter().chain(batch.own_during.map(own_signal_note)));
            notes.extend(batch.notes().chain(pending.rates.notes()));
            if stream.is_some() {
                pending.rates.show();
            }
            let signals = batch.signals + batch.attached.len() as u64;
            let without_tasks = batch.leaves_tasks_alone().then(|| plan.without_tasks());
            let plan = without_tasks.as_ref().unwrap_or(plan);
            let making = sys::claim(Purpose::Report, OTHERS_WITHIN, || inbox.waits_for_others());
            threads::set_first(batch.thread());
            task::set_first(batch.task());
            let report = make(plan, trigger, notes, |piece| {
                if matches!(piece, Piece::Heading(_)) {
                    inbox.begun(signals);
                }
                files.write(&piece);
                if let Some(stream) = &mut stream {
                    output.write(stream.piece(&piece));
                }
            });
            drop(making);
            let number = report.heading.number;
            if stream.is_some() {
                last = number;
            }
            let arrived = inbox.arrived_by_now();
            let dismissed = pending.add_meanwhile(arrived, number, batch.own_during);
            inbox.dismissed(dismissed);
            let report = Arc::new(report);
            files.end(&report);
            if send_apart(batch.deferred, &report, outbox) {
                pending.replying = Some(Instant::now());
            }
            match stream {
                Some(stream) => {
                    answer(batch.captures, Arc::clone(&report));
                    output.write(stream.finish(&report));
                    output.end(outline(&report, output.has_destinations()));
                }
                None => answer(batch.captures, report),
            }
            inbox.ended();
            // The warning goes to standard error, where an operator waits for the report.
            if !has_warned
                && !output.is_writing()
                && let Some(problem) = trigger::signal_taken_away()
            {
                output.write(format!("gmr: warning: {problem}\n").into_bytes());
                output.end(Outline::default());
                has_warned = true;
            }
        }
        // What has arrived together with the end has its report.
        if pending.stop && !pending.can_begin() {
            inbox.close();
            return;
        }
    }
}

/// Makes a look for those who want nothing else.
fn serve_look(plan: &Plan, batch: &Batch, signal_name: &str, inbox: &mut Inbox, files: Attachments) {
    let Some(trigger) = batch.trigger(signal_name) else { return };
    let without_tasks = batch.leaves_tasks_alone().then(|| plan.without_tasks());
    let _making = sys::claim(Purpose::Report, OTHERS_WITHIN, || inbox.waits_for_others());
    threads::set_first(None);
    task::set_first(None);
    inbox.begun(batch.attached.len() as u64);
    files.end(&Arc::new(look(without_tasks.as_ref().unwrap_or(plan), trigger)));
}

/// Answers the requests of a process without a reporter, on the calling thread, with one report.
/// Its heading has this note.
pub(crate) fn serve_once(plan: &Plan, requests: Vec<Request>, note: Option<String>) {
    let mut pending = Pending::default();
    pending.add(requests);
    let batch = pending.next_batch();
    if let Some(trigger) = batch.trigger("") {
        let making = sys::claim(Purpose::Report, OTHERS_WITHIN, || ());
        let report = Arc::new(make(plan, trigger, note.into_iter().collect(), |_| ()));
        drop(making);
        let to_send = (!batch.deferred.is_empty()).then(|| Arc::clone(&report));
        // Before those that need rendering.
        answer(batch.captures, report);
        if let Some(report) = to_send {
            send_all(batch.deferred, &report);
        }
    }
}

/// The last reply takes the report itself: a single caller gets it without a copy.
fn answer(mut replies: Vec<Reply<Arc<Report>>>, report: Arc<Report>) {
    let Some(last) = replies.pop() else { return };
    for reply in replies {
        reply.send(Arc::clone(&report));
    }
    last.send(report);
}

/// Sends deferred replies from a thread of their own if one can be started, and reports their end
/// to the reporter. False if they are not sent.
fn send_apart(deferred: Vec<Deferred>, report: &Arc<Report>, outbox: &Arc<Outbox>) -> bool {
    /// Sends the message however the thread ends.
    struct OnEnd(Arc<Outbox>);
    impl Drop for OnEnd {
        fn drop(&mut self) {
            self.0.send(Request::Replied);
        }
    }
    if deferred.is_empty() {
        return false;
    }
    let (report, outbox) = (Arc::clone(report), Arc::clone(outbox));
    // If too little memory is left, the replies are dropped, and the waiting tasks get no report.
    let sending = own_threads::spawn_or_run(
        "gmr reply",
        || (),
        move || {
            let _on_end = OnEnd(outbox);
            send_all(deferred, &report);
        },
    );
    sending.is_ok()
}

/// Sends each reply, and renders the report once for each format.
fn send_all(deferred: Vec<Deferred>, report: &Arc<Report>) {
    send_rendered(deferred, report, |report, format| views::render(report, format, Detail::Short));
}

fn send_rendered(deferred: Vec<Deferred>, report: &Arc<Report>, render: impl Fn(&Report, Format) -> Vec<u8>) {
    let mut rendered = Vec::new();
    for request in deferred {
        match request {
            Deferred::Report(reply) => guarded(|| reply.send(Arc::clone(report))),
            Deferred::Rendered(format, _, reply) => {
                let known = rendered.iter().find(|(known, _)| *known == format);
                let bytes = match known {
                    Some((_, bytes)) => Option::clone(bytes),
                    None => guarded(|| sys::lasting(render(report, format))),
                };
                rendered.push((format, bytes.clone()));
                guarded(|| reply.send(bytes))
            }
        };
    }
}

/// Runs a view or a waker. If it panics, other replies are not affected.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(run)).ok()
}

/// What is said of a report that goes to another place than standard error.
fn outline(report: &Report, is_wanted: bool) -> Outline {
    let number = report.heading.number;
    let text = is_wanted.then(|| guarded(|| views::outline(report))).flatten();
    Outline {
        number,
        text: text.unwrap_or_else(|| format!("report {number}")),
        severity: report.findings.first().map(|finding| finding.severity),
        #[cfg(feature = "tracing")]
        findings: is_wanted.then(|| guarded(|| views::findings(report))).flatten().unwrap_or_default(),
    }
}

fn own_signal_note(number: u64) -> String {
    format!(
        "this process sent the signal itself while report {number} was made; signals that it sends while this \
         one is made are not answered, since a section may send them"
    )
}

fn loss_note(number: u64, (bytes, reason): &(u64, String)) -> String {
    format!("report {number} lost its last {bytes} bytes on standard error: {reason}")
}

#[cfg(test)]
mod tests;
