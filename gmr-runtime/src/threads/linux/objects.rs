//! Looks up the objects that threads wait for, for all threads together, once they are listed.

use crate::sys::sort;

use super::descriptors;
use crate::model::{Children, Waiting};
use crate::sys::procfs::Stat;
use crate::sys::sorted_map::SortedMap;
use crate::sys::thread_ids;
use crate::threads::ThreadInfo;

/// Completes what each thread waits for.
pub(super) fn describe(threads: &mut [ThreadInfo]) {
    compare(threads);
    let descriptors = threads.iter().flat_map(|thread| {
        let descriptors = thread.waiting.iter().flat_map(descriptors_of);
        descriptors.map(|descriptor| (thread.tid, descriptor))
    });
    let targets = descriptors::targets(descriptors.collect());
    for thread in threads {
        let tid = thread.tid;
        let unread = &mut thread.target_unread;
        let mut target = |descriptor: i32| {
            let target = targets.get(&(tid, descriptor))?;
            *unread = unread.or(target.unread);
            target.shown.clone()
        };
        let Some(waiting) = &mut thread.waiting else { continue };
        waiting.target = waiting.descriptor.and_then(&mut target);
        for watched in &mut waiting.descriptors {
            watched.target = target(watched.descriptor);
        }
        name_child(tid, waiting);
    }
}

/// Completes as much of it as the list itself tells.
pub(super) fn compare(threads: &mut [ThreadInfo]) {
    count_others(threads);
    name_owners(threads);
    check_joins(threads);
}

fn waiting(threads: &[ThreadInfo]) -> impl Iterator<Item = &Waiting> {
    threads.iter().filter_map(|thread| thread.waiting.as_ref())
}

fn descriptors_of(waiting: &Waiting) -> impl Iterator<Item = i32> {
    let watched = waiting.descriptors.iter().map(|watched| watched.descriptor);
    waiting.descriptor.into_iter().chain(watched)
}

fn futexes_of(waiting: &Waiting) -> impl Iterator<Item = u64> {
    waiting.futex.into_iter().chain(waiting.futexes.iter().copied())
}

/// Sets, for each thread that waits on futexes, how many others wait on the same ones.
fn count_others(threads: &mut [ThreadInfo]) {
    let mut waiters: Vec<(u64, u32)> = Vec::with_capacity(threads.len());
    for thread in &*threads {
        waiters.extend(thread.waiting.iter().flat_map(futexes_of).map(|futex| (futex, thread.tid)));
    }
    sort::all(&mut waiters);
    waiters.dedup();
    let waiters_of = |futex: u64| {
        let start = waiters.partition_point(|&(other, _)| other < futex);
        let end = waiters.partition_point(|&(other, _)| other <= futex);
        &waiters[start..end]
    };
    for waiting in threads.iter_mut().filter_map(|thread| thread.waiting.as_mut()) {
        let count = match &waiting.futexes[..] {
            [] => waiting.futex.map_or(0, |futex| waiters_of(futex).len()),
            // A thread that waits on two of them is one other thread.
            futexes => {
                let waiters = futexes.iter().flat_map(|futex| waiters_of(*futex));
                let mut waiters: Vec<u32> = waiters.map(|(_, tid)| *tid).collect();
                sort::all(&mut waiters);
                waiters.dedup();
                waiters.len()
            }
        };
        waiting.futex_others = count.saturating_sub(1);
    }
}

/// Names the threads that hold locks.
fn name_owners(threads: &mut [ThreadInfo]) {
    let owner = |waiting: &Waiting| Some(waiting.futex_owner.as_ref()?.tid);
    let mut owners: Vec<u32> = waiting(threads).filter_map(owner).collect();
    if owners.is_empty() {
        return;
    }
    sort::all(&mut owners);
    let owners = threads.iter().filter(|thread| owners.binary_search(&thread.tid).is_ok());
    let names: SortedMap<u32, String> = owners.map(|thread| (thread.tid, thread.name.clone())).collect();
    for thread in threads {
        let Some(waiting) = &mut thread.waiting else { continue };
        // The lock was handed to the thread after it was seen waiting, and it has not run yet.
        waiting.futex_owner.take_if(|owner| owner.tid == thread.tid);
        if let Some(owner) = &mut waiting.futex_owner {
            owner.name = names.get(&owner.tid).cloned();
        }
    }
}

/// Leaves out threads that have ended meanwhile.
fn check_joins(threads: &mut [ThreadInfo]) {
    for index in 0..threads.len() {
        // They are in order of their ids.
        let is_listed = |tid: u32| {
            tid != threads[index].tid && threads.binary_search_by_key(&tid, |thread| thread.tid).is_ok()
        };
        let joins = threads[index].waiting.as_ref().and_then(|waiting| waiting.joins);
        if joins.is_some_and(|tid| !is_listed(tid))
            && let Some(waiting) = &mut threads[index].waiting
        {
            waiting.joins = None;
        }
    }
}

/// Names the child that a thread waits for.
fn name_child(tid: u32, waiting: &mut Waiting) {
    if waiting.call == "wait"
        && let Some(descriptor) = waiting.descriptor
    {
        let pid = descriptors::process(tid, descriptor);
        waiting.children = pid.map(|pid| Children::One { pid, name: None });
    }
    if let Some(Children::One { pid, name }) = &mut waiting.children {
        // In the `/proc` of another namespace, that id is another process's.
        let stat = Stat::read(&pid.to_string()).ok().filter(|_| thread_ids::depth() == 0);
        // A process with this id that is not a child has nothing to do with the wait.
        let child = stat.filter(|stat| stat.parent_pid == std::process::id());
        *name = child.map(|stat| stat.name);
    }
}
