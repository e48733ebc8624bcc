//! Whether a seccomp filter decides about the system calls of this process. What the filter allows
//! can't be asked: a call that it does not allow may end the process.
//!
//! systemd's `@system-service` has every call that a report needs, but not `mincore` and
//! `pidfd_getfd`. Reports are shorter without them, so they are made only where nothing is filtered.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::proc;

/// Whether a filter was found when that was last looked up.
static FILTERED: AtomicBool = AtomicBool::new(false);

/// Looks up whether the system calls of the calling thread, or of the main one, are filtered. If that
/// can't be read, they may be. A filter is never removed.
///
/// A thread can also set a filter for itself and for those that it starts: see `docs/no-harm.md`.
pub(crate) fn look() {
    let is_filtered = |file| proc::read_text(file).map_or(true, |status| mode(&status) != Some(NONE));
    if !may_end_the_process() && ["thread-self/status", "self/status"].into_iter().any(is_filtered) {
        FILTERED.store(true, Ordering::Relaxed);
    }
}

/// Whether a call that few programs make may end the process. One relaxed load: it may be called in a
/// signal handler.
pub(crate) fn may_end_the_process() -> bool {
    FILTERED.load(Ordering::Relaxed)
}

/// `SECCOMP_MODE_DISABLED`.
const NONE: u32 = 0;

/// The mode in the text of a `status` file. A kernel without seccomp has no such line.
fn mode(status: &str) -> Option<u32> {
    match status.lines().find_map(|line| line.strip_prefix("Seccomp:")) {
        Some(mode) => mode.trim().parse().ok(),
        None => Some(NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_a_line_of_the_status() {
        assert_eq!(mode("NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"), Some(2));
        assert_eq!(mode("NoNewPrivs:\t0\nSeccomp:\t0\n"), Some(NONE));
        assert_eq!(mode("NoNewPrivs:\t0\n"), Some(NONE), "a kernel without seccomp");
        assert_eq!(mode("Seccomp:\tx\n"), None);
    }
}
