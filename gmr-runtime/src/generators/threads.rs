//! Threads: every thread, what the kernel reports about it, and its stack. Nothing here takes a
//! stack itself.

use crate::sys::sort;
use std::cmp::Reverse;
use std::io;

use super::locks;
use crate::capture::Trace;
use crate::model::{Content, Coverage, CutStacks, Role, Stack, Thread, Threads};
use crate::section::output::Output;
use crate::symbols::Symbolized;
use crate::sys::own_threads::OwnThreads;
use crate::sys::sorted_map::SortedMap;
use crate::sys::{self, Modules, own_threads};
use crate::threads::{self, ThreadInfo};
use crate::{capture, symbols};

pub(super) fn generate() -> Output {
    list(threads::list, true)
}

/// The same for a look, without the locks that threads wait for, whose holders take time to find.
pub(super) fn look() -> Output {
    list(threads::look, false)
}

fn list(list: fn(Option<i32>) -> io::Result<threads::List>, with_locks: bool) -> Output {
    // A thread of an earlier report that ends right now is not one of the program's.
    let (threads, own) = own_threads::during(|| list(capture::signal()));
    match threads {
        Ok(threads) => describe(threads, &own, with_locks),
        Err(error) => Content::Error(format!("could not list threads: {error}")).into(),
    }
}

fn describe(listed: threads::List, own: &OwnThreads, with_locks: bool) -> Output {
    let pid = std::process::id();
    let modules = Modules::load();
    let traces = capture::trace_all(&listed, &modules);
    let coverage = coverage(&traces);
    let unread = [unread(&listed), targets_unread(&listed)].into_iter().flatten();
    let Symbolized { stacks, frames, mut notes } = symbols::symbolize(&traces, &modules, symbols::DEADLINE);
    notes.extend(unread);
    if modules.are_unread() {
        notes.push(NO_MODULES.to_owned());
    }
    let known = locks::Known {
        threads: &listed,
        traces: &traces,
        stacks: &stacks,
        frames: &frames,
        modules: &modules,
        is_program: &|info| own.name_of(info.tid, &info.name).is_none() && !info.is_kernels,
    };
    let locks = if with_locks { locks::find(&known) } else { Vec::new() };
    let described = listed.into_iter().zip(stacks).map(|(mut info, stack)| {
        let own_name = own.name_of(info.tid, &info.name);
        let role = role(&info, pid, own_name);
        if let Some(name) = own_name {
            // While one runs a section, the kernel has the program's name for it.
            name.clone_into(&mut info.name);
        }
        thread(role, info, stack)
    });
    let mut threads: Vec<Thread> = described.collect();
    // The keys are cached, so that the threads, which are large, are not moved often.
    let first = threads::first();
    sort::by_key(&mut threads, |thread| (first != Some(thread.tid), rank(thread.role), thread.tid));
    Output { content: Content::Threads(Threads { threads, notes, coverage, locks }), frames }
}

const NO_MODULES: &str = "no module of this process could be read, so stacks end early and frames have no \
                          names: the kernel refuses to show the address map, or to copy memory \
                          (process_vm_readv)";

/// A note about the threads of which the kernel shows hardly anything.
fn unread(listed: &[ThreadInfo]) -> Option<String> {
    let error = io::Error::from_raw_os_error(listed.iter().find_map(|thread| thread.unread)?);
    let count = listed.iter().filter(|thread| thread.unread.is_some()).count();
    Some(format!(
        "{count} of {} threads are shown without names, states and times: their files below /proc could not \
         be read: {error}",
        listed.len()
    ))
}

/// A note about the threads of which the kernel does not show what they wait for.
fn targets_unread(listed: &[ThreadInfo]) -> Option<String> {
    let error = io::Error::from_raw_os_error(listed.iter().find_map(|thread| thread.target_unread)?);
    let count = listed.iter().filter(|thread| thread.target_unread.is_some()).count();
    Some(format!(
        "what {count} of {} threads wait for is not shown in full: what their descriptors refer to could not \
         be determined: {error}",
        listed.len()
    ))
}

