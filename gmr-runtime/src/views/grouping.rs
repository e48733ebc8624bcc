//! What belongs together: threads with the same stack, tasks that wait at the same place, what the branches of a task's stack have in common. The same in every view.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::folding::{self, is_of_a_runtime, is_plumbing, without_inner_runtime, without_outer_runtime};
use super::{Context, Detail};
use crate::model::{Frame, Overdue, Role, Stack, Task, TaskState, Thread};

/// Threads with the same stack, gmr's own apart: the main thread's group first, then the smallest, gmr's own last.
pub(super) fn of_threads<'a>(
    threads: impl IntoIterator<Item = &'a Thread>,
    frames: &[Frame],
) -> Vec<Vec<&'a Thread>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<&'a Thread>> = Vec::new();
    for thread in threads {
        // A thread without a stack has nothing to be alike in.
        let place = if thread.stack.frames.is_empty() {
            groups.len()
        } else {
            let likeness = Likeness { stack: &thread.stack, frames };
            *places.entry((thread.role, likeness)).or_insert(groups.len())
        };
        match groups.get_mut(place) {
            Some(group) => group.push(thread),
            None => groups.push(vec![thread]),
        }
    }
    // Stable, so that groups of a size keep the order of their first threads.
    groups.sort_by_cached_key(|group| match group[0].role {
        Role::Main => (0, 0),
        Role::Program if idle(group[0], frames).is_none() => (1, group.len()),
        Role::Program => (2, group.len()),
        Role::Gmr => (3, 0),
        Role::Reporter => (4, 0),
    });
    groups
}

/// Of a pool's thread that waits for work: the function of the pool that waits, and how many more frames it has. A thread that has any function of the program's in its stack, or runs, is not idle.
pub(super) fn idle<'a>(thread: &Thread, frames: &'a [Frame]) -> Option<(&'a Frame, usize)> {
    let Stack { incomplete: None, .. } = &thread.stack else { return None };
    thread.waiting.as_ref()?;
    let frames = Context { frames, detail: Detail::Full }.frames_of(&thread.stack);
    if thread.role != Role::Program || !frames.iter().all(|frame| is_plumbing(frame)) {
        return None;
    }
    let pools = frames.iter().position(|frame| is_of_a_runtime(frame))?;
    Some((frames[pools], frames.len() - pools - 1))
}

/// What makes two stacks the same: why they end, and where and what each frame is.
struct Likeness<'a> {
    stack: &'a Stack,
    frames: &'a [Frame],
}

impl Likeness<'_> {
    fn frame(&self, index: u32) -> Option<&Frame> {
        self.frames.get(usize::try_from(index).ok()?)
    }
}

impl PartialEq for Likeness<'_> {
    fn eq(&self, other: &Self) -> bool {
        fn what(frame: &Frame) -> (u64, Option<&str>, Option<u32>) {
            (frame.address, frame.function.as_deref(), frame.line)
        }
        let is_same = |(&a, &b): (&u32, &u32)| a == b || self.frame(a).map(what) == other.frame(b).map(what);
        let (a, b) = (&self.stack.frames, &other.stack.frames);
        let are_same = Arc::ptr_eq(a, b) || a.len() == b.len() && a.iter().zip(&**b).all(is_same);
        are_same && self.stack.incomplete == other.stack.incomplete
    }
}

impl Eq for Likeness<'_> {}

impl Hash for Likeness<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // They tell nearly all that differ; the names are compared.
        for &index in &*self.stack.frames {
            self.frame(index).map(|frame| frame.address).hash(state);
        }
    }
}

/// The stack without the runtime's frames. Where it does not reach the thread's first function, what stands at its outer end is not the runtime's.
pub(super) fn folded<'a>(stack: &Stack, cx: Context<'a>) -> Vec<&'a Frame> {
    fold(&cx.frames_of(stack), stack).to_vec()
}

fn fold<'f, 'a>(frames: &'f [&'a Frame], stack: &Stack) -> &'f [&'a Frame] {
    let inner = without_inner_runtime(frames);
    if stack.incomplete.is_none() { without_outer_runtime(inner) } else { inner }
}

