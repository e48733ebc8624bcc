//! Groups threads with the same stack, tasks that wait at the same place, and the frames that the
//! branches of a task's stack have in common. Every view uses the same groups.

use crate::sys::hash::{HashMap, Keys, NumberMap, address};
use crate::sys::sort;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::iter;
use std::ptr;
use std::sync::Arc;

use super::folding::{self, Known, Omitted, Part};
use super::words::Body;
use super::{Context, Detail};
use crate::model::{Frame, Overdue, Role, Stack, Task, TaskState, Thread};
use crate::units::as_shown;

/// For each frame, the number of the first one that is the same. A frame that can't be compared has
/// its own. Stacks are then compared by numbers: a frame is in any number of stacks.
fn numbered<'a, K: Hash + PartialEq>(
    frames: &'a [Known<'_>],
    identity: impl Fn(&'a Frame) -> Option<K>,
) -> Vec<u32> {
    let mut first = NumberMap::default();
    let number = |(known, number): (&'a Known<'_>, u32)| {
        let Some(key) = identity(known.frame) else { return number };
        let same = *first.entry(Keys::default().hash_one(&key), || number);
        let is_same = frames.get(same as usize).is_some_and(|other| identity(other.frame) == Some(key));
        if is_same { same } else { number }
    };
    frames.iter().zip(0..).map(number).collect()
}

/// Groups threads with the same stack and role, or without a stack for the same reason. The group
/// of a thread that is before the main one comes first: the report is about it. Then come the main
/// thread's, the others by size, idle pool threads after them, and gmr's own last.
pub(super) fn of_threads<'a, 'f>(
    threads: impl IntoIterator<Item = &'a Thread>,
    frames: &'f [Known<'f>],
) -> Vec<Vec<&'a Thread>> {
    let mut places: HashMap<_, usize> = HashMap::default();
    let mut groups: Vec<Vec<&'a Thread>> = Vec::new();
    let identity = |frame: &'f Frame| Some((frame.address, frame.function.as_deref(), frame.line));
    let numbers = &numbered(frames, identity);
    for thread in threads {
        let key = StackKey::new(&thread.stack, numbers);
        let place = *places.entry((thread.role, key)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(thread),
            None => groups.push(vec![thread]),
        }
    }
    let has_main = groups.iter().any(|group| group[0].role == Role::Main);
    let first = groups.first().map(|group| group[0].tid).filter(|_| has_main);
    // Stable: groups of the same size keep the order of their first threads.
    sort::by_key(&mut groups, |group| match group[0].role {
        Role::Main => (0, 0),
        Role::Program if Some(group[0].tid) == first => (0, 0),
        Role::Program if !pool_thread(group[0], frames).is_some_and(|thread| thread.is_idle) => {
            (1, group.len())
        }
        Role::Program => (2, group.len()),
        Role::Kernel => (3, 0),
        Role::Gmr => (4, 0),
        Role::Reporter => (5, 0),
    });
    groups
}

/// A pool's thread that runs no function of the program.
pub(super) struct PoolThread<'a> {
    /// The pool's function that it is in.
    pub(super) frame: &'a Known<'a>,
    /// The other frames.
    pub(super) omitted: Omitted<'a>,
    /// Whether it waits for work. If not, it is running.
    pub(super) is_idle: bool,
}

/// For a pool's thread that has only the frames of the pool and of the standard libraries in its
/// stack, where it is. None for any other thread.
pub(super) fn pool_thread<'a>(thread: &Thread, frames: &'a [Known<'a>]) -> Option<PoolThread<'a>> {
    let Stack { incomplete: None, .. } = &thread.stack else { return None };
    let is_idle = thread.waiting.is_some();
    if thread.role != Role::Program || !is_idle && thread.state.as_deref() != Some("running") {
        return None;
    }
    let (frame, omitted) = folding::fold_pool_thread(&folding::of_stack(&thread.stack, frames))?;
    Some(PoolThread { frame, omitted, is_idle })
}

/// Compares stacks by the address, function and line of each frame, and by why they are incomplete.
struct StackKey<'a> {
    stack: &'a Stack,
    /// Those of the frames.
    numbers: &'a [u32],
    /// Of both. A map that grows hashes its keys again.
    hash: u64,
}

