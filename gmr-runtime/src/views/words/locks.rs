//! The wording of locks, of those that wait for them and of those that hold them.

use crate::model::{Certainty, Lock, LockKind};

/// `the Mutex 0x7f01`
pub(in crate::views) fn lock(lock: &Lock) -> String {
    format!("the {} {:#x}", lock.kind.name(), lock.address)
}

/// What so many threads do to a lock for which others wait.
pub(in crate::views) fn holds(kind: LockKind, certainty: Certainty, threads: usize) -> &'static str {
    match (kind, certainty, threads) {
        (LockKind::Once, Certainty::Certain, 1) => "initializes",
        (LockKind::Once, Certainty::Certain, _) => "initialize",
        (LockKind::Once, ..) => "may initialize",
        (_, Certainty::Certain, 1) => "holds",
        (_, Certainty::Certain, _) => "hold",
        _ => "may hold",
    }
}
