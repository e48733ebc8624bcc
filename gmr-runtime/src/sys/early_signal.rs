//! A handler for the report signal until gmr is installed: it notes the request, so that the signal
//! does not end the process between its start and `main`.
//!
//! It is set before `main`, and only where the signal has its default action: a handler of a
//! library, and a signal that the parent has had ignored, are left alone. It is set only if it is
//! part of the program itself: a library may be unloaded, and its handler with it. When gmr is
//! installed, signal-hook's handler takes its place and calls it as the earlier one.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::disposition;

/// The signal whose handler was set; 0 if there is none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Whether what arrives is passed on.
static IS_HANDED_OVER: AtomicBool = AtomicBool::new(false);
/// What it is passed on to: how many signals, the process and the user that sent the last one, and
/// whether a handler passes it on. Set once.
static RECORD: OnceLock<Record> = OnceLock::new();
/// Whether somebody else records the signals, or nobody does any more.
static IS_STOPPED: AtomicBool = AtomicBool::new(false);
/// How many signals have arrived and have not been passed on, in the process with this id, and the
/// sender of the last one: its id plus one in the upper half and its user in the lower one; 0 if it
/// is not known. The sum does not overflow: ids have 22 bits. That of a process in another PID
/// namespace is 0.
static COUNT: AtomicU32 = AtomicU32::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static SENDER: AtomicU64 = AtomicU64::new(0);
/// How many were passed on before a reporter had started.
static PASSED_ON: AtomicU64 = AtomicU64::new(0);

/// Called in the handler, too.
type Record = Box<dyn Fn(u64, Option<(u32, u32)>, bool) + Send + Sync>;

/// The operator's signal, without any allocation: the program's allocator may not be ready before
/// `main`.
pub(crate) fn chosen() -> Option<&'static str> {
    // SAFETY: the name is a C string. The C library sets the environment up before it runs any
    // initializer. The value stays where it is unless the program changes the variable, and the
    // caller is an initializer, which uses it at once.
    let value = unsafe {
        let value = libc::getenv(c"GMR_SIGNAL".as_ptr());
        if value.is_null() {
            return None;
        }
        CStr::from_ptr(value)
    };
    value.to_str().ok().filter(|value| !value.trim().is_empty())
}

/// Notes signals from now on, if the action of `signal` is the default one. False if the signal
/// cannot be handled.
///
/// It neither allocates nor starts anything, and does not change the signal mask. The first signal
/// counts.
pub(crate) fn arm(signal: i32) -> bool {
    match disposition::handler(signal) {
        None => false,
        Some(libc::SIG_DFL) if SIGNAL.load(Ordering::Relaxed) == 0 && is_in_program(address()) => {
            SIGNAL.store(signal, Ordering::Relaxed);
            let flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
            // SAFETY: the handler is part of the program, takes the three arguments that
            // `SA_SIGINFO` gives it, and is async-signal-safe: it changes atomics and makes one
            // system call, which does not fail.
            let is_set = unsafe { disposition::set(signal, address(), flags) };
            if !is_set {
                SIGNAL.store(0, Ordering::Relaxed);
            }
            is_set
        }
        Some(_) => true,
    }
}

fn address() -> libc::sighandler_t {
    note as *const () as usize
}

/// Whether this address is in the executable, and not in a library.
fn is_in_program(address: usize) -> bool {
    /// The first object is the program.
    #[allow(clippy::cast_possible_truncation, reason = "addresses and sizes of this process")]
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        search: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the C library passes an object with its program headers, and what was passed to
        // it below.
        unsafe {
            let (address, is_found) = &mut *search.cast::<(usize, bool)>();
            let base = (*info).dlpi_addr as usize;
            let headers = std::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into());
            *is_found = headers.iter().any(|header| {
                let start = base.wrapping_add(header.p_vaddr as usize);
                header.p_type == libc::PT_LOAD && address.wrapping_sub(start) < header.p_memsz as usize
            });
        }
        1
    }
    let mut search = (address, false);
    // SAFETY: the function takes what is passed to it, and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.1
}

/// The handler. It copies and counts, and passes on what has been counted once that is known to go
/// anywhere: each signal is passed on once, by whoever takes the count.
extern "C" fn note(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel, or the handler that calls this one, passes a valid siginfo.
    let info = unsafe { &*info };
    // signal-hook's action, which runs next, records a request of `gmr report`. It is sent to no
    // process that has not installed gmr.
    if IS_HANDED_OVER.load(Ordering::SeqCst) && super::attach::of_signal(info).is_some() {
        return;
    }
    let sender = super::sender(info);
    let sender = sender.map_or(0, |(pid, uid)| (u64::from(pid.wrapping_add(1)) << 32) | u64::from(uid));
    let pid = std::process::id();
    if PROCESS.swap(pid, Ordering::SeqCst) != pid {
        // In a forked child, they are the parent's.
        COUNT.store(0, Ordering::SeqCst);
    }
    SENDER.store(sender, Ordering::SeqCst);
    COUNT.fetch_add(1, Ordering::SeqCst);
    if IS_HANDED_OVER.load(Ordering::SeqCst) {
        pass_on(true);
    }
}