impl<'a> StackKey<'a> {
    fn new(stack: &'a Stack, numbers: &'a [u32]) -> Self {
        let mut key = Self { stack, numbers, hash: 0 };
        let mut hasher = Keys::default().build_hasher();
        for &index in &*stack.frames {
            key.number(index).unwrap_or(u32::MAX).hash(&mut hasher);
        }
        stack.incomplete.hash(&mut hasher);
        key.hash = hasher.finish();
        key
    }

    fn number(&self, index: u32) -> Option<u32> {
        self.numbers.get(usize::try_from(index).ok()?).copied()
    }
}

#[cfg(test)]
thread_local! {
    /// How many stacks were compared.
    pub(super) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl PartialEq for StackKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        COMPARED.set(COMPARED.get() + 1);
        let is_same = |(&a, &b): (&u32, &u32)| a == b || self.number(a) == other.number(b);
        let (a, b) = (&self.stack.frames, &other.stack.frames);
        let are_same = Arc::ptr_eq(a, b) || a.len() == b.len() && a.iter().zip(&**b).all(is_same);
        are_same && self.stack.incomplete == other.stack.incomplete
    }
}

impl Eq for StackKey<'_> {}

impl Hash for StackKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// What is shown of a stack, the innermost frame first.
pub(super) fn shown<'a>(stack: &Stack, cx: Context<'a>) -> Shown<'a> {
    let frames = folding::of_stack(stack, cx.frames);
    match cx.detail {
        Detail::Short => Shown::ends_of(short(&frames, stack)),
        Detail::Full => Shown::all(frames.into_iter().map(Part::Frame)),
    }
}

/// The parts of a stack in short form.
pub(super) fn short<'a>(frames: &[&'a Known<'a>], stack: &Stack) -> impl Iterator<Item = Part<'a>> {
    repeated(folding::fold_thread(frames, stack.incomplete.is_none()))
}

/// Whether the short form of a stack has every frame.
pub(super) fn shows_all(stack: &Stack, frames: &[Known<'_>]) -> bool {
    let all = folding::of_stack(stack, frames);
    let shown = short(&all, stack).filter(|part| part.frame().is_some());
    shown.map(|part| part.frames()).sum::<usize>() == stack.frames.len()
}

/// The program's innermost function in a stack.
pub(super) fn own_function<'a>(stack: &Stack, frames: &'a [Known<'a>]) -> Option<&'a Known<'a>> {
    folding::of_stack(stack, frames).into_iter().find(|known| known.is_own())
}

/// Frames in a row that are the same are shown as one.
fn repeated<'a>(parts: impl Iterator<Item = Part<'a>>) -> impl Iterator<Item = Part<'a>> {
    let mut parts = parts.peekable();
    iter::from_fn(move || {
        let part = parts.next()?;
        let Part::Frame(frame) = part else { return Some(part) };
        let is_same = |next: &Part<'_>| matches!(next, Part::Frame(other) if ptr::eq(*other, frame));
        let more = iter::from_fn(|| parts.next_if(is_same)).count();
        Some(if more == 0 { part } else { Part::Repeated(frame, 1 + more) })
    })
}

/// Frames shown at each end of a very deep stack: enough for any stack without a recursion.
const END_FRAMES: usize = 100;

/// The parts of a stack that are shown: all, or both ends of a very deep one. A document can have a
/// stack of millions of frames, so what is in between is only counted.
#[derive(Debug, Default)]
pub(super) struct Shown<'a> {
    /// Those of the outer end follow those of the inner end.
    parts: Vec<Part<'a>>,
    /// How many of them are of the inner end.
    inner: usize,
    /// How many frames are between both ends.
    between: usize,
}

impl<'a> Shown<'a> {
    pub(super) fn all(parts: impl Iterator<Item = Part<'a>>) -> Self {
        let parts: Vec<Part<'a>> = parts.collect();
        Self { inner: parts.len(), parts, between: 0 }
    }

    fn ends_of(mut parts: impl Iterator<Item = Part<'a>>) -> Self {
        let mut shown = Self::all(parts.by_ref().take(END_FRAMES));
        let mut outer = VecDeque::new();
        for part in parts {
            outer.push_back(part);
            if outer.len() > END_FRAMES {
                shown.between += outer.pop_front().map_or(0, |part| part.frames());
            }
        }
        shown.parts.extend(outer);
        shown
    }

