//! The stacks of tasks: from addresses to the frames that a reader needs, one stack for each future
//! that waits. Nothing here polls a task or unwinds a stack.

use crate::sys::hash::{HashMap, NumberMap, address};
use crate::sys::sort;
use std::sync::Arc;

use crate::capture::Trace;
#[cfg(feature = "__cli")]
use crate::model::{Content, Report};
use crate::model::{Frame, Stack};
use crate::symbols::{self, Symbolized};
use crate::sys::{self, Modules};
use crate::task::{Branch, Branches};

/// A stack of a task, by its address: tasks with the same stack share it.
type Place = u64;

/// The stacks of all branches. The symbols of each distinct stack are resolved once.
#[derive(Default)]
pub(super) struct TaskStacks {
    pub(super) frames: Vec<Frame>,
    by_place: NumberMap<Stack>,
    of_polled: NumberMap<Arc<[Stack]>>,
    of_one: NumberMap<Arc<[Stack]>>,
    of_several: HashMap<Vec<Place>, Arc<[Stack]>>,
}

impl TaskStacks {
    /// The stacks of tasks that wait and those of threads that poll one, and notes about symbols
    /// that are missing.
    pub(super) fn new<'a>(
        waiting: impl Iterator<Item = &'a Branches>,
        polled: impl Iterator<Item = &'a Arc<Trace>>,
        modules: &Modules,
    ) -> (Self, Vec<String>) {
        let (mut places, mut traces) = (Vec::new(), Vec::new());
        let mut is_polled: NumberMap<bool> = NumberMap::default();
        let waiting = waiting.flat_map(|branches| branches.iter()).filter_map(|branch| branch.trace());
        let all = polled.map(|trace| (trace, true)).chain(waiting.map(|trace| (trace, false)));
        for (trace, polled) in all {
            let place = address(Arc::as_ptr(trace));
            is_polled.entry(place, || {
                places.push(place);
                traces.push(Trace::clone(trace));
                polled
            });
        }
        if traces.is_empty() {
            return (Self::default(), Vec::new());
        }
        let Symbolized { stacks, frames, notes } =
            sys::with_files(|| symbols::symbolize(&traces, modules, symbols::DEADLINE));
        let (mut by_place, mut of_polled) = (NumberMap::default(), NumberMap::default());
        for (place, stack) in places.into_iter().zip(stacks) {
            if is_polled.get(place) == Some(&true) {
                of_polled.insert(place, inside_the_poll(stack, &frames).into_iter().collect());
            } else {
                by_place.insert(place, of_task(stack, &frames));
            }
        }
        (Self { frames, by_place, of_polled, ..Self::default() }, notes)
    }

    /// The part of a thread's stack that is inside a task's poll, if it is.
    pub(super) fn of_polled(&self, trace: &Arc<Trace>) -> Arc<[Stack]> {
        self.of_polled.get(address(Arc::as_ptr(trace))).cloned().unwrap_or_default()
    }

    /// The stacks of these branches, one for each future. The order of the branches does not
    /// matter: `select!` polls its branches in a random one.
    pub(super) fn get(&mut self, branches: &Branches) -> Arc<[Stack]> {
        let Self { frames, by_place, of_one, of_several, .. } = self;
        let place = |branch: &Branch| branch.trace().map_or(0, |trace| address(Arc::as_ptr(trace)));
        let stack = |place: &Place| {
            by_place
                .get(*place)
                .cloned()
                .unwrap_or_else(|| Stack::missing("its stack was not unwound in time"))
        };
        if let [branch] = &branches[..] {
            let place = place(branch);
            return Arc::clone(of_one.entry(place, || [stack(&place)].into()));
        }
        let mut places: Vec<Place> = branches.iter().map(place).collect();
        sort::all(&mut places);
        places.dedup();
        let stacks = of_several.entry(places).or_insert_with_key(|places| {
            let mut stacks: Vec<Stack> = places.iter().map(stack).collect();
            sort::by_key(&mut stacks, |stack| Arc::clone(&stack.frames));
            one_of_each_future(stacks, frames).into()
        });
        Arc::clone(stacks)
    }
}