/// Counts the frames of these stacks, and how the stacks end.
fn coverage(traces: &[Trace]) -> Coverage {
    let mut whole = 0;
    let mut reasons = SortedMap::<&str, u64>::new();
    for trace in traces {
        match &trace.incomplete {
            Some(reason) => *reasons.entry(reason.as_str()) += 1,
            None => whole += 1,
        }
    }
    let mut cut: Vec<CutStacks> =
        reasons.into_iter().map(|(reason, stacks)| CutStacks { reason: reason.to_owned(), stacks }).collect();
    sort::by_key(&mut cut, |cut| Reverse(cut.stacks));
    Coverage { frames: traces.iter().map(|trace| trace.frames.len() as u64).sum(), whole, cut }
}

fn thread(role: Role, info: ThreadInfo, stack: Stack) -> Thread {
    Thread {
        role,
        tid: info.tid,
        name: info.name,
        state: info.state,
        cpu_user_ms: info.cpu_user_ms,
        cpu_system_ms: info.cpu_system_ms,
        cpu_us: info.cpu_us,
        started_at: info.started_at,
        policy: info.policy,
        last_cpu: info.last_cpu,
        waiting: info.waiting.map(Box::new),
        at_rest_ms: info.at_rest_ms,
        stack,
    }
}

/// `own_name` is the name of a thread of gmr's own. On Linux, the main thread's id is the
/// process's.
fn role(info: &ThreadInfo, pid: u32, own_name: Option<&str>) -> Role {
    let tid = info.tid;
    match own_name {
        _ if tid == pid => Role::Main,
        _ if info.is_kernels => Role::Kernel,
        None => Role::Program,
        // The reporter, which waits for this function, and the thread that runs this function.
        Some(name) if name == own_threads::REPORTER || tid == sys::current_tid() => Role::Reporter,
        Some(_) => Role::Gmr,
    }
}

/// The order in which threads are shown, after the one that the report is about: the main thread
/// first, then the program's and the kernel's. gmr's own come next, because one may be stuck in a
/// section; those that make this report come last.
fn rank(role: Role) -> u8 {
    match role {
        Role::Main => 0,
        Role::Program => 1,
        Role::Kernel => 2,
        Role::Gmr => 3,
        Role::Reporter => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Address;

    #[test]
    fn stacks_are_counted_by_how_they_end() {
        let trace = |frames: usize, reason: Option<&str>| Trace {
            frames: vec![Address::Return(8); frames].into(),
            incomplete: reason.map(str::to_owned),
            ..Trace::default()
        };
        let traces = [trace(3, None), trace(1, Some("a")), trace(0, Some("b")), trace(2, Some("b"))];
        let Coverage { frames, whole, cut } = coverage(&traces);
        assert_eq!((frames, whole), (6, 1));
        let cut: Vec<_> = cut.iter().map(|cut| (cut.reason.as_str(), cut.stacks)).collect();
        assert_eq!(cut, [("b", 2), ("a", 1)]);
    }

    #[test]
    fn threads_that_could_not_be_read_are_counted() {
        let thread = |unread| ThreadInfo { unread, ..ThreadInfo::default() };
        let refused = Some(1);
        let note = unread(&[thread(None), thread(refused), thread(refused)]).unwrap();
        assert!(note.starts_with("2 of 3 threads") && note.contains("(os error 1)"), "{note}");
        assert_eq!(unread(&[thread(None)]), None);
    }

    #[test]
    fn threads_whose_descriptors_could_not_be_read_are_counted() {
        let thread = |target_unread| ThreadInfo { target_unread, ..ThreadInfo::default() };
        let note = targets_unread(&[thread(None), thread(Some(1))]).unwrap();
        assert!(note.contains("1 of 2 threads") && note.contains("(os error 1)"), "{note}");
        assert_eq!(targets_unread(&[thread(None)]), None);
    }
}