    /// Those of both ends.
    pub(super) fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// The inner end, the number of frames that are omitted, and the outer end. If nothing is
    /// omitted, the inner end is the whole stack.
    pub(super) fn ends(&self) -> (&[Part<'a>], usize, &[Part<'a>]) {
        let inner = if self.between == 0 { self.parts.len() } else { self.inner };
        let (inner, outer) = self.parts.split_at(inner);
        (inner, self.between, outer)
    }

    /// The same with so many parts at the ends. One that is alone between them is not omitted.
    #[cfg(feature = "html")]
    pub(super) fn ends_within(&self, inner: usize, outer: usize) -> (&[Part<'a>], usize, &[Part<'a>]) {
        let cut = self.parts.len().saturating_sub(inner + outer);
        if cut <= 1 {
            return self.ends();
        }
        let (inner, rest) = self.parts.split_at(inner);
        let (between, outer) = rest.split_at(cut);
        (inner, self.between + between.iter().map(Part::frames).sum::<usize>(), outer)
    }
}

/// The order of states in a report: those that block others first.
pub(super) fn state_rank(state: &TaskState) -> usize {
    match state {
        TaskState::Polling { .. } => 0,
        TaskState::Woken { .. } => 1,
        TaskState::Waiting { .. } => 2,
        TaskState::New => 3,
    }
}

/// How long the task has been in its state, in milliseconds.
pub(super) fn time_in_state(task: &Task) -> u64 {
    match &task.state {
        TaskState::Polling { polling_ms, .. } => *polling_ms,
        TaskState::Woken { woken_ms, waiting_ms } => woken_ms.saturating_add(*waiting_ms),
        TaskState::Waiting { waiting_ms } => *waiting_ms,
        TaskState::New => task.age_ms,
    }
}

/// Groups tasks with the same name, spawn location, state and stacks, the longest in its state
/// first. Those that are in it equally long, as far as it is shown, keep the order in which they were
/// spawned, so that a card names the task that a finding names. The group of a task that is before
/// an earlier one comes first: the report is about it.
pub(super) fn of_tasks<'a>(tasks: &'a [Task], frames: &'a [Known<'a>]) -> Vec<Vec<&'a Task>> {
    let mut places: HashMap<_, usize> = HashMap::default();
    let mut stacks = StackNumbers::new(frames);
    let mut groups: Vec<Vec<&Task>> = Vec::new();
    for task in tasks {
        let key = (state_rank(&task.state), &task.name, &task.spawned_at, stacks.number(&task.stacks));
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(task),
            None => groups.push(vec![task]),
        }
    }
    let longest_first = |task: &Task| Reverse(as_shown(time_in_state(task)));
    for group in &mut groups {
        sort::by_key(group, |task| longest_first(task));
    }
    let is_about_first = tasks.get(1).is_some_and(|second| second.id < tasks[0].id);
    let sorted = if is_about_first { &mut groups[1..] } else { &mut groups[..] };
    sort::by_key(sorted, |group| (state_rank(&group[0].state), longest_first(group[0])));
    groups
}

/// Stacks by their lines, and why each is incomplete.
type Lines<'a> = Vec<(Vec<u32>, Option<&'a str>)>;

/// Numbers lists of stacks. Lists of the same stacks have the same number, in whatever order.
///
/// Stacks are the same if their lines are. The compiler can put a line at several addresses: it
/// unrolls the loop of a `select!`, which begins at a random branch.
struct StackNumbers<'a> {
    /// For each frame, the first one with the same function, file and line. A frame whose line is
    /// not known has its own.
    lines: Vec<u32>,
    /// By address: a hundred thousand tasks of this process share a few lists.
    by_address: NumberMap<usize>,
    by_content: HashMap<Lines<'a>, usize>,
}

impl<'a> StackNumbers<'a> {
    fn new(frames: &'a [Known<'a>]) -> Self {
        let line = |frame: &'a Frame| {
            let (function, file) = (frame.function.as_deref()?, frame.file.as_deref()?);
            Some((function, file, frame.line?, frame.inlined))
        };
        let lines = numbered(frames, line);
        Self { lines, by_address: NumberMap::default(), by_content: HashMap::default() }
    }

    fn number(&mut self, stacks: &'a Arc<[Stack]>) -> usize {
        let Self { lines, by_address, by_content } = self;
        *by_address.entry(address(Arc::as_ptr(stacks)), || {
            let mut content: Lines<'a> = stacks
                .iter()
                .map(|stack| {
                    let number = |&frame: &u32| lines.get(frame as usize).copied().unwrap_or(frame);
                    let numbers = stack.frames.iter().map(number);
                    (numbers.collect(), stack.incomplete.as_deref())
                })
                .collect();
            sort::all(&mut content);
            let next = by_content.len();
            *by_content.entry(content).or_insert(next)
        })
    }
}