/// Removes the frames that took the stack, at its inner end, and those of gmr's own polls, the
/// outermost of which is the task's root. Says what the stack does not show.
///
/// Without line information, the innermost of several of gmr's frames stays: the program's future
/// may be inlined into it, and its address tells where that waits.
fn of_task(mut stack: Stack, frames: &[Frame]) -> Stack {
    let frame = |number: u32| &frames[number as usize];
    let mut after_gmr = stack.frames.iter().any(|&number| !frame(number).is_gmr());
    let is_kept = |number: &u32| {
        let frame = frame(*number);
        let after_gmr = std::mem::replace(&mut after_gmr, frame.is_gmr());
        !frame.is_gmr() || frame.file.is_none() && !after_gmr
    };
    let others = stack.frames.iter().copied().filter(is_kept);
    stack.frames = others.skip_while(|&number| clones_a_waker(frame(number))).collect();
    if stack.incomplete.is_none() {
        let polled = stack.frames.iter().map(|&number| frame(number)).find(|frame| polled(frame).is_some());
        stack.incomplete = polled.and_then(hides_its_futures).map(str::to_owned);
    }
    stack
}

/// Removes from the stacks of tasks what is not theirs, once their frames have names: those of a
/// stripped executable get them later.
#[cfg(feature = "__cli")]
pub(crate) fn complete(report: &mut Report) {
    for section in &mut report.sections {
        let Content::GreenThreads(all) = &mut section.content else { continue };
        for task in &mut all.tasks {
            task.stacks = task.stacks.iter().map(|stack| of_task(stack.clone(), &report.frames)).collect();
        }
    }
}

/// The part of a thread's stack that is further in than gmr's outermost frame, which is that of the
/// task's root. `None` if gmr has none in it.
fn inside_the_poll(mut stack: Stack, frames: &[Frame]) -> Option<Stack> {
    let is_gmr = |number: &u32| frames[*number as usize].is_gmr();
    let root = stack.frames.iter().rposition(is_gmr)?;
    stack.frames = stack.frames[..root].iter().copied().filter(|number| !is_gmr(number)).collect();
    (!stack.frames.is_empty()).then_some(Stack { incomplete: None, ..stack })
}

fn clones_a_waker(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(|name| name.contains("core::task::wake::"))
        // With line tables only, function names have no paths, but file names have.
        || frame.file.as_deref().is_some_and(|file| file.ends_with("core/src/task/wake.rs"))
}

/// Futures that poll others with wakers of their own, and only those that were woken. By a part of
/// the path of their type or, where names have no paths, of their file.
const WITH_OWN_WAKERS: [(&str, &str, &str); 4] = [
    (
        "::futures_unordered::FuturesUnordered",
        "/futures_unordered/mod.rs",
        "the futures in this set have wakers of their own: those that are tracked are shown as tasks",
    ),
    (
        "tokio::task::join_set::JoinSet",
        "/task/join_set.rs",
        "the futures in this set are tasks of their own; those of gmr::task::JoinSet are tracked",
    ),
    (
        "::future::shared::Shared",
        "/future/shared.rs",
        "the future that is shared has a waker of its own: if it is tracked, it is shown as a task",
    ),
    (
        "futures_concurrency::",
        "/futures-concurrency-",
        "these futures have wakers of their own: those that are tracked are shown as tasks",
    ),
];

/// What the stack does not show if this is the innermost frame of a future.
fn hides_its_futures(frame: &Frame) -> Option<&'static str> {
    let (function, file) = (frame.function.as_deref()?, frame.file.as_deref().unwrap_or_default());
    let is_named = |part: &str| function.trim_start_matches('<').contains(part);
    let known = WITH_OWN_WAKERS.iter().find(|(path, of_file, _)| {
        // The type itself, not one of its parameters.
        is_named(path)
            && !function.split(path).next().unwrap_or_default().trim_start_matches('<').contains('<')
            || crate::model::is_unqualified(function) && file.contains(of_file)
    });
    known.map(|(_, _, reason)| *reason)
}

/// If the function polls a future: the path of the type whose method it is. A name without a path
/// has an empty one.
fn polled(frame: &Frame) -> Option<&str> {
    let function = without_parameters(frame.function.as_deref()?);
    let (path, name) = function.rsplit_once("::").unwrap_or(("", function));
    let path = path.strip_prefix('<').unwrap_or(path);
    name.starts_with("poll").then(|| path.split(" as ").next().unwrap_or(path))
}

