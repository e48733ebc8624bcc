//! An action of gmr's in signal-hook's handler of the report signal, and the word that the reporter
//! sleeps on.
//!
//! The action copies the sender, counts, and wakes one futex word. It has no descriptor: a program
//! that closes every descriptor can neither take it away nor have a byte written into a file of its
//! own. signal-hook owns the handler, calls the program's earlier one, and restores `errno`.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::thread::futex;
use signal_hook::low_level::channel::Channel;
use signal_hook_registry::SigId;

use super::attach::{self, Attach, Noted, Requests};
use super::{disposition, early_signal, pending_signal};

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
        self.watcher.store(super::current_tid().cast_signed(), Ordering::SeqCst);
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
    fn record(&self, info: &libc::siginfo_t) {
        self.record_sender(super::sender(info));
    }

    /// Records a signal from this process and user.
    pub(crate) fn record_sender(&self, sender: Option<(u32, u32)>) {
        self.record_signals(1, sender, true);
    }

    /// Records as many signals, the last of them from this process and user. `in_handler` says that
    /// the signal's handler does so.
    fn record_signals(&self, count: u64, sender: Option<(u32, u32)>, in_handler: bool) {
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
    fn record_attach(&self, value: u64, sender: Option<(u32, u32)>) {
        match self.attached.note(value, sender) {
            Noted::New => {
                self.all.fetch_add(1, Ordering::Release);
                self.is_called.store(true, Ordering::Release);
                self.announce();
            }
            // The command has sent it once more.
            Noted::Known => {}
            // The report goes to standard error.
            Noted::Full => self.record_sender(sender),
        }
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

/// The action, until this is dropped. The signal is ignored from then on: with its default action,
/// the next one would terminate the process.
#[derive(Debug)]
pub(crate) struct Registration {
    action: Action,
    /// Whether a process made it that this one was forked from.
    is_parents: bool,
}

/// Which action, of which signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    id: SigId,
    signal: i32,
}

impl Registration {
    /// That of a forked child, which has its parent's actions.
    pub(crate) fn of_parent(action: Action) -> Self {
        Self { action, is_parents: true }
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn signal(&self) -> i32 {
        self.action.signal
    }

    /// Has a signal handled that was seen to stay pending.
    pub(crate) fn take_pending(&self, arrivals: &Arrivals) {
        if arrivals.is_pending.swap(false, Ordering::Acquire) {
            self.handle_pending();
        }
    }
}

/// Records `signal` in `arrivals` from now on, and what has arrived since before `main`.
///
/// # Errors
/// The operating system refused the handler.
pub(crate) fn register(signal: i32, arrivals: &Arc<Arrivals>) -> io::Result<Registration> {
    let before = disposition::current(signal)?.sa_sigaction;
    let recording = Arc::clone(arrivals);
    let is_recorded = early_signal::records(signal);
    let action = move |info: &libc::siginfo_t| {
        match attach::of_signal(info) {
            Some(value) => recording.record_attach(value, super::sender(info)),
            // The handler from before `main` has done so, which signal-hook's calls first.
            None if is_recorded => {}
            None => recording.record(info),
        }
    };
    // SAFETY: the action is async-signal-safe. It copies into a slot of a channel that is made for
    // signal handlers, changes atomics, and makes two system calls, `getpid` and `futex`. It cannot
    // panic: the channel has as many slots as its queues have places. The memory that it uses lives
    // until signal-hook has dropped the action, which it does outside of handlers. signal-hook
    // restores `errno`.
    let id = unsafe { signal_hook_registry::register_sigaction(signal, action) }?;
    let recording = Arc::clone(arrivals);
    let record = move |count, sender, in_handler| recording.record_signals(count, sender, in_handler);
    early_signal::hand_over(signal, Box::new(record), is_recorded);
    let registration = Registration { action: Action { id, signal }, is_parents: false };
    use_alternate_stack(signal, before)?;
    let now = disposition::current(signal)?.sa_sigaction;
    let is_known = [libc::SIG_DFL, libc::SIG_IGN].contains(&before) || early_signal::is_handler(before);
    // After an earlier installation of gmr, it is signal-hook's.
    let is_gmrs = HANDLER.load(Ordering::Relaxed) == before;
    if !is_gmrs {
        IS_SHARED.store(!is_known, Ordering::Relaxed);
    }
    HANDLER.store(now, Ordering::Relaxed);
    SIGNAL.store(signal, Ordering::Relaxed);
    Ok(registration)
}

/// The report signal, 0 if there is none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The handler that calls the action.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Whether the signal had a handler before, which signal-hook's calls first.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

/// The report signal, if it had a handler of the program or of a library when gmr was installed.
pub(crate) fn shared() -> Option<i32> {
    let signal = Some(SIGNAL.load(Ordering::Relaxed)).filter(|signal| *signal != 0)?;
    IS_SHARED.load(Ordering::Relaxed).then_some(signal)
}

/// What has replaced the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacement {
    Ignored,
    Default,
    /// It may still call the action: some handlers pass the signal on.
    Handler,
}

/// The report signal, and what has replaced its handler. `None` if nothing has.
pub(crate) fn replacement() -> Option<(i32, Replacement)> {
    let signal = Some(SIGNAL.load(Ordering::Relaxed)).filter(|signal| *signal != 0)?;
    let replacement = match disposition::current(signal).ok()?.sa_sigaction {
        now if now == HANDLER.load(Ordering::Relaxed) => return None,
        libc::SIG_IGN => Replacement::Ignored,
        libc::SIG_DFL => Replacement::Default,
        _ => Replacement::Handler,
    };
    Some((signal, replacement))
}

/// What a signal does now: nothing, end the process, or something that gmr does not know. `None` if
/// that is not known.
pub(crate) fn effect(signal: i32) -> Option<Replacement> {
    Some(match disposition::current(signal).ok()?.sa_sigaction {
        libc::SIG_IGN => Replacement::Ignored,
        libc::SIG_DFL => Replacement::Default,
        _ => Replacement::Handler,
    })
}

/// Signals have arrived, so the handler that is set now calls the action.
pub(crate) fn accept_replacement() {
    if let Some((signal, Replacement::Handler)) = replacement()
        && let Ok(now) = disposition::current(signal)
    {
        HANDLER.store(now.sa_sigaction, Ordering::Relaxed);
    }
}

/// The address of signal-hook's handler, once it is known. It is the same for all signals.
static SIGNAL_HOOKS: AtomicUsize = AtomicUsize::new(0);

/// Whether signal-hook handles this signal, as far as is known.
pub(super) fn is_signal_hooks(signal: i32) -> bool {
    let known = SIGNAL_HOOKS.load(Ordering::Relaxed);
    known != 0 && disposition::current(signal).is_ok_and(|handler| handler.sa_sigaction == known)
}

/// Makes signal-hook's handler run on the alternate stack of the thread that receives the signal,
/// if it has one: a thread near the end of its stack, or on the small stack of a fibre, has no
/// space for a signal frame. signal-hook does not set that flag. No other handler interrupts this
/// one: the alternate stack may have space for one signal frame only, that of the program's
/// handler.
///
/// `before` is the handler of the signal from before the registration. A handler that is not
/// signal-hook's is not changed.
fn use_alternate_stack(signal: i32, before: libc::sighandler_t) -> io::Result<()> {
    let mut now = disposition::current(signal)?;
    if now.sa_sigaction != before {
        SIGNAL_HOOKS.store(now.sa_sigaction, Ordering::Relaxed);
    }
    if now.sa_sigaction != SIGNAL_HOOKS.load(Ordering::Relaxed) || now.sa_flags & libc::SA_ONSTACK != 0 {
        return Ok(());
    }
    if !alternate_stack_is_large_enough() {
        return Ok(());
    }
    now.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: the set is a local. The signal numbers are valid.
    unsafe {
        libc::sigfillset(&raw mut now.sa_mask);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT] {
            libc::sigdelset(&raw mut now.sa_mask, fault);
        }
    }
    // SAFETY: the action is the one that is installed, with a flag and a mask that any handler may
    // have.
    match unsafe { libc::sigaction(signal, &raw const now, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How much stack a handler of gmr's needs, with the signal frame.
pub(crate) fn stack_for_handler() -> usize {
    /// Without the frame.
    const NEEDED: usize = 4096;
    /// The key under which the kernel says how long a frame can be (`uapi/linux/auxvec.h`). With
    /// large registers, it is several KiB.
    const AT_MINSIGSTKSZ: libc::c_ulong = 51;
    // SAFETY: it reads a value that the kernel gave the process at its start; 0 if there is none.
    let frame = unsafe { libc::getauxval(AT_MINSIGSTKSZ) };
    usize::try_from(frame).unwrap_or(0).max(libc::MINSIGSTKSZ) + NEEDED
}

/// Whether the calling thread, usually the main one, has no alternate stack, or one on which there
/// is space for a signal frame and the handler. `MINSIGSTKSZ` is 2 KiB for old programs, and a
/// frame with large registers takes more.
fn alternate_stack_is_large_enough() -> bool {
    let mut stack = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: without a new stack, the call only writes the current one, to memory valid for it.
    if unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call succeeded, so the structure is filled in.
    let stack = unsafe { stack.assume_init() };
    stack.ss_flags & libc::SS_DISABLE != 0 || stack.ss_size >= stack_for_handler()
}

impl Registration {
    /// Has signals handled that are pending for the process, unless the calling thread blocks them.
    pub(crate) fn handle_pending(&self) {
        let (mut set, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // When a thread unblocks a signal, it gets one that is pending for the process.
        // SAFETY: both sets are initialised before they are read: one by sigemptyset, the other by
        // the first call that takes it, which cannot fail with a valid `how`.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), self.action.signal);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        SIGNAL.store(0, Ordering::Relaxed);
        IS_SHARED.store(false, Ordering::Relaxed);
        if !self.is_parents {
            early_signal::stop();
        }
        // signal-hook would wait for handlers that threads of the parent were running at the fork.
        // These never end in a child. There, the action stays, and only counts.
        if !self.is_parents {
            signal_hook::low_level::unregister(self.action.id);
        }
    }
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("signals", &self.signals).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
