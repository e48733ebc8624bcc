//! The signals and requests that have arrived, and the words that the reporter and the thread that
//! watches it sleep on.
//!
//! The handler's part copies the sender, counts, and wakes one futex word. It neither allocates nor
//! locks.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::thread::futex;
use signal_hook::low_level::channel::Channel;

use crate::sys::attach::{Attach, Noted, Requests};
use crate::sys::{self, pending_signal};

/// What the action and the reporter share.
pub(crate) struct Arrivals {
    /// Changes with every event. The reporter sleeps while it does not.
    events: AtomicU32,
    /// How many signals have arrived since they were last taken: from others, and from this process
    /// itself.
    signals: AtomicU64,
    own: AtomicU64,
    /// The senders of the first of them: process and user, if the kernel knows them. A signal that
    /// finds no space is only counted.
    senders: Channel<Option<(u32, u32)>>,
    /// The requests of `gmr report`, which are no signals in the counts above.
    attached: Requests,
    /// How many signals have arrived since the start, and how many of them have a report that has
    /// begun.
    all: AtomicU64,
    begun: AtomicU64,
    /// Changes when a report begins or ends, or its output does, and while the reporter waits for
    /// another copy of gmr; odd while a report is being made.
    step: AtomicU32,
    /// Whether a report is being written to standard error.
    is_writing: AtomicBool,
    /// Whether another thread reports signals that the reporter does not answer.
    is_watched: AtomicBool,
    /// Whether the reporter has left signals to that thread.
    is_declined: AtomicBool,
    is_closed: AtomicBool,
    /// Whether the signal's handler has recorded a signal here, which shows that it is in place.
    is_called: AtomicBool,
    /// Whether a signal stays pending, because the thread that the kernel has chosen does not take
    /// it.
    is_pending: AtomicBool,
    /// The thread that notices this; 0 if there is none.
    watcher: AtomicI32,
}

/// How far the reporter is.
pub(crate) struct Progress {
    /// How many signals have arrived.
    pub(crate) signals: u64,
    /// How many of them have a report that has begun.
    pub(crate) begun: u64,
    /// Changes when a report begins or ends, or its output does; odd while a report is being made.
    pub(crate) step: u32,
}

/// Signals that have arrived.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) count: u64,
    /// The sender of the last one that is known: process and user.
    pub(crate) sender: Option<(u32, u32)>,
}

/// All signals that have arrived, by sender.
pub(crate) struct AllSignals {
    /// Those of other processes, and those whose sender is not known.
    pub(crate) others: Signals,
    /// Those that this process has sent to itself.
    pub(crate) own: Signals,
}

