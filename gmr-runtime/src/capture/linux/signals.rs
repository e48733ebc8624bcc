//! Signals of this process: who sent one, which a thread of gmr's own lets through, and sending the private one.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};

use super::handler;
use crate::sys::Module;
use crate::sys::linux::{memory, signal_masks};

/// The private signal; 0 until one has been claimed.
static PRIVATE: AtomicI32 = AtomicI32::new(0);

/// Claims a real-time signal for taking stacks, unless one has been claimed and is still ours. `avoid` is the signal that asks for reports.
pub(crate) fn prepare(avoid: Option<i32>) -> io::Result<()> {
    let pid = std::process::id().cast_signed();
    if memory::PID.swap(pid, Ordering::Relaxed) != pid {
        // What was lent to threads of the process that this one was forked from is nobody's here.
        handler::TABLE.iter().for_each(handler::Slot::release);
    }
    if private().is_none_or(|signal| Some(signal) == avoid || !is_ours(signal)) {
        PRIVATE.store(claim(avoid)?, Ordering::Relaxed);
    }
    Ok(())
}

/// The private signal, if one has been claimed.
pub(crate) fn private() -> Option<i32> {
    Some(PRIVATE.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}

/// Blocks every signal for the calling thread and those it will start, but for `open`, the private one, and those that the
/// processor raises.
///
/// A thread of gmr's must not become the one thread that runs the program's handlers, or that dies of a signal which the program has
/// blocked everywhere else to wait for it. It must stay open for the signal that asks for a report, since it may be the only thread that is.
pub(crate) fn shield_thread(open: Option<i32>) {
    signal_masks::block_all_but(open.into_iter().chain(private()));
}

/// A real-time signal that nobody has claimed, with our handler on it, `avoid` excepted.
///
/// They are tried from the top but two: libraries that take one for themselves start from either end.
fn claim(avoid: Option<i32>) -> io::Result<i32> {
    let free = (libc::SIGRTMIN()..=libc::SIGRTMAX() - 2)
        .rev()
        .find(|&signal| {
            Some(signal) != avoid && disposition(signal).is_ok_and(|action| action == libc::SIG_DFL)
        })
        .ok_or_else(|| io::Error::other("every real-time signal is taken"))?;
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let target = action.as_mut_ptr();
    // SAFETY: all-zero is a valid sigaction (no handler, empty mask, no flags); its fields are then set one by one.
    let action = unsafe {
        (*target).sa_sigaction = handler::on_signal as *const () as usize;
        // SA_RESTART: interrupted calls go on. SA_ONSTACK: a thread with an alternate stack, whose own may be small or used up, answers from there.
        (*target).sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // No other handler on top of ours: the shortest visit, and no deeper stack than our own frame.
        (*target).sa_mask = signal_masks::full();
        action.assume_init()
    };
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the handler is async-signal-safe (see its file), `action` is complete, and the old one is written to memory of its size.
    if unsafe { libc::sigaction(free, &raw const action, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, the structure is filled.
    if unsafe { before.assume_init() }.sa_sigaction == libc::SIG_DFL {
        return Ok(free);
    }
    // Somebody was quicker: it is theirs.
    // SAFETY: it is the action that the kernel has just told of.
    unsafe { libc::sigaction(free, before.as_ptr(), null_mut()) };
    Err(io::Error::other("the signal was taken at this very moment"))
}

/// Whether our handler still stands on `signal`: a program may have taken it since.
pub(super) fn is_ours(signal: i32) -> bool {
    disposition(signal).is_ok_and(|action| action == handler::on_signal as *const () as usize)
}

/// `mov x8, #139; svc #0`: what `__kernel_rt_sigreturn` of the vDSO on aarch64 is.
const SIGRETURN: [u8; 8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// The code that a signal handler returns to, which has the kernel take the signal's frame apart: the C library's, as the kernel has been told it, or the kernel's own in the vDSO.
pub(super) fn trampoline(modules: &[Module]) -> Option<u64> {
    // The kernel's own structure: the C library's functions do not all give the last but one away.
    #[repr(C)]
    #[derive(Default)]
    struct Action {
        handler: usize,
        flags: u64,
        restorer: u64,
        mask: u64,
    }
    let mut action = Action::default();
    let size = size_of_val(&action.mask);
    // SAFETY: with a null new action, the call only writes the current one, whose size is that of the kernel's structure with a mask of this size.
    let told =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, private()?, null::<Action>(), &raw mut action, size) };
    if told == 0 && action.restorer != 0 && cfg!(target_arch = "x86_64") {
        return Some(action.restorer);
    }
    let vdso = modules.iter().find(|module| module.path == "[vdso]")?;
    let code =
        memory::read_exact(vdso.range.start, usize::try_from(vdso.range.end - vdso.range.start).ok()?)?;
    let offset = code.windows(SIGRETURN.len()).position(|window| window == SIGRETURN)?;
    Some(vdso.range.start + offset as u64)
}

fn disposition(signal: i32) -> io::Result<usize> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action, sigaction only writes the current one.
    if unsafe { libc::sigaction(signal, null(), current.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, the structure is filled.
    Ok(unsafe { current.assume_init() }.sa_sigaction)
}

/// Sends `signal` with `value` to one thread of this process, whose id and real user are `pid` and `uid`.
pub(super) fn send((pid, uid): (i32, u32), tid: i32, signal: i32, value: usize) -> io::Result<()> {
    // The kernel's siginfo for rt_tgsigqueueinfo; libc's type has no setters for these fields.
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
    let info = QueuedInfo {
        signo: signal,
        errno: 0,
        code: libc::SI_QUEUE,
        _align: 0,
        pid,
        uid,
        value,
        _rest: [0; 96],
    };
    // SAFETY: `info` has the size and the layout that the kernel reads; the signal's handler is ours.
    let result = unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, signal, &raw const info) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