/// Passes on what has been counted. Returns how many signals that are.
fn pass_on(in_handler: bool) -> u64 {
    let count = u64::from(COUNT.swap(0, Ordering::SeqCst));
    if count == 0 || PROCESS.load(Ordering::SeqCst) != std::process::id() {
        return 0;
    }
    let sender = SENDER.load(Ordering::SeqCst);
    // The halves of the number.
    #[allow(clippy::cast_possible_truncation)]
    let (pid, uid) = ((sender >> 32) as u32, sender as u32);
    if let Some(record) = RECORD.get().filter(|_| !IS_STOPPED.load(Ordering::SeqCst)) {
        record(count, pid.checked_sub(1).map(|pid| (pid, uid)), in_handler);
    }
    count
}

/// Whether this is the handler's address.
pub(crate) fn is_handler(handler: libc::sighandler_t) -> bool {
    handler == address()
}

/// Whether this handler is to record `signal` in place of an action of signal-hook's, whose handler
/// calls this one first.
pub(crate) fn records(signal: i32) -> bool {
    SIGNAL.load(Ordering::Relaxed) == signal
        && !IS_HANDED_OVER.load(Ordering::Relaxed)
        && disposition::handler(signal).is_some_and(is_handler)
}

/// Calls `record` from now on, and for what has arrived before. It must be async-signal-safe. With
/// `goes_on`, this handler goes on recording, and otherwise somebody else does.
pub(crate) fn hand_over(signal: i32, record: Record, goes_on: bool) {
    if SIGNAL.load(Ordering::Relaxed) != signal || IS_HANDED_OVER.load(Ordering::Relaxed) {
        return;
    }
    let _ = RECORD.set(record);
    IS_HANDED_OVER.store(true, Ordering::SeqCst);
    PASSED_ON.fetch_add(pass_on(false), Ordering::Relaxed);
    if !goes_on {
        stop();
    }
}

/// Nothing is recorded any more.
pub(crate) fn stop() {
    IS_STOPPED.store(true, Ordering::SeqCst);
}

/// A reporter has started: what was passed on gets its report.
pub(crate) fn reporter_has_started() {
    PASSED_ON.store(0, Ordering::Relaxed);
}

/// Gives the signal its default action back, if this handler is still its action: gmr is installed
/// with another signal, or not at all. Returns how many signals have arrived that get no report.
pub(crate) fn disarm() -> u64 {
    let signal = SIGNAL.load(Ordering::Relaxed);
    if signal != 0 && disposition::handler(signal).is_some_and(is_handler) {
        // SAFETY: it is the default action.
        unsafe { disposition::set(signal, libc::SIG_DFL, 0) };
        IS_HANDED_OVER.store(true, Ordering::SeqCst);
        stop();
        PASSED_ON.fetch_add(pass_on(false), Ordering::Relaxed);
    }
    PASSED_ON.swap(0, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handler and its state exist once in a process, so one test does everything.
    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn a_signal_is_noted_and_passed_on_once() {
        static RECORDED: AtomicU64 = AtomicU64::new(0);
        let signal = libc::SIGRTMIN() + 5;
        assert!(!arm(libc::SIGKILL) && !arm(0) && !arm(1000), "they cannot be handled");
        // SAFETY: these are constants, here and below.
        assert!(unsafe { disposition::set(signal, libc::SIG_IGN, 0) });
        assert!(arm(signal));
        assert_eq!(disposition::handler(signal), Some(libc::SIG_IGN), "it is ignored on purpose");
        // SAFETY: as above.
        assert!(unsafe { disposition::set(signal, libc::SIG_DFL, 0) });
        assert!(arm(signal) && arm(libc::SIGUSR2));
        assert!(disposition::handler(signal).is_some_and(is_handler));
        assert_ne!(disposition::handler(libc::SIGUSR2), disposition::handler(signal), "one signal");
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        let record = || -> Record {
            Box::new(|count, sender, _| {
                assert_eq!(sender.map(|(pid, _)| pid), Some(std::process::id()));
                RECORDED.fetch_add(count, Ordering::Relaxed);
            })
        };
        hand_over(libc::SIGUSR2, record(), true);
        assert_eq!(RECORDED.load(Ordering::Relaxed), 0, "another signal");
        assert!(records(signal) && !records(libc::SIGUSR2));
        hand_over(signal, record(), true);
        assert!(!records(signal), "once");
        assert_eq!(RECORDED.load(Ordering::Relaxed), 1);
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        assert_eq!(RECORDED.load(Ordering::Relaxed), 2);
        stop();
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        assert_eq!(RECORDED.load(Ordering::Relaxed), 2);
        // One was passed on, and no reporter has started.
        assert_eq!((disarm(), disposition::handler(signal)), (1, Some(libc::SIG_DFL)));
        assert_eq!(disarm(), 0);
        let of_library = libc::getenv as *const () as usize;
        assert!(is_in_program(address()) && (!is_in_program(of_library) || cfg!(target_env = "musl")));
    }
}
