//! The ids of this process's threads in the PID namespace of `/proc`.
//!
//! A program that was started in a PID namespace of its own can still have the `/proc` of another
//! one, as `unshare --pid --fork` leaves it. There, processes and threads have other ids than the
//! system calls use. In the other namespace, an id names another thread or none: only translated
//! ids are compared.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::sorted_map::SortedMap;
use super::{proc, sort};

/// How many PID namespaces this process's is below that of `/proc`, as of the last look.
static DEPTH: AtomicUsize = AtomicUsize::new(UNKNOWN);
const UNKNOWN: usize = usize::MAX;

/// The ids in `/proc`, by those that the program knows. Empty unless `/proc` is foreign. Locked for
/// moments, by gmr's own threads.
static OUTER: Mutex<SortedMap<u32, u32>> = Mutex::new(SortedMap::new());

/// An id that no thread has, and no directory below `/proc/self/task` either.
const NO_THREAD: u32 = 0;

/// How many PID namespaces this process's is below that of `/proc`; 0 where it is the same one.
pub(crate) fn depth() -> usize {
    let depth = ids_of("thread-self").map_or(0, |ids| ids.len().saturating_sub(1));
    DEPTH.store(depth, Ordering::Relaxed);
    depth
}

/// The ids of a process or a thread in each PID namespace, from that of `/proc` to its own, by its
/// directory.
///
/// # Errors
/// If there is no such directory.
pub(crate) fn ids_of(directory: &str) -> io::Result<Vec<u32>> {
    let status = proc::read_text(&format!("{directory}/status"))?;
    Ok(status.lines().find_map(|line| line.strip_prefix("NSpid:")).map(parse).unwrap_or_default())
}

fn parse(ids: &str) -> Vec<u32> {
    ids.split_ascii_whitespace().map_while(|id| id.parse().ok()).collect()
}

/// The threads of this process with the inodes of their directories, in ascending order.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn list() -> io::Result<Vec<(u32, u64)>> {
    let listed = proc::ids_and_inodes("self/task")?;
    if depth() == 0 {
        return Ok(listed);
    }
    let mut inner: Vec<(u32, u64, u32)> = listed
        .into_iter()
        .filter_map(|(outer, inode)| {
            let ids = ids_of(&format!("self/task/{outer}")).ok()?;
            Some((*ids.last()?, inode, outer))
        })
        .collect();
    sort::all(&mut inner);
    *OUTER.lock().unwrap_or_else(PoisonError::into_inner) =
        inner.iter().map(|&(tid, _, outer)| (tid, outer)).collect();
    Ok(inner.into_iter().map(|(tid, inode, _)| (tid, inode)).collect())
}

/// The id of a thread in `/proc`; one that no thread has, if it is not known.
pub(crate) fn outer(tid: u32) -> u32 {
    let known = Some(DEPTH.load(Ordering::Relaxed)).filter(|depth| *depth != UNKNOWN);
    if known.unwrap_or_else(depth) == 0 {
        return tid;
    }
    let find = || OUTER.lock().unwrap_or_else(PoisonError::into_inner).get(&tid).copied();
    // The thread may have been started after the last look.
    find().or_else(|| list().ok().and_then(|_| find())).unwrap_or(NO_THREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_same_namespace_ids_are_what_they_are() {
        assert_eq!(depth(), 0);
        assert_eq!(outer(71), 71);
        assert_eq!(parse("\t71\t7\t1"), [71, 7, 1]);
        let own = super::super::current_tid();
        assert!(list().unwrap().iter().any(|&(tid, _)| tid == own));
    }
}