/// A function's name without the type parameters at its end.
fn without_parameters(function: &str) -> &str {
    let mut depth = 0;
    let mut after = '>';
    if function.ends_with('>') {
        for (index, character) in function.char_indices().rev() {
            match character {
                '>' => depth += 1,
                '<' => depth -= 1,
                // The end of an arrow, as in `fn() -> T`.
                '-' if after == '>' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return &function[..index];
            }
            after = character;
        }
    }
    function
}

/// One stack for each future. A future that keeps two clones of its waker, as a timer of `async-io`
/// does, has a stack for each; they differ only in its own function and further in.
fn one_of_each_future(stacks: Vec<Stack>, frames: &[Frame]) -> Vec<Stack> {
    let mut futures = Vec::new();
    let mut kept: Vec<Stack> = Vec::with_capacity(stacks.len());
    for stack in stacks {
        let future = future_of(&stack, frames);
        let is_known = match &future {
            Some(future) => futures.contains(future),
            None => kept.contains(&stack),
        };
        if !is_known {
            futures.extend(future);
            kept.push(stack);
        }
    }
    kept
}

/// What identifies the innermost future in a stack: the functions of its type that poll it, and the
/// call that leads to them with all that is further out.
///
/// `None` if those functions are inlined into another's: then two stacks can differ in the same way
/// if that one polls two futures of the same type.
fn future_of<'a>(stack: &Stack, frames: &'a [Frame]) -> Option<(Vec<&'a str>, Vec<u32>)> {
    let frame = |number: &u32| &frames[*number as usize];
    let innermost = stack.frames.iter().position(|number| polled(frame(number)).is_some())?;
    let of_type = polled(frame(&stack.frames[innermost]));
    let length =
        stack.frames[innermost..].iter().position(|number| !frame(number).inlined).map(|last| last + 1)?;
    let (own, outer) = stack.frames[innermost..].split_at(length);
    let names = own.iter().map(|number| frame(number).function.as_deref().unwrap_or_default()).collect();
    own.iter().all(|number| polled(frame(number)) == of_type).then(|| (names, outer.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions and lines, innermost first; `+` marks those that are inlined into the next.
    fn stack(frames: &mut Vec<Frame>, functions: &[(&str, u32)]) -> Stack {
        let numbers = functions.iter().map(|&(function, line)| {
            let (function, inlined) =
                function.strip_prefix('+').map_or((function, false), |name| (name, true));
            let function = Some(function.to_owned());
            let new = Frame { function, line: Some(line), inlined, ..Frame::default() };
            let known = frames.iter().position(|known| *known == new).unwrap_or_else(|| {
                frames.push(new);
                frames.len() - 1
            });
            u32::try_from(known).unwrap()
        });
        Stack { frames: numbers.collect(), ..Stack::default() }
    }

    /// How many futures these stacks are of.
    fn futures<const N: usize>(stacks: [&[(&str, u32)]; N]) -> usize {
        let mut frames = Vec::new();
        let stacks = stacks.map(|functions| stack(&mut frames, functions));
        one_of_each_future(stacks.to_vec(), &frames).len()
    }

    const TIMER: &str = "<async_io::Timer as core::future::future::Future>::poll";
    const TIMER_NEXT: &str = "+<async_io::Timer as futures_core::stream::Stream>::poll_next";
    const SLEEP: &str = "<tokio::time::sleep::Sleep as core::future::future::Future>::poll";

    #[test]
    fn the_order_in_which_branches_were_polled_does_not_matter() {
        let mut frames = Vec::new();
        let leaf = || Branch::new(crate::task::Leaf::known(Trace::default()));
        let (one, other) = (leaf(), leaf());
        let place = |leaf: &Branch| address(Arc::as_ptr(leaf.trace().unwrap()));
        let by_place = NumberMap::from_iter([
            (place(&one), stack(&mut frames, &[(SLEEP, 1), ("shop::work::{{closure}}", 7)])),
            (place(&other), stack(&mut frames, &[("shop::work::{{closure}}", 8)])),
        ]);
        let mut stacks = TaskStacks { frames, by_place, ..TaskStacks::default() };
        let branches = |order: [&Branch; 2]| order.map(Arc::clone).into();
        let in_order = stacks.get(&branches([&one, &other]));
        assert_eq!(in_order.len(), 2);
        assert!(Arc::ptr_eq(&in_order, &stacks.get(&branches([&other, &one]))));
        let unwound_too_late = Branch::default();
        let late = stacks.get(&[unwound_too_late].into());
        assert!(late[0].frames.is_empty() && late[0].incomplete.is_some());
    }

    #[test]
    fn a_future_that_keeps_two_wakers_is_one() {
        let work = ("shop::work::{{closure}}", 7);
        assert_eq!(
            futures([
                &[("async_io::reactor::Reactor::insert_timer", 3), (TIMER_NEXT, 4), (TIMER, 5), work],
                &[(TIMER_NEXT, 9), (TIMER, 5), work],
            ]),
            1
        );
    }

    #[test]
    fn two_futures_of_the_same_type_are_two() {
        let other = "+<tokio::time::sleep::Sleep as core::future::future::Future>::poll";
        let work = "shop::work::{{closure}}";
        assert_eq!(futures([&[(SLEEP, 1), (work, 7)], &[(SLEEP, 1), (work, 8)]]), 2, "polled at two lines");
        assert_eq!(futures([&[(other, 1), (work, 7)], &[(other, 2), (work, 7)]]), 2, "they may be two");
        let join = "<futures_util::future::join::Join<A, B> as core::future::future::Future>::poll";
        assert_eq!(futures([&[(other, 1), (join, 2)], &[(other, 1), (join, 3)]]), 2, "inlined into a third");
    }

    #[test]
    fn equal_stacks_are_shown_once() {
        let work = ("shop::work::{{closure}}", 7);
        assert_eq!(futures([&[work], &[work], &[(SLEEP, 1), work], &[(SLEEP, 1), work]]), 2);
    }

    #[test]
    fn gmrs_frames_go_unless_one_can_have_the_programs_inlined() {
        let (with, root) = (concat!(module_path!(), "::with"), concat!(module_path!(), "::traced"));
        let mut frames = Vec::new();
        let clone = ("core::task::wake::Waker::clone", 1);
        let taken = stack(&mut frames, &[(root, 7), clone, (SLEEP, 2), (with, 3), (root, 4)]);
        let inlined = stack(&mut frames, &[clone, (with, 3), (root, 4)]);
        let alone = stack(&mut frames, &[(with, 3), (root, 4)]);
        let lines = |stack: &Stack, frames: &[Frame]| -> Vec<u32> {
            let kept = of_task(stack.clone(), frames).frames;
            kept.iter().map(|&number| frames[number as usize].line.unwrap()).collect()
        };
        assert_eq!(lines(&taken, &frames), [2, 3]);
        assert_eq!(lines(&inlined, &frames), [3]);
        assert_eq!(lines(&alone, &frames), [3]);
        for frame in &mut frames {
            frame.file = Some("tracked.rs".to_owned());
        }
        assert_eq!(lines(&taken, &frames), [2]);
        assert!(lines(&inlined, &frames).is_empty());
    }

    #[test]
    fn a_type_is_told_from_its_parameters() {
        let of = |function: &str| {
            let frame = Frame { function: Some(function.to_owned()), ..Frame::default() };
            polled(&frame).map(str::to_owned)
        };
        assert_eq!(of(TIMER).as_deref(), Some("async_io::Timer"));
        assert_eq!(
            of("tokio::runtime::io::ScheduledIo::poll_readiness").as_deref(),
            Some("tokio::runtime::io::ScheduledIo")
        );
        assert_eq!(
            of("tokio::task::join_set::JoinSet<T>::poll_join_next").as_deref(),
            Some("tokio::task::join_set::JoinSet<T>")
        );
        assert_eq!(of("poll<fn(shop::Order) -> shop::Price>").as_deref(), Some(""));
        assert_eq!(of("shop::Queue::poll_pop<alloc::vec::Vec<u8>>").as_deref(), Some("shop::Queue"));
        assert_eq!(of("shop::polling::start"), None);
        assert_eq!(of("shop::work::{{closure}}"), None);
    }

    #[test]
    fn a_set_says_that_its_futures_are_hidden() {
        let hides = |function: &str| {
            hides_its_futures(&Frame { function: Some(function.to_owned()), ..Frame::default() }).is_some()
        };
        assert!(hides(
            "<futures_util::stream::futures_unordered::FuturesUnordered<Fut> as futures_core::stream::Stream>::poll_next"
        ));
        assert!(hides("tokio::task::join_set::JoinSet<T>::poll_join_next"));
        assert!(!hides(
            "<shop::Wrap<futures_util::stream::futures_unordered::FuturesUnordered<F>> as core::future::future::Future>::poll"
        ));
        assert!(!hides(SLEEP));
    }
}
