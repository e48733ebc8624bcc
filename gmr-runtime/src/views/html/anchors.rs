//! The ids of the page's elements, for links within the page, and which of them there are.

use super::names::{Named, names};
use crate::model::{Content, Report};
use crate::sys::sort;
use crate::views::words;

pub(super) fn section(index: usize) -> String {
    format!("section-{index}")
}

pub(super) fn thread(tid: u32) -> String {
    format!("thread-{tid}")
}

pub(super) fn task(id: u64) -> String {
    format!("task-{id}")
}

/// A finding, by its place among all.
pub(super) fn finding(index: usize) -> String {
    format!("finding-{index}")
}

/// A group of several, by its first one.
pub(super) fn threads(first: u32) -> String {
    format!("threads-{first}")
}

pub(super) fn tasks(first: u64) -> String {
    format!("tasks-{first}")
}

/// The most threads that wait for a lock, and that hold it, to which a card has a link.
pub(super) const MAX_OF_LOCK: usize = 3;

/// Which threads and tasks the report has, and which of them others refer to: a link is made only
/// if it leads somewhere, and what it leads to has an anchor even if it is not shown.
#[derive(Default)]
pub(super) struct Links {
    threads: Vec<u64>,
    tasks: Vec<u64>,
    wanted_threads: Vec<u64>,
    wanted_tasks: Vec<u64>,
}

impl Links {
    pub(super) fn of(report: &Report) -> Self {
        let mut links = Self::default();
        for finding in &report.findings {
            links.wanted_threads.extend(finding.threads.iter().take(1).copied().map(u64::from));
            links.wanted_tasks.extend(finding.tasks.iter().take(1));
            for (_, named) in names(finding, &words::finding(finding)) {
                match named {
                    Named::Thread(tid) => links.wanted_threads.push(tid.into()),
                    Named::Task(id) => links.wanted_tasks.push(id),
                }
            }
            for evidence in &finding.evidence {
                links.wanted_threads.extend(evidence.thread.map(u64::from));
                links.wanted_tasks.extend(evidence.task);
            }
        }
        for section in &report.sections {
            match &section.content {
                Content::Threads(section) => {
                    links.threads.extend(section.threads.iter().map(|thread| u64::from(thread.tid)));
                    for lock in &section.locks {
                        let holders = lock.holders.iter().take(MAX_OF_LOCK).map(|holder| holder.tid);
                        let waiters = lock.waiters.iter().take(MAX_OF_LOCK).map(|waiter| waiter.tid);
                        links.wanted_threads.extend(holders.chain(waiters).map(u64::from));
                    }
                }
                Content::GreenThreads(section) => {
                    links.tasks.extend(section.tasks.iter().map(|task| task.id));
                }
                Content::TimedOut(value) => links.wanted_threads.push(value.overdue.tid.into()),
                Content::StillRunning(value) => links.wanted_threads.push(value.tid.into()),
                _ => {}
            }
        }
        for ids in [&mut links.threads, &mut links.tasks, &mut links.wanted_threads, &mut links.wanted_tasks]
        {
            sort::all(ids);
        }
        links
    }

    /// The anchor of a thread, if the page has it.
    pub(super) fn thread(&self, tid: u32) -> Option<String> {
        self.threads.binary_search(&tid.into()).ok().map(|_| thread(tid))
    }

    pub(super) fn task(&self, id: u64) -> Option<String> {
        self.tasks.binary_search(&id).ok().map(|_| task(id))
    }

    pub(super) fn wants_thread(&self, tid: u32) -> bool {
        self.wanted_threads.binary_search(&tid.into()).is_ok()
    }

    pub(super) fn wants_task(&self, id: u64) -> bool {
        self.wanted_tasks.binary_search(&id).is_ok()
    }
}
