//! The option `slow_task`: tasks that take longer than others of their kind. It polls no task,
//! starts no thread, and decides nothing about reports.
//!
//! Many tasks are to last as long as the program: those that accept connections, for example. So a
//! task counts as slow only if another one of the same name, spawned at the same place, has
//! completed within the limit.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::WATCHDOG;
use super::current::id_here;
use super::entry::Entry;
use super::kinds;
use super::registered::{TASKS, started};
use super::tracked::shown_name;
use crate::trigger::conditions::Problem;
use crate::units::counted;

/// The task with which the report begins that is being made; 0 if there is none.
static FIRST: AtomicU64 = AtomicU64::new(0);

/// Has the tasks of the next report begin with this one.
pub(crate) fn set_first(id: Option<u64>) {
    FIRST.store(id.unwrap_or(0), Ordering::Relaxed);
}

/// The task with which those of the report begin.
pub(crate) fn first() -> Option<u64> {
    Some(FIRST.load(Ordering::Relaxed)).filter(|id| *id != 0)
}

/// Looks for tasks that last longer than a limit.
#[derive(Debug)]
pub(crate) struct SlowTasks {
    limit: Duration,
    /// Tasks with lower ids were started before. In a forked child, they are the parent's.
    lowest: u64,
    /// When it has looked, and the id that the next task was to have then. The clock that tasks
    /// know their age by can be set.
    looks: VecDeque<(Instant, u64)>,
}

impl SlowTasks {
    pub(crate) fn new(limit: Duration) -> Self {
        kinds::note_within(limit);
        Self { limit, lowest: started(), looks: VecDeque::new() }
    }

    /// How often to look: a task is found when it lasts a sixteenth longer.
    pub(crate) fn every(&self) -> Duration {
        (self.limit / 16).clamp(Duration::from_millis(10), Duration::from_secs(60))
    }

    /// What is wrong. `late` is how much later this is called than it should be: then the process
    /// had no processor, or was stopped, and its tasks are given as much time again.
    pub(crate) fn look(&mut self, late: Duration) -> Option<Problem> {
        self.look_at(Instant::now(), late)
    }

    fn look_at(&mut self, now: Instant, late: Duration) -> Option<Problem> {
        self.looks.iter_mut().for_each(|(at, _)| *at += late);
        self.looks.push_back((now, started()));
        let is_over = |at: Instant| now.saturating_duration_since(at) >= self.limit;
        while self.looks.get(1).is_some_and(|(at, _)| is_over(*at)) {
            self.looks.pop_front();
        }
        let slow = self.lowest..self.looks.front().filter(|(at, _)| is_over(*at))?.1;
        let (mut first, mut others): (Option<Problem>, usize) = (None, 0);
        TASKS.for_each(|task| {
            let is_slow = slow.contains(&task.id) && !task.has_ended();
            if !is_slow || task.name == WATCHDOG || !kinds::is_known(task) {
                return;
            }
            let is_first = first.as_ref().is_none_or(|first| first.task > Some(task.id));
            others += usize::from(first.is_some());
            if is_first {
                first = Some(self.problem(task));
            }
        });
        let mut first = first?;
        if others > 0 {
            let _ = write!(first.cause, "; and so do {}", counted(others, "other task"));
        }
        Some(first)
    }

    fn problem(&self, task: &Entry) -> Problem {
        let name = shown_name(task.name, task.is_blocking());
        let (id, place, limit) = (task.id, task.spawned_at, humantime::format_duration(self.limit));
        let cause = format!(
            "task #{id} ({name}), spawned at {place}, takes longer than {limit}, which others of its kind \
             have not"
        );
        Problem { cause, thread: task.polled_on().map(id_here), task: Some(id) }
    }
}

#[cfg(all(test, not(gmr_loom), not(gmr_units)))]
mod tests;
