//! The data that rules read, and helpers to word what they find.

use super::past::Counts;
use super::second_look::{PeerProcess, SecondLook};
use crate::model::{
    Certainty, Content, Descriptors, Evidence, Finding, Frame, Lock, Resources, Role, Section, Severity,
    Taken, Task, Thread, Waiting,
};

/// How many facts of the same kind a finding has as evidence.
pub(super) const MAX_EVIDENCE: usize = 5;

/// The data that rules read.
pub(super) struct Facts<'a> {
    pub(super) sections: &'a [Section],
    pub(super) frames: &'a [Frame],
    pub(super) second: &'a SecondLook,
    /// The processes that have the other ends of connections.
    pub(super) peers: &'a [PeerProcess],
    /// The counts of earlier reports, and of this one.
    pub(super) past: &'a [Counts],
}

impl<'a> Facts<'a> {
    /// The program's threads, without gmr's.
    pub(super) fn threads(&self) -> impl Iterator<Item = &'a Thread> {
        let threads = self.sections.iter().filter_map(|section| match &section.content {
            Content::Threads(threads) => Some(&threads.threads),
            _ => None,
        });
        threads.flatten().filter(|thread| thread.role.is_program())
    }

    /// The process that has the other end of the connection that a thread waits for, if it is known.
    pub(super) fn peer_of(&self, waiting: &Waiting) -> Option<&'a PeerProcess> {
        let connection = connection(waiting)?;
        self.peers.iter().find(|peer| peer.connection == connection)
    }

    /// Those that were running, or ready to run, and that had not blocked until their stacks were
    /// taken. The signal that requests a report makes a thread run for a moment.
    pub(super) fn running(&self) -> impl Iterator<Item = &'a Thread> {
        let has_blocked = |thread: &Thread| thread.stack.taken == Some(Taken::AtRest);
        self.threads()
            .filter(move |thread| thread.state.as_deref() == Some("running") && !has_blocked(thread))
    }

    pub(super) fn thread(&self, tid: u32) -> Option<&'a Thread> {
        self.threads().find(|thread| thread.tid == tid)
    }

    /// The locks that threads wait for.
    pub(super) fn locks(&self) -> impl Iterator<Item = &'a Lock> + use<'a> {
        let locks = self.sections.iter().filter_map(|section| match &section.content {
            Content::Threads(threads) => Some(&threads.locks),
            _ => None,
        });
        locks.flatten()
    }

    /// How many threads of gmr's were there when the threads were listed.
    pub(super) fn own_threads(&self) -> usize {
        let threads = self.sections.iter().filter_map(|section| match &section.content {
            Content::Threads(threads) => Some(&threads.threads),
            _ => None,
        });
        threads.flatten().filter(|thread| matches!(thread.role, Role::Reporter | Role::Gmr)).count()
    }

    pub(super) fn resources(&self) -> Option<&'a Resources> {
        self.sections.iter().find_map(|section| match &section.content {
            Content::Resources(resources) => Some(&**resources),
            _ => None,
        })
    }

    /// The real user of this process.
    pub(super) fn user_id(&self) -> Option<u32> {
        let mut processes = self.sections.iter().filter_map(|section| match &section.content {
            Content::Processes(processes) => processes.processes.iter().find(|process| process.depth == 0),
            _ => None,
        });
        Some(processes.next()?.uids?.real)
    }

    pub(super) fn descriptors(&self) -> Option<&'a Descriptors> {
        self.sections.iter().find_map(|section| match &section.content {
            Content::Descriptors(descriptors) => Some(&**descriptors),
            _ => None,
        })
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &'a Task> {
        let tasks = self.sections.iter().filter_map(|section| match &section.content {
            Content::GreenThreads(section) => Some(&section.tasks),
            _ => None,
        });
        tasks.flatten()
    }
}

/// The connection that a call waits for, as the Threads section describes it. `None` if it may wait
/// for several descriptors, or for something else.
pub(super) fn connection(waiting: &Waiting) -> Option<&str> {
    let target = match &waiting.descriptors[..] {
        [] => waiting.target.as_deref(),
        [only] if waiting.more_descriptors == 0 => only.target.as_deref(),
        _ => None,
    };
    target.filter(|target| target.starts_with("TCP ") || target.starts_with("Unix socket ["))
}

pub(super) fn finding(code: &str, severity: Severity, message: String) -> Finding {
    let code = code.to_owned();
    Finding {
        code,
        severity,
        message,
        threads: Vec::new(),
        tasks: Vec::new(),
        section: None,
        certainty: Certainty::Certain,
        evidence: Vec::new(),
        next: None,
    }
}

/// A fact that is about no thread, task or frame.
pub(super) fn fact(message: String) -> Evidence {
    Evidence { message, ..Evidence::default() }
}

/// One finding about all of these threads. None if there are no threads.
pub(super) fn about_threads(
    code: &str,
    severity: Severity,
    threads: &[&Thread],
    one: &str,
    many: &str,
) -> Vec<Finding> {
    if threads.is_empty() {
        return Vec::new();
    }
    let message = format!("{}: {}", count(threads.len(), one, many), names(threads));
    vec![Finding { threads: ids(threads), ..finding(code, severity, message) }]
}

pub(super) fn ids(threads: &[&Thread]) -> Vec<u32> {
    threads.iter().map(|thread| thread.tid).collect()
}

/// `1 thread is ...`, `3 threads are ...`
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The names of the first few threads, and the number of the others.
pub(super) fn names(threads: &[&Thread]) -> String {
    const MAX_NAMES: usize = 5;
    let shown: Vec<String> = threads.iter().take(MAX_NAMES).map(|thread| name(thread)).collect();
    let more = threads.len().saturating_sub(MAX_NAMES);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// `#42 (worker)`
pub(super) fn name(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("#{}", thread.tid)
    } else {
        format!("#{} ({})", thread.tid, thread.name)
    }
}

/// The same for a thread's id.
pub(super) fn thread_name(facts: &Facts<'_>, tid: u32) -> String {
    facts.thread(tid).map_or_else(|| format!("#{tid}"), name)
}

/// Where a thread is in the program: its innermost frame that is not of std or the C library.
pub(super) fn place(thread: &Thread, frames: &[Frame]) -> Option<u32> {
    let is_programs = |&index: &u32| {
        let frame = usize::try_from(index).ok().and_then(|index| frames.get(index));
        frame.is_some_and(|frame| !frame.is_of_std())
    };
    thread.stack.frames.iter().copied().find(is_programs)
}