/// The frames of a thread's stack that are shown.
pub(super) fn shown<'a>(stack: &Stack, cx: Context<'a>) -> Vec<&'a Frame> {
    match cx.detail {
        Detail::Short => folded(stack, cx),
        Detail::Full => cx.frames_of(stack),
    }
}

/// How much of either end of a very deep stack is shown: enough for any stack that is no recursion.
const END: usize = 100;

/// The two ends of a stack that is shown, and how many frames between them are not; of one that is not very deep, or is to be shown in full, the first is all of it.
pub(super) fn ends<T>(frames: &[T], detail: Detail) -> (&[T], usize, &[T]) {
    let between = frames.len().saturating_sub(2 * END);
    match detail {
        Detail::Short if between > 0 => (&frames[..END], between, &frames[END + between..]),
        _ => (frames, 0, &[]),
    }
}

pub(super) fn is_whole(stack: &Stack, cx: Context<'_>) -> bool {
    folded(stack, cx).len() == stack.frames.len()
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
    let mut stacks = Distinct::default();
    let mut groups: Vec<Vec<&Task>> = Vec::new();
    for task in tasks {
        let place = match &task.state {
            TaskState::Polling { .. } => groups.len(),
            state => {
                let key = (rank(state), &task.name, &task.spawned_at, stacks.number(&task.stacks));
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

/// Numbers for lists of stacks: equal lists have the same one.
#[derive(Default)]
struct Distinct<'a> {
    /// By place in memory: in a report of this process, a hundred thousand tasks share a few lists.
    by_place: HashMap<*const [Stack], usize>,
    by_content: HashMap<&'a [Stack], usize>,
}

impl<'a> Distinct<'a> {
    fn number(&mut self, stacks: &'a Arc<[Stack]>) -> usize {
        let Self { by_place, by_content } = self;
        *by_place.entry(Arc::as_ptr(stacks)).or_insert_with(|| {
            let next = by_content.len();
            *by_content.entry(stacks).or_insert(next)
        })
    }
}

/// Where a task waits: one branch for each future that would wake it, and below them what all have in common, which is nothing where there is but one. Each `async fn` has the name that its author gave it.
pub(super) struct Places<'a> {
    pub(super) branches: Vec<Vec<Cow<'a, Frame>>>,
    pub(super) common: Vec<Cow<'a, Frame>>,
}

pub(super) fn places<'a>(stacks: &[Stack], cx: Context<'a>) -> Places<'a> {
    let mut branches: Vec<Vec<&Frame>> = stacks
        .iter()
        .map(|stack| match cx.detail {
            Detail::Short => folding::of_task(&cx.frames_of(stack)),
            Detail::Full => cx.frames_of(stack),
        })
        .collect();
    let mut common = Vec::new();
    if branches.len() > 1 {
        let shared = in_common(&branches);
        for branch in &mut branches {
            common = branch.split_off(branch.len() - shared);
        }
    }
    let as_read = |frames: Vec<&'a Frame>| -> Vec<Cow<'a, Frame>> {
        let read = |frame| match cx.detail {
            Detail::Short => folding::as_read(frame),
            Detail::Full => Cow::Borrowed(frame),
        };
        frames.into_iter().map(read).collect()
    };
    Places { branches: branches.into_iter().map(as_read).collect(), common: as_read(common) }
}

/// How many frames at the outer end are the same in all.
fn in_common(stacks: &[Vec<&Frame>]) -> usize {
    let (first, others) = stacks.split_first().expect("there are several");
    let shared =
        |other: &Vec<&Frame>| first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let common = others.iter().map(shared).min().unwrap_or(0);
    // Each branch keeps a frame of its own.
    let shortest = stacks.iter().map(Vec::len).min().unwrap_or(0);
    common.min(shortest.saturating_sub(1))
}

/// Where a section's function is stuck, without gmr which has called it.
pub(super) fn of_section<'a>(overdue: &Overdue, cx: Context<'a>) -> Vec<&'a Frame> {
    let frames = cx.frames_of(&overdue.stack);
    match cx.detail {
        Detail::Short => fold(folding::of_section(&frames), &overdue.stack).to_vec(),
        Detail::Full => frames,
    }
}
