//! The sender of a signal, from its siginfo.

#![allow(unsafe_code)]

/// The process and user that sent a signal with `kill`, `sigqueue` or `tgkill`; `None` where the
/// kernel itself raised it.
pub(crate) fn sender(info: &libc::siginfo_t) -> Option<(u32, u32)> {
    if !matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL) {
        return None;
    }
    // SAFETY: for these three codes the kernel fills in pid and uid.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    Some((pid.unsigned_abs(), uid))
}
