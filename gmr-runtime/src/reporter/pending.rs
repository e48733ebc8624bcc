//! Requests that have arrived, and which of them the next report answers. It makes no report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rates::Rates;
use crate::emergency;
use crate::model::{Report, Sender, Trigger};
use crate::trigger::reply::Reply;
use crate::trigger::{Attached, Client, Deferred, Event, Request};

/// How long requests wait for the replies to an earlier report. They are sent within milliseconds,
/// unless the waker of a task blocks, which must not cost all later tasks their report.
pub(super) const REPLIES_WITHIN: Duration = Duration::from_secs(10);

/// The requests that have arrived and have not been answered.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    /// Since when replies to an earlier report are being sent.
    pub(super) replying: Option<Instant>,
    /// Whether a report for a signal is being written.
    pub(super) is_writing: bool,
    pub(super) stop: bool,
    /// The least time from the beginning of a report for signals or for a file to that of the next.
    pub(super) interval: Duration,
    /// When the last written report began.
    pub(super) last: Option<Instant>,
    pub(super) rates: Rates,
}

/// The requests that one report answers.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) signals: u64,
    /// The sender of the last signal.
    sender: Option<Sender>,
    /// The report during which this process sent some of the signals itself, if there is one.
    pub(super) own_during: Option<u64>,
    events: Vec<Event>,
    pub(super) captures: Vec<Reply<Arc<Report>>>,
    pub(super) deferred: Vec<Deferred>,
    /// Those of `gmr report`.
    pub(super) attached: Vec<Attached>,
    /// Why such requests are answered on standard error, and are among the signals here.
    unattached: Option<String>,
}

impl Pending {
    pub(super) fn add(&mut self, requests: Vec<Request>) {
        for request in requests {
            match request {
                Request::Signals { count, sender } => {
                    self.batch.signals += count;
                    self.batch.sender = sender;
                }
                Request::Event(event) => self.add_event(event),
                Request::Attached(attached) => self.batch.attached.push(attached),
                Request::Capture(reply) => self.batch.captures.push(reply),
                Request::Deferred(deferred) => self.batch.deferred.push(deferred),
                Request::Replied => self.replying = None,
                // The reporter looks again at what it can begin.
                Request::Written => {}
                Request::Stop => {
                    self.stop = true;
                    // Those who wait for the end of the interval get their report now or never.
                    self.interval = Duration::ZERO;
                }
            }
        }
    }

    /// Adds an event, or counts it together with another one of its kind.
    fn add_event(&mut self, event: Event) {
        // A thread that cannot allocate aborts the process.
        if !emergency::has_memory() {
            return self.rates.suppress_without_memory();
        }
        for known in &mut self.batch.events {
            if counts(&mut known.trigger, &event.trigger) {
                return known.written.extend(event.written);
            }
        }
        self.batch.events.push(event);
    }

    /// Has a request of `gmr report` answered like another signal, for this reason.
    pub(super) fn answer_on_stderr(&mut self, attached: Attached, reason: String) {
        self.batch.signals += 1;
        self.batch.sender = attached.sender;
        self.batch.unattached = Some(reason);
    }

    /// Adds what has arrived while report `number` was made. If the process has sent signals
    /// itself, a section may have sent them. They get one more report. Signals that are sent while
    /// that one is made (`for_own` is then the number of the earlier report) are dismissed, since
    /// otherwise reports would never end. Returns how many are dismissed.
    pub(super) fn add_meanwhile(
        &mut self,
        mut requests: Vec<Request>,
        number: u64,
        for_own: Option<u64>,
    ) -> u64 {
        let this = std::process::id();
        let own = |request: &Request| match request {
            Request::Signals { count, sender: Some(sender) } if sender.pid == this => *count,
            _ => 0,
        };
        let all_own: u64 = requests.iter().map(own).sum();
        let dismissed = if for_own.is_some() { all_own } else { 0 };
        if dismissed > 0 {
            requests.retain(|request| own(request) == 0);
        } else if all_own > 0 {
            self.batch.own_during = Some(number);
        }
        self.add(requests);
        dismissed
    }

