//! Whether seccomp filters decide about the system calls of this process. What a filter allows
//! can't be asked: a call that it does not allow may end the process.
//!
//! systemd's `@system-service` has every call that a report needs, but not `mincore` and
//! `pidfd_getfd`. Reports are shorter without them, and slower without those of `sock_diag`, so
//! they are made only where nothing is filtered.
//!
//! Filters belong to a thread, which passes them on to the threads that it starts. If a program
//! sets one for itself after gmr was installed, gmr's threads do not have it. What they do then
//! tells nothing about what the program's threads may do: no code of gmr's runs in these.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::procfs::{Directory, Status};
use super::super::seccomp::Seccomp;
use super::super::{own_threads, proc, thread_ids};

/// Whether a filter was found when that was last looked up.
static FILTERED: AtomicBool = AtomicBool::new(false);

/// How many filters the thread had that looked last.
static OWN: AtomicU64 = AtomicU64::new(0);

/// Looks up whether the system calls of the calling thread, or of the main one, are filtered. If
/// that can't be read, they may be. A filter is never removed.
pub(crate) fn look() {
    let filters = |file| proc::read_text(file).ok().and_then(|status| Seccomp::parse(&status));
    let (own, main) = (filters("thread-self/status"), filters("self/status"));
    OWN.store(own.map_or(0, Seccomp::filters), Ordering::Relaxed);
    if [own, main].iter().any(|one| one.is_none_or(Seccomp::restricts)) {
        FILTERED.store(true, Ordering::Relaxed);
    }
}

/// Whether a call that few programs make may end the process. One relaxed load: it may be called in
/// a signal handler.
pub(crate) fn may_end_the_process() -> bool {
    FILTERED.load(Ordering::Relaxed)
}

/// Whether a thread with this status has filters that the last thread that [looked](look) does not
/// have. If its status does not say, it may.
pub(crate) fn has_others(status: &Status) -> bool {
    status.seccomp.is_none_or(|seccomp| seccomp.has_others(OWN.load(Ordering::Relaxed)))
}

/// The same for the text of a status, in a signal handler.
pub(crate) fn has_others_by(status: &str) -> bool {
    Seccomp::parse(status).is_none_or(|seccomp| seccomp.has_others(OWN.load(Ordering::Relaxed)))
}

/// Whether a thread of the program has such filters.
pub(crate) fn program_has_filters_of_its_own() -> bool {
    look();
    let (threads, own) = own_threads::during(thread_ids::list);
    let (Ok(threads), Ok(mut directory)) = (threads, Directory::open("self/task")) else { return true };
    threads.into_iter().any(|(tid, _)| {
        // Without its status, the thread has ended.
        let status = Status::of_thread(&mut directory, tid);
        status.is_ok_and(|status| has_others(&status)) && own.name_of(tid, "").is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn this_process_has_none() {
        assert!(!program_has_filters_of_its_own());
    }
}