/// Where a task waits.
pub(super) struct WaitPoints<'a> {
    task: &'a Task,
    detail: Detail,
    /// The frames that are shown of each branch: one for each pending future that can wake the task.
    branches: Vec<Vec<&'a Known<'a>>>,
    /// The number of outer frames that all branches have in common. 0 if there is only one branch.
    common: usize,
}

/// The branches of a task's stacks.
pub(super) fn wait_points<'a>(task: &'a Task, cx: Context<'a>) -> WaitPoints<'a> {
    // One without frames has a reason instead.
    let stacks = task.stacks.iter().filter(|stack| !stack.frames.is_empty());
    let shown = |stack| {
        let mut frames = folding::of_stack(stack, cx.frames);
        if cx.detail == Detail::Short {
            folding::fold_task(&mut frames);
        }
        frames
    };
    let branches: Vec<Vec<&'a Known<'a>>> = stacks.map(shown).collect();
    let common = common_frames(&branches);
    WaitPoints { task, detail: cx.detail, branches, common }
}

impl<'a> WaitPoints<'a> {
    /// The branches without what they have in common.
    pub(super) fn branches(&self) -> impl ExactSizeIterator<Item = Shown<'a>> {
        self.branches.iter().map(move |branch| self.shown(self.parts(self.split(branch).0)))
    }

    /// What all branches have in common, if there are several.
    pub(super) fn common(&self) -> Shown<'a> {
        let common = self.branches.first().map_or(&[][..], |branch| self.split(branch).1);
        self.shown(self.parts(common))
    }

    /// The branches with what they have in common.
    #[cfg(feature = "html")]
    pub(super) fn whole(&self) -> impl Iterator<Item = Shown<'a>> {
        self.branches.iter().map(move |branch| {
            let (own, common) = self.split(branch);
            self.shown(self.parts(own).chain(self.parts(common)))
        })
    }

    /// All parts of all branches, then what these have in common.
    #[cfg(feature = "__cli")]
    pub(super) fn all(&self) -> impl Iterator<Item = Part<'a>> {
        let own = self.branches.iter().flat_map(move |branch| self.parts(self.split(branch).0));
        let common = self.branches.iter().take(1).flat_map(move |branch| self.parts(self.split(branch).1));
        own.chain(common)
    }

    fn split<'s>(&self, branch: &'s [&'a Known<'a>]) -> (&'s [&'a Known<'a>], &'s [&'a Known<'a>]) {
        branch.split_at(branch.len() - self.common)
    }

    fn parts<'s>(&'s self, frames: &'s [&'a Known<'a>]) -> impl Iterator<Item = Part<'a>> + 's {
        let is_short = self.detail == Detail::Short;
        let is_own = move |known: &Known<'_>| is_short && is_own_body(known.frame, self.task);
        let are_one = move |a: &&Known<'_>, b: &&Known<'_>| is_short && ptr::eq(*a, *b) && !is_own(a);
        frames.chunk_by(are_one).map(move |run| match run[0] {
            known if run.len() > 1 => Part::Repeated(known, run.len()),
            known if is_own(known) => Part::OwnBody(known),
            known => Part::Frame(known),
        })
    }

    fn shown(&self, parts: impl Iterator<Item = Part<'a>>) -> Shown<'a> {
        match self.detail {
            Detail::Short => Shown::ends_of(parts),
            Detail::Full => Shown::all(parts),
        }
    }
}

/// Whether this is an async block that an attribute, such as `#[gmr::task]`, has made of the body
/// of the function that the task is named after.
fn is_own_body(frame: &Frame, task: &Task) -> bool {
    let Some(body) = frame.function.as_deref().and_then(Body::of).filter(Body::is_block) else {
        return false;
    };
    if task.name.contains("::") {
        // The name of the block's type. A block of an async function's own has another one.
        body.of == &*task.name && body.is_nested()
    } else {
        body.of.rsplit("::").next() == Some(&*task.name)
    }
}

