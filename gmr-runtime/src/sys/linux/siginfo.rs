//! The sender of a signal, and the value that was sent with it, from its siginfo.

#![allow(unsafe_code)]

// How a signal was sent, from `asm-generic/siginfo.h`. Older versions of `libc` lack them.

/// By `kill`.
const SI_USER: i32 = 0;

/// By `sigqueue`.
pub(crate) const SI_QUEUE: i32 = -1;

/// By `tgkill`.
const SI_TKILL: i32 = -6;

/// The process and user that sent a signal with `kill`, `sigqueue` or `tgkill`; `None` where the
/// kernel itself raised it. With `sigqueue`, they are what the sender says of itself: the kernel only
/// checks that it may send the signal.
pub(crate) fn sender(info: &libc::siginfo_t) -> Option<(u32, u32)> {
    if !matches!(info.si_code, SI_USER | SI_QUEUE | SI_TKILL) {
        return None;
    }
    // SAFETY: for these three codes, pid and uid are filled in, by the kernel or by the sender.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    Some((pid.unsigned_abs(), uid))
}

/// The value that a signal was sent with by `sigqueue`. It may be called in a signal handler.
pub(crate) fn queued_value(info: &libc::siginfo_t) -> Option<u64> {
    if info.si_code != SI_QUEUE {
        return None;
    }
    // SAFETY: for this code the kernel has copied the value from the sender, and all of its bits
    // are initialized.
    let value = unsafe { info.si_value() };
    Some(value.sival_ptr.addr() as u64)
}
