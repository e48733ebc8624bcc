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
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use rustix::thread::futex;
use signal_hook::low_level::channel::Channel;
use signal_hook_registry::SigId;

/// What the action and the reporter share.
pub(crate) struct Arrivals {
    /// Changes with every event. The reporter sleeps while it does not.
    events: AtomicU32,
    /// How many signals have arrived since they were last taken.
    signals: AtomicU64,
    /// The senders of the first of them: process and user, if the kernel knows them. A signal that
    /// finds no space is only counted.
    senders: Channel<Option<(u32, u32)>>,
}

/// Signals that have arrived.
pub(crate) struct Signals {
    pub(crate) count: u64,
    /// The sender of the last one that is known: process and user.
    pub(crate) sender: Option<(u32, u32)>,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self { events: AtomicU32::new(0), signals: AtomicU64::new(0), senders: Channel::new() }
    }

    /// The state of the word, to be read before looking for what has arrived.
    pub(crate) fn seen(&self) -> u32 {
        self.events.load(Ordering::Acquire)
    }

    /// Sleeps until there has been an event since the word was `seen`.
    pub(crate) fn wait(&self, seen: u32) {
        // Every error is handled alike: look again. An interrupted wait and a changed word are the
        // only ones that occur.
        let _ = futex::wait(&self.events, futex::Flags::PRIVATE, seen, None);
    }

    /// Announces an event, and wakes the reporter. It may be called in a signal handler.
    pub(crate) fn announce(&self) {
        self.events.fetch_add(1, Ordering::Release);
        let _ = futex::wake(&self.events, futex::Flags::PRIVATE, 1);
    }

    /// The signals since the last call.
    pub(crate) fn take(&self) -> Signals {
        // Only as many as are counted: the sender of a signal that arrives meanwhile is for the
        // next call.
        let count = self.signals.swap(0, Ordering::Acquire);
        Signals { count, sender: (0..count).map_while(|_| self.senders.recv()).last().flatten() }
    }

    /// The action: runs in the signal handler.
    fn record(&self, info: &libc::siginfo_t) {
        self.senders.send(super::sender(info));
        self.signals.fetch_add(1, Ordering::Release);
        self.announce();
    }
}

/// The action, until this is dropped. The signal is ignored from then on: with its default action,
/// the next one would terminate the process.
#[derive(Debug)]
pub(crate) struct Registration(SigId);

/// Records `signal` in `arrivals` from now on.
///
/// # Errors
/// The operating system refused the handler.
pub(crate) fn register(signal: i32, arrivals: &Arc<Arrivals>) -> io::Result<Registration> {
    let before = handler(signal)?.sa_sigaction;
    let arrivals = Arc::clone(arrivals);
    // SAFETY: the action is async-signal-safe. It copies into a slot of a channel that is made for
    // signal handlers, changes atomics, and makes one futex call. It cannot panic. The memory that
    // it uses lives until signal-hook has dropped the action, which it does outside of handlers.
    let id = unsafe { signal_hook_registry::register_sigaction(signal, move |info| arrivals.record(info)) }?;
    let registration = Registration(id);
    use_alternate_stack(signal, before)?;
    Ok(registration)
}

/// Makes signal-hook's handler run on the alternate stack of the thread that receives the signal,
/// if it has one: a thread near the end of its stack, or on the small stack of a fibre, has no
/// space for a signal frame. signal-hook does not set that flag.
///
/// `before` is the handler of the signal from before the registration. A handler that is not
/// signal-hook's is not changed.
fn use_alternate_stack(signal: i32, before: libc::sighandler_t) -> io::Result<()> {
    /// The address of signal-hook's handler, once it is known. It is the same for all signals.
    static SIGNAL_HOOKS: AtomicUsize = AtomicUsize::new(0);
    let mut now = handler(signal)?;
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
    // SAFETY: the action is the one that is installed, with a flag that any handler may have.
    match unsafe { libc::sigaction(signal, &raw const now, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How much stack the handler needs, without the signal frame.
const NEEDED: usize = 4096;
/// The key under which the kernel says how long a signal frame can be (`uapi/linux/auxvec.h`).
const AT_MINSIGSTKSZ: libc::c_ulong = 51;

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
    // SAFETY: it reads a value that the kernel gave the process at its start; 0 if there is none.
    let frame = unsafe { libc::getauxval(AT_MINSIGSTKSZ) };
    let frame = usize::try_from(frame).unwrap_or(0).max(libc::MINSIGSTKSZ);
    stack.ss_flags & libc::SS_DISABLE != 0 || stack.ss_size >= frame + NEEDED
}

/// The signal's action.
fn handler(signal: i32) -> io::Result<libc::sigaction> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action, sigaction only writes the current one, to memory valid for
    // it.
    if unsafe { libc::sigaction(signal, std::ptr::null(), current.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the structure is filled in.
    Ok(unsafe { current.assume_init() })
}

impl Drop for Registration {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.0);
    }
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("signals", &self.signals).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(signal: i32) {
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn signals_are_counted_and_their_sender_is_known() {
        let arrivals = Arc::new(Arrivals::new());
        let signal = libc::SIGRTMIN() + 3;
        let registration = register(signal, &arrivals).unwrap();
        let flags = handler(signal).unwrap().sa_flags;
        assert_eq!(flags & (libc::SA_ONSTACK | libc::SA_RESTART), libc::SA_ONSTACK | libc::SA_RESTART);
        for _ in 0..9 {
            raise(signal);
        }
        let Signals { count, sender } = arrivals.take();
        assert_eq!(count, 9);
        assert_eq!(sender.map(|(pid, _)| pid), Some(std::process::id()));
        assert_eq!(arrivals.take().count, 0);
        drop(registration);
        raise(signal);
        assert_eq!(arrivals.take().count, 0, "it is ignored");
        assert_eq!(Arc::strong_count(&arrivals), 1);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn a_handler_of_the_programs_is_left_alone() {
        extern "C" fn programs(_: i32) {}
        let arrivals = Arc::new(Arrivals::new());
        let signal = libc::SIGRTMIN() + 4;
        drop(register(signal, &arrivals).unwrap());
        let mut action = handler(signal).unwrap();
        action.sa_sigaction = programs as *const () as usize;
        action.sa_flags = 0;
        // SAFETY: the handler does nothing.
        assert_eq!(unsafe { libc::sigaction(signal, &raw const action, null_mut()) }, 0);
        // signal-hook has this signal already, and does not install its handler again.
        let _registration = register(signal, &arrivals).unwrap();
        assert_eq!(handler(signal).unwrap().sa_flags & libc::SA_ONSTACK, 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it waits in the kernel")]
    fn an_event_before_the_wait_is_not_lost() {
        let arrivals = Arrivals::new();
        let seen = arrivals.seen();
        arrivals.announce();
        arrivals.wait(seen);
    }
}
