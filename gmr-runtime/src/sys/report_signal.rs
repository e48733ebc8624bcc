//! An action of gmr's in signal-hook's handler of the report signal. What it records is in
//! [`Arrivals`].
//!
//! It has no descriptor: a program that closes every descriptor can neither take it away nor have a
//! byte written into a file of its own. signal-hook owns the handler, calls the program's earlier
//! one, and restores `errno`.

#![allow(unsafe_code)]

mod arrivals;

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use signal_hook_registry::SigId;

use super::{attach, disposition, early_signal};

pub(crate) use arrivals::{AllSignals, Arrivals, Signals};

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
        if arrivals.take_pending() {
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
    let is_new = now.sa_sigaction != before;
    if is_new {
        SIGNAL_HOOKS.store(now.sa_sigaction, Ordering::Relaxed);
    }
    let is_signal_hooks = is_new || now.sa_sigaction == SIGNAL_HOOKS.load(Ordering::Relaxed);
    if !is_signal_hooks || now.sa_flags & libc::SA_ONSTACK != 0 {
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
    longest_frame() + NEEDED
}

/// How long a signal frame can be.
fn longest_frame() -> usize {
    /// The key under which the kernel says how long a frame can be (`uapi/linux/auxvec.h`). With
    /// large registers, it is several KiB.
    const AT_MINSIGSTKSZ: libc::c_ulong = 51;
    // SAFETY: it reads a value that the kernel gave the process at its start; 0 if there is none.
    let frame = unsafe { libc::getauxval(AT_MINSIGSTKSZ) };
    usize::try_from(frame).unwrap_or(0).max(libc::MINSIGSTKSZ)
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
    stack.ss_flags & libc::SS_DISABLE != 0 || stack.ss_size >= stack_for_handler() - unused_in_frame()
}

/// How much of the longest frame is for the tiles of AMX, if the process may not use them. std's
/// alternate stacks are as long as that frame, so that they have space for this handler only if there
/// are none in it.
fn unused_in_frame() -> usize {
    /// The options of `arch_prctl` and the bit (`arch/x86/xstate.rst` of the kernel's documentation).
    const ARCH_GET_XCOMP_SUPP: libc::c_int = 0x1021;
    const ARCH_GET_XCOMP_PERM: libc::c_int = 0x1022;
    const XTILE_DATA: u64 = 1 << 18;
    const TILES: usize = 8 << 10;
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || longest_frame() < TILES {
        return 0;
    }
    let has_tiles = |option| {
        let mut features = 0_u64;
        // SAFETY: the kernel writes 64 bits there, or refuses the option.
        let done = unsafe { arch_prctl(option, &raw mut features) };
        (done == 0).then_some(features & XTILE_DATA != 0)
    };
    let is_unused =
        has_tiles(ARCH_GET_XCOMP_SUPP) == Some(true) && has_tiles(ARCH_GET_XCOMP_PERM) == Some(false);
    if is_unused { TILES } else { 0 }
}

/// # Safety
/// The option is one that writes 64 bits.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn arch_prctl(option: libc::c_int, features: *mut u64) -> libc::c_long {
    // SAFETY: as the caller says.
    unsafe { libc::syscall(libc::SYS_arch_prctl, option, features) }
}

/// # Safety
/// None is needed: there is no such call.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
unsafe fn arch_prctl(_option: libc::c_int, _features: *mut u64) -> libc::c_long {
    -1
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

#[cfg(test)]
mod tests;