    /// When a report for some of the requests can begin, if no other one arrives: they wait for
    /// replies that may never be sent, or for the end of the interval.
    pub(super) fn begins_at(&self) -> Option<Instant> {
        let replying = self.replying.filter(|_| !self.batch.deferred.is_empty());
        let last = self.last.filter(|_| self.batch.is_written() && !self.is_writing);
        let replied = replying.and_then(|since| since.checked_add(REPLIES_WITHIN));
        let ended = last.and_then(|last| last.checked_add(self.interval));
        [replied, ended].into_iter().flatten().min()
    }

    /// Whether signals and events wait. Automatic reports have a limit of their own, and do not
    /// wait for the end of the interval: what they are about may be over by then.
    fn is_held(&self) -> bool {
        let is_automatic = |event: &Event| matches!(event.trigger, Trigger::Automatic { .. });
        let is_too_early = || self.last.is_some_and(|last| last.elapsed() < self.interval);
        self.is_writing || is_too_early() && !self.batch.events.iter().any(is_automatic)
    }

    /// Whether a report for some of the requests can begin.
    pub(super) fn can_begin(&self) -> bool {
        let batch = &self.batch;
        let is_replying = self.replying.is_some_and(|since| since.elapsed() < REPLIES_WITHIN);
        (batch.is_written() && !self.is_held())
            || !batch.captures.is_empty()
            || !batch.attached.is_empty()
            || (!batch.deferred.is_empty() && !is_replying)
    }

    /// All requests, except signals and events while a report is being written or until the
    /// interval has ended, and except the deferred ones while replies to an earlier report are
    /// being sent, for [`REPLIES_WITHIN`] at most.
    pub(super) fn next_batch(&mut self) -> Batch {
        // Before the batch is taken: an automatic event in it holds nothing up.
        let is_held = self.is_held();
        let mut batch = std::mem::take(&mut self.batch);
        if is_held {
            self.batch.signals = std::mem::take(&mut batch.signals);
            self.batch.sender = batch.sender.take();
            self.batch.own_during = batch.own_during.take();
            self.batch.unattached = batch.unattached.take();
            self.batch.events = std::mem::take(&mut batch.events);
        }
        batch.events.retain(|event| self.rates.admit(&event.trigger, Instant::now()));
        batch.captures.retain(Reply::is_wanted);
        batch.deferred.retain(Deferred::is_wanted);
        if self.replying.is_some_and(|since| since.elapsed() < REPLIES_WITHIN) {
            self.batch.deferred = std::mem::take(&mut batch.deferred);
        }
        batch
    }
}

impl Batch {
    /// Whether the report is to be written, and not only returned.
    pub(super) fn is_written(&self) -> bool {
        self.signals > 0 || !self.events.is_empty()
    }

    /// Whether nobody wants the section that polls tasks.
    pub(super) fn leaves_tasks_alone(&self) -> bool {
        self.is_only_attached() && self.attached.iter().all(|attached| attached.attach.without_tasks)
    }

    /// Whether nobody wants more than a look. Who does gets a whole report, and so do they who look.
    pub(super) fn is_look(&self) -> bool {
        let mut attached = self.attached.iter();
        self.is_only_attached()
            && !self.attached.is_empty()
            && attached.all(|attached| attached.attach.is_look)
    }

    fn is_only_attached(&self) -> bool {
        !self.is_written() && self.captures.is_empty() && self.deferred.is_empty()
    }

    /// The thread that the report is about, if an event is about one.
    pub(super) fn thread(&self) -> Option<u32> {
        self.events.iter().find_map(|event| event.thread)
    }

    /// The task that the report is about, if an event is about one.
    pub(super) fn task(&self) -> Option<u64> {
        self.events.iter().find_map(|event| event.task)
    }

    /// Those who wait for the report to be written.
    pub(super) fn waiting(&mut self) -> Vec<Reply<()>> {
        self.events.iter_mut().flat_map(|event| std::mem::take(&mut event.written)).collect()
    }