/// The number of outer frames that all stacks have in common, if there are several.
fn common_frames(stacks: &[Vec<&Known<'_>>]) -> usize {
    let Some((first, others @ [_, ..])) = stacks.split_first() else { return 0 };
    // The report has each frame once.
    let shared = |other: &Vec<&Known<'_>>| {
        first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| ptr::eq(**a, **b)).count()
    };
    let common = others.iter().map(shared).min().unwrap_or(0);
    // Each branch keeps at least one frame.
    let shortest = stacks.iter().map(Vec::len).min().unwrap_or(0);
    common.min(shortest.saturating_sub(1))
}

/// The stack of an overdue section, in short form without the gmr frames that called it.
pub(super) fn of_section<'a>(overdue: &Overdue, cx: Context<'a>) -> Shown<'a> {
    let frames = folding::of_stack(&overdue.stack, cx.frames);
    match cx.detail {
        Detail::Short => Shown::ends_of(short(folding::fold_section(&frames), &overdue.stack)),
        Detail::Full => shown(&overdue.stack, cx),
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn frame(address: u64, function: &str, line: Option<u32>) -> Frame {
        let file = line.map(|_| "shop.rs".to_owned());
        Frame { address, function: Some(function.to_owned()), file, line, ..Frame::default() }
    }

    fn waiting(id: u64, stacks: &[&[u32]]) -> Task {
        let stack = |frames: &&[u32]| Stack { frames: frames.to_vec().into(), ..Stack::default() };
        Task {
            id,
            name: "shop::work".into(),
            spawned_at: "shop.rs:1:1".into(),
            age_ms: 0,
            blocking: false,
            runtime: None,
            wakers: None,
            span: None,
            polls: 1,
            labels: Vec::new(),
            state: TaskState::Waiting { waiting_ms: 0 },
            stacks: stacks.iter().map(stack).collect(),
        }
    }

    #[test]
    fn tasks_that_wait_at_the_same_lines_are_a_group_whatever_the_addresses_and_the_order() {
        let frames = [
            frame(1, "bell", Some(1)),
            frame(2, "select", Some(2)),
            frame(3, "select", Some(2)),
            frame(4, "sleep", Some(4)),
            frame(5, "unknown", None),
            frame(6, "unknown", None),
        ];
        let known = Known::all(&frames);
        let groups =
            |tasks: &[Task]| -> Vec<usize> { of_tasks(tasks, &known).iter().map(Vec::len).collect() };
        let two = [waiting(1, &[&[0, 1], &[3, 2]]), waiting(2, &[&[3, 1], &[0, 2]])];
        assert_eq!(groups(&two), [2]);
        let others = [waiting(1, &[&[0, 1]]), waiting(2, &[&[3, 1]]), waiting(3, &[&[0, 1], &[0, 1]])];
        assert_eq!(groups(&others), [1, 1, 1]);
        let unknown = [waiting(1, &[&[4]]), waiting(2, &[&[5]]), waiting(3, &[&[4]])];
        assert_eq!(groups(&unknown), [2, 1]);
        let polled = |id, stacks| {
            let state = TaskState::Polling { tid: 7, thread: None, polling_ms: id };
            Task { state, ..waiting(id, stacks) }
        };
        let polled = [polled(1, &[]), polled(2, &[]), polled(3, &[&[0]]), waiting(4, &[])];
        assert_eq!(groups(&polled), [1, 2, 1]);
    }

    #[test]
    fn of_tasks_that_have_waited_equally_long_as_far_as_it_is_shown_the_first_spawned_comes_first() {
        let frames = [frame(1, "bell", Some(1)), frame(2, "select", Some(2))];
        let known = Known::all(&frames);
        let waited = |id, waiting_ms, stacks: &[&[u32]]| Task {
            state: TaskState::Waiting { waiting_ms },
            ..waiting(id, stacks)
        };
        let groups = |tasks: &[Task]| -> Vec<Vec<u64>> {
            let ids = |group: &Vec<&Task>| group.iter().map(|task| task.id).collect();
            of_tasks(tasks, &known).iter().map(ids).collect()
        };
        let (here, there): (&[&[u32]], &[&[u32]]) = (&[&[0]], &[&[1]]);
        // 15.0 s, but for the fourth.
        let tied = [
            waited(1, 14_960, here),
            waited(2, 15_040, there),
            waited(3, 15_000, here),
            waited(4, 15_050, here),
        ];
        assert_eq!(groups(&tied), [vec![4, 1, 3], vec![2]]);
        assert_eq!(groups(&tied[..3]), [vec![1, 3], vec![2]]);
    }
}
