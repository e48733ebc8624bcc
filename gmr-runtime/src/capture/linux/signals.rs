//! The capture signal: claims one, installs its handler, and sends it. Also the signal mask of
//! gmr's own threads.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::handler;
use crate::sys::linux::siginfo::SI_QUEUE;
use crate::sys::linux::{copy, sandbox, signal_masks};
use crate::sys::timed_mutex::TimedMutex;
use crate::sys::{disposition, proc};

/// The capture signal; 0 until one has been claimed.
static CAPTURE_SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Held while the capture is prepared, on gmr's threads or on the one that installs gmr. If two
/// threads prepared it at the same time, one could free slots that the other has lent already.
static PREPARING: TimedMutex = TimedMutex::new();
/// How long to wait for another thread that prepares the capture, which takes microseconds.
const PREPARED_WITHIN: Duration = Duration::from_secs(1);

/// Claims a real-time signal for capturing stacks, unless one is claimed and still ours. `avoid` is
/// the signal that requests reports.
pub(crate) fn prepare(avoid: Option<i32>) -> io::Result<()> {
    prepare_within(PREPARED_WITHIN, avoid)
}

fn prepare_within(timeout: Duration, avoid: Option<i32>) -> io::Result<()> {
    let _guard = PREPARING
        .lock_until(Instant::now() + timeout)
        .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "another thread is choosing it"))?;
    proc::keep();
    sandbox::look();
    let pid = std::process::id().cast_signed();
    if copy::PID.swap(pid, Ordering::Relaxed) != pid {
        // After a fork, the threads that slots were lent to do not exist in this process.
        handler::TABLE.iter().for_each(handler::Slot::release);
        handler::CRASH.release();
    }
    if capture_signal().is_none_or(|signal| Some(signal) == avoid || !is_ours(signal)) {
        CAPTURE_SIGNAL.store(claim(avoid)?, Ordering::Relaxed);
    }
    Ok(())
}

/// The capture signal, if one has been claimed.
pub(crate) fn capture_signal() -> Option<i32> {
    Some(CAPTURE_SIGNAL.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}

/// Blocks every signal but `open`, the capture signal and faults, for the calling thread and the
/// threads it will start.
///
/// gmr's threads must not be the ones that run the program's handlers, nor receive a signal that
/// the program has blocked in all other threads in order to wait for it. They must not block the
/// signal that requests reports: every other thread may.
pub(crate) fn shield_thread(open: Option<i32>) {
    // A thread that writes to a broken pipe gets a SIGPIPE. If that is the report signal, each
    // report to a broken pipe would request the next one.
    let open = open.filter(|signal| *signal != libc::SIGPIPE);
    signal_masks::block_all_but(open.into_iter().chain(capture_signal()));
}

/// Installs our handler on a real-time signal that has none, and returns the signal. Skips `avoid`.
///
/// The search starts two below the highest one: libraries that need a signal of their own tend to
/// take the first or the last.
fn claim(avoid: Option<i32>) -> io::Result<i32> {
    // A sandbox that refuses the call refuses it for each signal.
    disposition::current(libc::SIGRTMAX())?;
    let free = (libc::SIGRTMIN()..=libc::SIGRTMAX() - 2)
        .rev()
        .find(|&signal| Some(signal) != avoid && disposition::handler(signal) == Some(libc::SIG_DFL))
        .ok_or_else(|| io::Error::other("all real-time signals are in use"))?;
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let target = action.as_mut_ptr();
    // SAFETY: all-zero is a valid sigaction (no handler, empty mask, no flags), so it is
    // initialised. The pointer is valid for writes of its fields.
    let action = unsafe {
        (*target).sa_sigaction = handler::on_signal as *const () as usize;
        // SA_RESTART: interrupted system calls continue. SA_ONSTACK: a thread with an alternate
        // stack runs the handler on it, since its own stack may be small or used up.
        (*target).sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // No other handler interrupts ours: it ends as soon as possible and needs one signal frame.
        (*target).sa_mask = signal_masks::full();
        action.assume_init()
    };
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the handler is async-signal-safe (see `handler.rs`) and takes the arguments of an
    // SA_SIGINFO handler, `action` is initialised, and `before` is valid for writes of a sigaction.
    if unsafe { libc::sigaction(free, &raw const action, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the kernel has filled in the structure.
    if unsafe { before.assume_init() }.sa_sigaction == libc::SIG_DFL {
        return Ok(free);
    }
    // Another handler was installed after `disposition` was read. Put it back.
    // SAFETY: `before` is initialised: it is the action that the kernel has just returned.
    unsafe { libc::sigaction(free, before.as_ptr(), null_mut()) };
    Err(io::Error::other("another handler was installed at the same time"))
}

/// Whether our handler is still installed on `signal`: the program may have replaced it since.
pub(super) fn is_ours(signal: i32) -> bool {
    disposition::handler(signal) == Some(handler::on_signal as *const () as usize)
}

/// Sends `signal` with `value` to one thread of this process, whose id and real user are `pid` and
/// `uid`.
pub(super) fn send((pid, uid): (i32, u32), tid: i32, signal: i32, value: usize) -> io::Result<()> {
    // The kernel's siginfo for rt_tgsigqueueinfo. libc's type has no setters for these fields.
    #[repr(C)]
    struct QueuedInfo {
        signo: i32,
        errno: i32,
        code: i32,
        _align: i32,
        pid: i32,
        uid: u32,
        value: usize,
        _rest: [u8; 96],
    }
    const { assert!(size_of::<QueuedInfo>() == size_of::<libc::siginfo_t>()) };
    let info =
        QueuedInfo { signo: signal, errno: 0, code: SI_QUEUE, _align: 0, pid, uid, value, _rest: [0; 96] };
    // SAFETY: `info` has the size and the layout that the kernel reads. Sending a signal touches no
    // memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, signal, &raw const info) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn the_capture_is_prepared_by_one_thread_at_a_time() {
        let guard = PREPARING.lock_until(Instant::now() + Duration::from_mins(1)).unwrap();
        let prepared = prepare_within(Duration::from_millis(1), None);
        assert_eq!(prepared.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(guard);
        prepare(None).unwrap();
        assert!(capture_signal().is_some_and(is_ours));
    }
}