    /// What else has requested the report, beside [the trigger](Self::trigger).
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let others = self.events.iter().skip(usize::from(self.signals == 0));
        let is_by_attached = !self.is_written() && !self.attached.is_empty();
        let is_by_http = !self.is_written() && self.attached.is_empty();
        let attached = (self.attached.iter().any(|attached| !attached.attach.is_look))
            .then(|| format!("requested by `gmr report`{}", if is_by_attached { "" } else { ", too" }));
        let unattached = self
            .unattached
            .as_ref()
            .map(|reason| format!("`gmr report` has requested it, and finds no report elsewhere: {reason}"));
        let client = self.clients().next().filter(|_| !is_by_http).map(|client| {
            let peer = client.peer.as_ref().map(|peer| format!(" from {peer}")).unwrap_or_default();
            format!("an HTTP request for {}{peer}, too", client.path)
        });
        let others = others.filter_map(|event| match &event.trigger {
            Trigger::File { path, .. } => Some(format!("the file {path} was touched, too")),
            Trigger::Automatic { name, cause, .. } => Some(format!("automatic ({name}), too: {cause}")),
            _ => None,
        });
        others.chain(client).chain(attached).chain(unattached)
    }

    /// Those who have requested the report over HTTP.
    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.deferred.iter().filter_map(|deferred| match deferred {
            Deferred::Rendered(_, client, _) => Some(client),
            Deferred::Report(_) => None,
        })
    }

    /// The trigger to write into the heading: the last signal, if there is any, or else the first
    /// event, the last request of `gmr report`, or the first HTTP request. `None` if no report is
    /// wanted.
    pub(super) fn trigger(&self, signal_name: &str) -> Option<Trigger> {
        let by_signal = self.signals.checked_sub(1).map(|coalesced| Trigger::Signal {
            name: signal_name.to_owned(),
            sender: self.sender.clone(),
            coalesced,
        });
        let by_attached = || {
            let last = self.attached.last()?;
            let (name, sender) = (signal_name.to_owned(), last.sender.clone());
            Some(Trigger::Signal { name, sender, coalesced: self.attached.len() as u64 - 1 })
        };
        let by_call = !self.captures.is_empty() || !self.deferred.is_empty();
        let by_event = || self.events.first().map(|event| event.trigger.clone());
        let by_http = || {
            let Client { peer, path } = self.clients().next()?.clone();
            let coalesced = self.clients().count() as u64 - 1;
            Some(Trigger::Http { peer, path, coalesced })
        };
        let by_call = || by_call.then_some(Trigger::Api);
        by_signal.or_else(by_event).or_else(by_attached).or_else(by_http).or_else(by_call)
    }
}

/// Counts `other` in `trigger`, if both are events of the same kind.
fn counts(trigger: &mut Trigger, other: &Trigger) -> bool {
    let coalesced = match (trigger, other) {
        (Trigger::File { path, coalesced }, Trigger::File { path: others, .. }) if path == others => {
            coalesced
        }
        (Trigger::Automatic { name, coalesced, .. }, Trigger::Automatic { name: others, .. })
            if name == others =>
        {
            coalesced
        }
        _ => return false,
    };
    *coalesced += 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within_the_interval() -> Pending {
        Pending {
            interval: Duration::from_secs(3_600),
            last: Some(Instant::now()),
            rates: Rates::new(None),
            ..Pending::default()
        }
    }

    fn signal() -> Request {
        Request::Signals { count: 1, sender: None }
    }

    #[test]
    fn an_automatic_event_does_not_wait_for_the_end_of_the_interval() {
        let mut pending = within_the_interval();
        pending.add(vec![signal(), Request::Event(Event::automatic("deadline", "late".to_owned()))]);
        assert!(pending.can_begin());
        assert!(pending.next_batch().is_written());
        assert!(!pending.can_begin(), "nothing is left, so that the reporter sleeps");
        // Its twin does.
        let mut pending = within_the_interval();
        pending.add(vec![signal()]);
        assert!(!pending.can_begin());
        assert!(!pending.next_batch().is_written());
        assert_eq!(pending.batch.signals, 1, "it is kept");
    }

    #[test]
    fn whatever_can_begin_is_taken() {
        let requests: [fn() -> Request; 3] = [
            signal,
            || Request::Event(Event::automatic("deadline", "late".to_owned())),
            || Request::Capture(crate::trigger::reply::channel().0),
        ];
        for chosen in 1..1_u32 << requests.len() {
            for is_writing in [false, true] {
                let mut pending = Pending { is_writing, ..within_the_interval() };
                let chosen = requests.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
                pending.add(chosen.map(|(_, request)| request()).collect());
                let mut rounds = 0;
                while pending.can_begin() {
                    pending.next_batch();
                    rounds += 1;
                    assert!(rounds < 10, "the reporter would never sleep");
                }
            }
        }
    }
}