impl AllSignals {
    pub(crate) fn count(&self) -> u64 {
        self.others.count + self.own.count
    }
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self {
            events: AtomicU32::new(0),
            signals: AtomicU64::new(0),
            own: AtomicU64::new(0),
            senders: Channel::new(),
            attached: Requests::new(),
            all: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            step: AtomicU32::new(0),
            is_writing: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            is_declined: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
            is_pending: AtomicBool::new(false),
            watcher: AtomicI32::new(0),
        }
    }

    /// The state of the word, to be read before looking for what has arrived.
    pub(crate) fn seen(&self) -> u32 {
        self.events.load(Ordering::Acquire)
    }

    /// Sleeps until there has been an event since the word was `seen`, or the time is up.
    pub(crate) fn wait(&self, seen: u32, timeout: Option<Duration>) {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: time.as_secs().cast_signed(),
            tv_nsec: time.subsec_nanos().into(),
        });
        // Every error is handled alike: look again. An interrupted wait and a changed word are the
        // only ones that occur.
        let _ = futex::wait(&self.events, futex::Flags::PRIVATE, seen, timeout.as_ref());
    }

    /// Announces an event, and wakes the reporter and the thread that watches it. It may be called
    /// in a signal handler.
    pub(crate) fn announce(&self) {
        self.events.fetch_add(1, Ordering::Release);
        wake_all(&self.events);
    }

    /// Whether signals have arrived since they were last taken, those of `gmr report` included.
    pub(crate) fn has_signals(&self) -> bool {
        self.signals.load(Ordering::Acquire) > 0
            || self.own.load(Ordering::Acquire) > 0
            || !self.attached.is_empty()
    }

    /// A report for this many signals begins.
    pub(crate) fn begun(&self, signals: u64) {
        self.dismissed(signals);
        self.next_step();
    }

    /// The report has ended.
    pub(crate) fn ended(&self) {
        self.next_step();
    }

    /// Begins anew, in a forked child: what was going on in the parent is not going on here.
    /// Signals that have arrived by now are dropped. They may be the parent's.
    pub(crate) fn restart(&self) {
        let flags =
            [&self.is_writing, &self.is_watched, &self.is_declined, &self.is_closed, &self.is_pending];
        for flag in flags {
            flag.store(false, Ordering::Relaxed);
        }
        self.watcher.store(0, Ordering::Relaxed);
        self.step.store(0, Ordering::Relaxed);
        // First: one that arrives meanwhile is not answered, and must not seem to be.
        let all = self.all.load(Ordering::Acquire);
        self.take_every();
        self.begun.store(all, Ordering::Release);
    }

    /// Signals wait from now on until a report has been written to standard error.
    pub(crate) fn output_begins(&self) {
        self.is_writing.store(true, Ordering::Release);
    }

    /// The report has been written, and signals no longer wait.
    pub(crate) fn output_ended(&self) {
        self.add_steps(2);
        self.is_writing.store(false, Ordering::Release);
    }

    /// Whether signals wait until a report has been written.
    pub(crate) fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Acquire)
    }

    /// Notes that the reporter has to wait before it begins a report, and is not stuck.
    pub(crate) fn goes_on(&self) {
        self.add_steps(2);
    }

    fn next_step(&self) {
        self.add_steps(1);
    }

    fn add_steps(&self, steps: u32) {
        self.step.fetch_add(steps, Ordering::Release);
        wake_all(&self.step);
    }

    /// How far the reporter is.
    pub(crate) fn progress(&self) -> Progress {
        // The signals last: one that arrives meanwhile must not seem answered.
        let step = self.step.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Acquire);
        Progress { signals: self.all.load(Ordering::Acquire), begun, step }
    }

    /// Sleeps until the reporter has moved on from this step. False if that takes longer than the
    /// timeout.
    pub(crate) fn wait_for_step(&self, step: u32, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while self.step.load(Ordering::Acquire) == step {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            let _ = futex::wait(&self.step, futex::Flags::PRIVATE, step, Some(&left));
        }
        true
    }

    /// Another thread reports signals from now on that are not answered.
    pub(crate) fn set_watched(&self) {
        self.is_watched.store(true, Ordering::Release);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Acquire)
    }

    /// Leaves the signals that have arrived to the thread that watches.
    pub(crate) fn decline(&self) {
        let count = self.take_every();
        self.is_declined.store(true, Ordering::Release);
        // As if their report had begun and ended.
        self.begun(count);
        self.ended();
        self.announce();
    }

    /// Whether signals were left to the calling thread since the last call.
    pub(crate) fn take_declined(&self) -> bool {
        self.is_declined.swap(false, Ordering::AcqRel)
    }

    /// Watches for signals that stay pending, until this is closed, and has the reporter take them.
    /// `ready` is called when the calling thread has everything that it needs.
    pub(crate) fn watch_pending(&self, signal: i32, ready: impl FnOnce()) {
        self.watcher.store(sys::current_tid().cast_signed(), Ordering::SeqCst);
        pending_signal::watch(
            signal,
            || self.is_closed.load(Ordering::SeqCst),
            ready,
            || {
                self.is_pending.store(true, Ordering::Release);
                self.announce();
            },
        );
        self.watcher.store(0, Ordering::SeqCst);
    }

    /// Ends the threads that watch. `signal` is the one that is no longer handled.
    pub(crate) fn close(&self, signal: Option<i32>) {
        self.is_closed.store(true, Ordering::SeqCst);
        if let (watcher @ 1.., Some(signal)) = (self.watcher.load(Ordering::SeqCst), signal) {
            pending_signal::wake(watcher, signal);
        }
        self.next_step();
        self.announce();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// The signals since the last call.
    pub(crate) fn take(&self) -> AllSignals {
        let (mut others, mut own) = (Signals::default(), Signals::default());
        // Only as many as are counted: the sender of a signal that arrives meanwhile is for the
        // next call.
        others.count = self.signals.swap(0, Ordering::Acquire);
        own.count = self.own.swap(0, Ordering::Acquire);
        for sender in (0..others.count + own.count).map_while(|_| self.senders.recv()) {
            let of = if is_this_process(sender) { &mut own } else { &mut others };
            of.sender = sender;
        }
        AllSignals { others, own }
    }

    /// The requests of `gmr report` since the last call.
    pub(crate) fn take_attached(&self) -> impl Iterator<Item = (Attach, Option<(u32, u32)>)> {
        self.attached.take_all().filter_map(|(value, sender)| Some((Attach::decode(value)?, sender)))
    }

    /// Takes all that has arrived, and returns how much that is. It does not allocate.
    fn take_every(&self) -> u64 {
        self.take().count() + self.attached.take_all().map(|_| 1).sum::<u64>()
    }

    /// Notes that this many signals are not answered.
    pub(crate) fn dismissed(&self, signals: u64) {
        self.begun.fetch_add(signals, Ordering::Relaxed);
    }

    /// The action: runs in the signal handler.
    pub(super) fn record(&self, info: &libc::siginfo_t) {
        self.record_sender(sys::sender(info));
    }

    /// Records a signal from this process and user.
    pub(crate) fn record_sender(&self, sender: Option<(u32, u32)>) {
        self.record_signals(1, sender, true);
    }

    /// Records as many signals, the last of them from this process and user. `in_handler` says that
    /// the signal's handler does so.
    pub(super) fn record_signals(&self, count: u64, sender: Option<(u32, u32)>, in_handler: bool) {
        /// More than the list has space for.
        const MOST_SENDERS: u64 = 8;
        // One for each signal: as many are taken from it as signals are counted.
        for _ in 0..count.min(MOST_SENDERS) {
            self.senders.send(sender);
        }
        self.all.fetch_add(count, Ordering::Release);
        if in_handler {
            self.is_called.store(true, Ordering::Release);
        }
        // Counted here, because the list of senders has space for the first few only.
        let signals = if is_this_process(sender) { &self.own } else { &self.signals };
        signals.fetch_add(count, Ordering::Release);
        self.announce();
    }

    /// Records a request of `gmr report`: runs in the signal handler, as [`record`](Self::record)
    /// does.
    pub(super) fn record_attach(&self, value: u64, sender: Option<(u32, u32)>) {
        match self.attached.note(value, sender) {
            Noted::New => {
                self.all.fetch_add(1, Ordering::Release);
                self.is_called.store(true, Ordering::Release);
                self.announce();
            }
            // The command has sent it once more.
            Noted::Known => {}
            // The command asks again.
            Noted::Full if Attach::decode(value).is_some_and(|attach| attach.is_look) => {}
            // The report goes to standard error.
            Noted::Full => self.record_sender(sender),
        }
    }

    /// Whether a signal was seen to stay pending since the last call.
    pub(super) fn take_pending(&self) -> bool {
        self.is_pending.swap(false, Ordering::Acquire)
    }

    /// Whether the handler has been called since the last call of this.
    pub(crate) fn take_called(&self) -> bool {
        self.is_called.swap(false, Ordering::AcqRel)
    }
}

fn is_this_process(sender: Option<(u32, u32)>) -> bool {
    sender.is_some_and(|(pid, _)| pid == std::process::id())
}

fn wake_all(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::PRIVATE, i32::MAX.cast_unsigned());
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("signals", &self.signals).finish_non_exhaustive()
    }
}
