//! What belongs together: threads with the same stack, tasks that wait at the same place, what the branches of a task's stack have in common. The same in every view.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Detail;
use super::folding::{self, is_of_a_runtime, is_plumbing, without_inner_runtime, without_outer_runtime};
use crate::model::{Frame, Overdue, Role, Stack, Task, TaskState, Thread};

/// Threads with the same stack, gmr's own apart: the main thread's group first, then the smallest, gmr's own last.
pub(super) fn of_threads<'a>(threads: impl IntoIterator<Item = &'a Thread>) -> Vec<Vec<&'a Thread>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<&'a Thread>> = Vec::new();
    for thread in threads {
        // A thread without a stack has nothing to be alike in.
        let place = if thread.stack.frames.is_empty() {
            groups.len()
        } else {
            *places.entry((thread.role, Likeness(&thread.stack))).or_insert(groups.len())
        };
        match groups.get_mut(place) {
            Some(group) => group.push(thread),
            None => groups.push(vec![thread]),
        }
    }
    // Stable, so that groups of a size keep the order of their first threads.
    groups.sort_by_cached_key(|group| match group[0].role {
        Role::Main => (0, 0),
        Role::Program if idle(group[0]).is_none() => (1, group.len()),
        Role::Program => (2, group.len()),
        Role::Gmr => (3, 0),
        Role::Reporter => (4, 0),
    });
    groups
}

/// Of a pool's thread that waits for work: the function of the pool that waits, and how many more frames it has. A thread that has any function of the program's in its stack, or runs, is not idle.
pub(super) fn idle(thread: &Thread) -> Option<(&Arc<Frame>, usize)> {
    let Stack { frames, incomplete: None } = &thread.stack else { return None };
    thread.waiting.as_ref()?;
    if thread.role != Role::Program || !frames.iter().all(|frame| is_plumbing(frame)) {
        return None;
    }
    let pools = frames.iter().position(|frame| is_of_a_runtime(frame))?;
    Some((&frames[pools], frames.len() - pools - 1))
}

/// What makes two stacks the same: why they end, and where and what each frame is.
struct Likeness<'a>(&'a Stack);

impl PartialEq for Likeness<'_> {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(a, b): (&Arc<Frame>, &Arc<Frame>)| {
            Arc::ptr_eq(a, b) || (a.address, &a.function, a.line) == (b.address, &b.function, b.line)
        };
        let (a, b) = (self.0, other.0);
        let are_same = Arc::ptr_eq(&a.frames, &b.frames)
            || a.frames.len() == b.frames.len() && a.frames.iter().zip(&*b.frames).all(is_same);
        are_same && a.incomplete == b.incomplete
    }
}

impl Eq for Likeness<'_> {}

impl Hash for Likeness<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // They tell nearly all that differ; the names are compared.
        for frame in &*self.0.frames {
            frame.address.hash(state);
        }
    }
}

/// The stack without the runtime's frames. Where it does not reach the thread's first function, what stands at its outer end is not the runtime's.
pub(super) fn folded(stack: &Stack) -> &[Arc<Frame>] {
    let inner = without_inner_runtime(&stack.frames);
    if stack.incomplete.is_none() { without_outer_runtime(inner) } else { inner }
}

/// The frames of a thread's stack that are shown.
pub(super) fn shown(stack: &Stack, detail: Detail) -> &[Arc<Frame>] {
    match detail {
        Detail::Short => folded(stack),
        Detail::Full => &stack.frames,
    }
}

/// How much of either end of a very deep stack is shown: enough for any stack that is no recursion.
const END: usize = 100;

/// The two ends of a stack that is shown, and how many frames between them are not; of one that is not very deep, or is to be shown in full, the first is all of it.
pub(super) fn ends(frames: &[Arc<Frame>], detail: Detail) -> (&[Arc<Frame>], usize, &[Arc<Frame>]) {
    let between = frames.len().saturating_sub(2 * END);
    match detail {
        Detail::Short if between > 0 => (&frames[..END], between, &frames[END + between..]),
        _ => (frames, 0, &[]),
    }
}

pub(super) fn is_whole(stack: &Stack) -> bool {
    folded(stack).len() == stack.frames.len()
}

pub(super) fn rank(state: &TaskState) -> usize {
    match state {
        TaskState::Polling { .. } => 0,
        TaskState::Woken { .. } => 1,
        TaskState::Waiting { .. } => 2,
        TaskState::New => 3,
    }
}

/// For how long it has been in its state.
pub(super) fn lasting(task: &Task) -> u64 {
    match &task.state {
        TaskState::Polling { polling_ms, .. } => *polling_ms,
        TaskState::Woken { woken_ms, waiting_ms } => woken_ms + waiting_ms,
        TaskState::Waiting { waiting_ms } => *waiting_ms,
        TaskState::New => task.age_ms,
    }
}

/// Tasks of one name that were started at one line, do the same, and wait at the same place. Those that a thread is inside of stand alone: each has its thread.
pub(super) fn of_tasks(tasks: &[Task]) -> Vec<Vec<&Task>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Task>> = Vec::new();
    for task in tasks {
        let place = match &task.state {
            TaskState::Polling { .. } => groups.len(),
            state => {
                // Stacks that are alike are the same memory.
                let key =
                    (rank(state), &task.name, &task.spawned_at, task.stacks.as_ptr(), task.stacks.len());
                *places.entry(key).or_insert(groups.len())
            }
        };
        match groups.get_mut(place) {
            Some(group) => group.push(task),
            None => groups.push(vec![task]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|task| std::cmp::Reverse(lasting(task)));
    }
    groups.sort_by_key(|group| (rank(&group[0].state), std::cmp::Reverse(lasting(group[0]))));
    groups
}

/// Where a task waits: one branch for each future that would wake it, and below them what all have in common, which is nothing where there is but one. Each `async fn` has the name that its author gave it.
pub(super) struct Places {
    pub(super) branches: Vec<Vec<Arc<Frame>>>,
    pub(super) common: Vec<Arc<Frame>>,
}

pub(super) fn places(stacks: &[Stack], detail: Detail) -> Places {
    let mut branches: Vec<Vec<Arc<Frame>>> = stacks
        .iter()
        .map(|stack| match detail {
            Detail::Short => folding::of_task(&stack.frames),
            Detail::Full => stack.frames.to_vec(),
        })
        .collect();
    let mut common = Vec::new();
    if branches.len() > 1 {
        let shared = in_common(&branches);
        for branch in &mut branches {
            common = branch.split_off(branch.len() - shared);
        }
    }
    if detail == Detail::Short {
        for frame in branches.iter_mut().flatten().chain(&mut common) {
            *frame = folding::as_read(frame);
        }
    }
    Places { branches, common }
}

/// How many frames at the outer end are the same in all.
fn in_common(stacks: &[Vec<Arc<Frame>>]) -> usize {
    let (first, others) = stacks.split_first().expect("there are several");
    let shared = |other: &Vec<Arc<Frame>>| {
        first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
    };
    let common = others.iter().map(shared).min().unwrap_or(0);
    // Each branch keeps a frame of its own.
    let shortest = stacks.iter().map(Vec::len).min().unwrap_or(0);
    common.min(shortest.saturating_sub(1))
}

/// Where a section's function is stuck, without gmr which has called it.
pub(super) fn of_section(overdue: &Overdue, detail: Detail) -> Stack {
    let own = match detail {
        Detail::Short => folding::of_section(&overdue.stack.frames),
        Detail::Full => &overdue.stack.frames,
    };
    Stack { frames: own.into(), incomplete: overdue.stack.incomplete.clone() }
}
