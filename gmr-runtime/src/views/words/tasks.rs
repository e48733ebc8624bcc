//! The wording of tasks and runtimes.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::Body;
use crate::model::{GreenThreads, Runtime, Stack, Task, TaskState};
use crate::sys::hash::{HashMap, HashSet};
use crate::sys::sort;
use crate::units::{counted, duration};
use crate::views::Context;
use crate::views::escape::clean;
use crate::views::grouping::time_in_state;
use crate::views::path::short_path;

/// The most tasks of a group that are listed, those longest in their state first.
const MAX_NAMED: usize = 8;

/// `Task #12 (orders::checkout)`, `17 similar tasks: orders::checkout`
pub(in crate::views) fn tasks_title(group: &[&Task], cx: Context<'_>) -> String {
    let name = clean(&group[0].name);
    let name = if is_block(group[0], cx) { Cow::Owned(format!("{{async block in {name}}}")) } else { name };
    match group {
        [task] => format!("Task #{} ({name})", task.id),
        _ => format!("{} similar tasks: {name}", group.len()),
    }
}

/// Whether the task is an async block that has the name of the function it is in. A block's type
/// does not distinguish it from an async function's body; the debug information does.
fn is_block(task: &Task, cx: Context<'_>) -> bool {
    let Some(stack) = task.stacks.first() else { return false };
    let function = |index: &u32| cx.frames.get(usize::try_from(*index).ok()?)?.frame.function.as_deref();
    let root = stack.frames.iter().rev().filter_map(function).find_map(Body::of);
    root.is_some_and(|root| root.is_block() && !root.is_nested() && root.of == &*task.name)
}

/// Where a task was spawned, what it is doing and for how long. For a group, the range of times.
pub(in crate::views) fn tasks_facts(group: &[&Task]) -> Vec<String> {
    let first = group[0];
    let mut lines = vec![format!("spawned at {}", short_path(&first.spawned_at))];
    let (longest, shortest) =
        (duration(time_in_state(first)), duration(group.last().map_or(0, |task| time_in_state(task))));
    let time = if shortest == longest { longest } else { format!("{shortest} to {longest}") };
    let stack = |of: &'static str| if first.stacks.is_empty() { "" } else { of };
    let doing = match (&first.state, first.blocking) {
        (TaskState::Polling { tid, thread, .. }, blocking) => {
            let thread = thread_label(*tid, thread.as_deref());
            match (group.len(), blocking) {
                (1, true) => format!("running on thread {thread} for {time}{}", stack("; its stack:")),
                (1, false) => format!(
                    "thread {thread} has been polling this task for {time}{}",
                    stack("; its stack inside this poll:")
                ),
                (_, true) => {
                    format!("each running on its thread for {time}{}", stack("; the stack of each:"))
                }
                (_, false) => format!(
                    "each being polled by its thread for {time}{}",
                    stack("; the stack inside each poll:")
                ),
            }
        }
        (TaskState::Woken { woken_ms, .. }, _) => {
            let woken = duration(*woken_ms);
            lines.push(format!(
                "woken for this report {woken} ago and not polled since; all runtime workers may be busy"
            ));
            format!("waiting for {time}, {}", counted_polls(group))
        }
        (TaskState::Waiting { .. }, _) => format!("waiting for {time}, {}", counted_polls(group)),
        (TaskState::New, true) => format!("waiting for a thread for {time}"),
        (TaskState::New, false) => format!("spawned {time} ago, not polled yet"),
    };
    lines.push(doing);
    lines.extend(spans(group));
    lines
}

/// The most spans of a group that are named, those of most tasks first.
const MAX_SPANS: usize = 4;

/// `last polled in span query`, `inside spans order (12), query (3) and 2 others`. `None` if no
/// task of the group is in one.
fn spans(group: &[&Task]) -> Option<String> {
    let mut places: HashMap<&str, usize> = HashMap::default();
    let mut counts: Vec<(usize, &str)> = Vec::new();
    for span in group.iter().filter_map(|task| task.span.as_ref()) {
        let place = *places.entry(&span.name).or_insert(counts.len());
        match counts.get_mut(place) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, &span.name)),
        }
    }
    sort::by_key(&mut counts, |(count, _)| Reverse(*count));
    let inside = match group[0].state {
        TaskState::Polling { .. } => "inside",
        _ => "last polled in",
    };
    match &counts[..] {
        [] => None,
        [(count, name)] if *count == group.len() => Some(format!("{inside} span {}", clean(name))),
        all => {
            let named = all.iter().take(MAX_SPANS).map(|(count, name)| format!("{} ({count})", clean(name)));
            let named: Vec<String> = named.collect();
            let others = match all.len().saturating_sub(MAX_SPANS) {
                0 => String::new(),
                1 => " and 1 other".to_owned(),
                others => format!(" and {others} others"),
            };
            let spans = if all.len() == 1 { "span" } else { "spans" };
            Some(format!("{inside} {spans} {}{others}", named.join(", ")))
        }
    }
}

/// `#42 (worker)`
fn thread_label(tid: u32, name: Option<&str>) -> String {
    name.map_or_else(|| format!("#{tid}"), |name| format!("#{tid} ({})", clean(name)))
}

/// What the stacks of a task do not show, each reason once.
pub(in crate::views) fn missing_of_tasks(stacks: &[Stack]) -> impl Iterator<Item = String> {
    let mut known: HashSet<(&str, &str)> = HashSet::default();
    let reasons = stacks.iter().filter_map(|stack| {
        let what = if stack.frames.is_empty() { "no stack" } else { "incomplete" };
        Some((what, stack.incomplete.as_deref()?))
    });
    let new = reasons.filter(move |reason| known.insert(*reason));
    new.map(|(what, reason)| format!("{what}: {}", clean(reason)))
}

/// What a task is doing, in a few words.
pub(in crate::views) fn task_state(task: &Task) -> &'static str {
    match (&task.state, task.blocking) {
        (TaskState::Polling { .. }, false) => "being polled",
        (TaskState::Polling { .. }, true) => "running",
        (TaskState::Woken { .. }, _) => "woken and not polled",
        (TaskState::Waiting { .. }, _) => "waiting",
        (TaskState::New, false) => "not polled yet",
        (TaskState::New, true) => "waiting for a thread",
    }
}

/// The tasks of a group by number and labels; of one alone, its labels.
pub(in crate::views) fn tasks_named(group: &[&Task]) -> Vec<String> {
    match group {
        [task] if task.labels.is_empty() => Vec::new(),
        [task] => vec![labels(task)],
        _ => {
            let more = group.len().saturating_sub(MAX_NAMED);
            let tail = (more > 0).then(|| format!("and {more} more"));
            group.iter().take(MAX_NAMED).map(|task| member(task)).chain(tail).collect()
        }
    }
}

/// `#12 (request = GET /orders/42) on thread #77 (web)`
pub(in crate::views) fn member(task: &Task) -> String {
    let labelled = labelled(task);
    match &task.state {
        TaskState::Polling { tid, thread, .. } => {
            format!("{labelled} on thread {}", thread_label(*tid, thread.as_deref()))
        }
        _ => labelled,
    }
}

/// A note on tasks that the section does not show, and on what would show them. `None` if no such
/// tasks are known.
pub(in crate::views) fn untracked(section: &GreenThreads) -> Option<String> {
    let runtimes = &section.runtimes;
    let untracked = sum(runtimes.iter().filter_map(|runtime| runtime.untracked_tasks));
    let alive = sum(runtimes.iter().map(|runtime| runtime.alive_tasks));
    if untracked > 0 {
        let whose = if runtimes.len() == 1 { "the runtime's" } else { "the runtimes'" };
        let (verb, them) = if untracked == 1 { ("is", "it") } else { ("are", "them") };
        let why = if untracked >= alive {
            format!(
                "to see those that your code spawns, write {GMR_TOKIO} in Cargo.toml, with the features that \
                 tokio has there"
            )
        } else {
            format!(
                "another crate has spawned {them}, as axum and hyper do for each connection (gmr's feature \
                 `tower` shows the requests), or your code has by a method of Runtime or Handle, or without \
                 gmr-tokio"
            )
        };
        let least = least(untracked, alive);
        return Some(format!("{least}{untracked} of {whose} tasks {verb} not shown: {why}"));
    }
    let uncounted = |library| section.uncounted_runtimes.iter().any(|runtime| runtime.library == library);
    if uncounted(TOKIO) {
        return Some(format!(
            "tokio's tasks are shown only if they are tracked: to see those that your code spawns, write \
             {GMR_TOKIO} in Cargo.toml, with the features that tokio has there"
        ));
    }
    let tracks = section.tasks.iter().any(|task| &*task.name != "main");
    let library = section.uncounted_runtimes.first().filter(|_| !tracks)?;
    Some(format!(
        "tasks of {} are shown only if they are tracked: spawn `future.tracked()`, with gmr::task::TrackExt",
        clean(&library.library)
    ))
}

/// A document can have any numbers.
fn sum(numbers: impl Iterator<Item = usize>) -> usize {
    numbers.fold(0, usize::saturating_add)
}

const TOKIO: &str = "tokio";

/// The line that makes a program's tasks visible.
const GMR_TOKIO: &str = "tokio = { package = \"gmr-tokio\", version = \"1\", features = [..] }";

/// `120: 117 waiting, 2 being polled, 1 woken and not polled`
pub(in crate::views) fn totals(tasks: &[Task]) -> String {
    if tasks.is_empty() {
        return "none tracked".to_owned();
    }
    let states = [
        "waiting",
        "being polled",
        "running",
        "woken and not polled",
        "not polled yet",
        "waiting for a thread",
    ];
    let mut counts = states.map(|_| 0_usize);
    for task in tasks {
        let index = states.iter().position(|state| *state == task_state(task));
        counts[index.unwrap_or_default()] += 1;
    }
    let parts = counts.iter().zip(states).filter(|(count, _)| **count > 0);
    let parts: Vec<String> = parts.map(|(count, state)| format!("{count} {state}")).collect();
    format!("{}: {}", tasks.len(), parts.join(", "))
}

/// The runtimes, one in each line; equal ones are counted.
pub(in crate::views) fn runtimes(section: &GreenThreads) -> Vec<String> {
    let mut places: HashMap<String, usize> = HashMap::default();
    let mut known: Vec<(String, usize)> = Vec::new();
    for line in section.runtimes.iter().map(described) {
        let place = *places.entry(line.clone()).or_insert(known.len());
        match known.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => known.push((line, 1)),
        }
    }
    let known = known.into_iter().map(|(line, count)| match count {
        1 => line,
        _ => format!("{count} x {line}"),
    });
    let uncounted = section.uncounted_runtimes.iter().map(|runtime| {
        let threads = counted(runtime.threads, "thread");
        format!("{}, in {threads}; its tasks can't be counted", clean(&runtime.library))
    });
    known.chain(uncounted).collect()
}

/// The model's number of untracked tasks is the least. It is exact if no task is tracked.
fn least(untracked: usize, alive: usize) -> &'static str {
    if untracked >= alive { "" } else { "at least " }
}

fn described(runtime: &Runtime) -> String {
    let untracked = runtime.untracked_tasks.filter(|untracked| *untracked > 0);
    format!(
        "{}, {}, {} alive{}, {} queued{}",
        clean(&runtime.kind),
        counted(runtime.workers, "worker"),
        counted(runtime.alive_tasks, "task"),
        untracked
            .map(|untracked| format!(", {}{untracked} not tracked", least(untracked, runtime.alive_tasks)))
            .unwrap_or_default(),
        runtime.queued_tasks,
        if runtime.may_be_dropped { "; may have been dropped" } else { "" }
    )
}

fn counted_polls(group: &[&Task]) -> String {
    let polls = || group.iter().map(|task| task.polls);
    let (fewest, most) = (polls().min().unwrap_or(0), polls().max().unwrap_or(0));
    let range = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    let noun = if most == 1 { "poll" } else { "polls" };
    format!("{range} {noun}{}", if group.len() > 1 { " each" } else { "" })
}

/// `#12 (request = GET /orders/42)`
pub(in crate::views) fn labelled(task: &Task) -> String {
    if task.labels.is_empty() { format!("#{}", task.id) } else { format!("#{} ({})", task.id, labels(task)) }
}

fn labels(task: &Task) -> String {
    let pairs = task.labels.iter().map(|label| format!("{} = {}", clean(&label.key), clean(&label.value)));
    pairs.collect::<Vec<_>>().join(", ")
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{TaskSpan, UncountedRuntime};

    #[test]
    fn the_spans_of_a_group_are_counted() {
        let in_spans = |names: &[Option<&str>]| {
            let with = |(id, name): (u64, Option<&str>)| Task {
                id,
                name: "shop::work".into(),
                spawned_at: "shop.rs:1:1".into(),
                age_ms: 0,
                polls: 1,
                labels: Vec::new(),
                blocking: false,
                runtime: None,
                wakers: None,
                span: name.map(|name| TaskSpan { id, name: name.into() }),
                state: TaskState::Waiting { waiting_ms: 0 },
                stacks: Arc::default(),
            };
            let tasks: Vec<Task> = (1..).zip(names.iter().copied()).map(with).collect();
            spans(&tasks.iter().collect::<Vec<_>>()).unwrap_or_default()
        };
        assert_eq!(in_spans(&[None, None]), "");
        assert_eq!(in_spans(&[Some("a\u{7}")]), "last polled in span a\\u{7}");
        assert_eq!(in_spans(&[Some("a"), Some("a")]), "last polled in span a");
        assert_eq!(in_spans(&[Some("a"), None]), "last polled in span a (1)");
        assert_eq!(in_spans(&[Some("b"), Some("a"), Some("a")]), "last polled in spans a (2), b (1)");
        let many = ["f", "e", "d", "c", "b", "a"].map(Some);
        assert_eq!(in_spans(&many[1..]), "last polled in spans e (1), d (1), c (1), b (1) and 1 other");
        assert_eq!(in_spans(&many), "last polled in spans f (1), e (1), d (1), c (1) and 2 others");
    }

    fn section(alive_and_untracked: &[(usize, Option<usize>)], uncounted: &[&str]) -> GreenThreads {
        let runtime = |(alive_tasks, untracked_tasks): &(usize, Option<usize>)| Runtime {
            kind: "tokio, multi-thread".to_owned(),
            workers: 2,
            alive_tasks: *alive_tasks,
            untracked_tasks: *untracked_tasks,
            may_be_dropped: *alive_tasks == 0,
            queued_tasks: 0,
            stuck_workers: None,
            worker_busy_ms: Vec::new(),
        };
        let uncounted =
            uncounted.iter().map(|library| UncountedRuntime { library: (*library).into(), threads: 3 });
        GreenThreads {
            runtimes: alive_and_untracked.iter().map(runtime).collect(),
            uncounted_runtimes: uncounted.collect(),
            ..GreenThreads::default()
        }
    }

    #[test]
    fn the_note_fits_the_program() {
        let note =
            |alive_and_untracked: &[_], uncounted: &[_]| untracked(&section(alive_and_untracked, uncounted));
        for nothing in [note(&[], &[]), note(&[(7, Some(0))], &[]), note(&[(7, None)], &[])] {
            assert_eq!(nothing, None);
        }
        let all = note(&[(50, Some(50))], &[]).unwrap();
        assert!(all.starts_with("50 of the runtime's tasks are not shown: "), "{all}");
        assert!(all.contains("tokio = { package = \"gmr-tokio\", version = \"1\""), "{all}");
        let some = note(&[(3, Some(1)), (4, Some(0))], &["smol"]).unwrap();
        assert!(
            some.starts_with("at least 1 of the runtimes' tasks is not shown: ") && some.contains("Handle"),
            "{some}"
        );
        let by_frames = note(&[], &["smol", "tokio"]).unwrap();
        assert!(
            by_frames.starts_with("tokio's tasks are shown only if") && by_frames.contains("gmr-tokio"),
            "{by_frames}"
        );
        let smol = note(&[], &["smol"]).unwrap();
        assert!(smol.starts_with("tasks of smol are shown only if") && smol.contains("TrackExt"), "{smol}");
    }

    #[test]
    fn untracked_tasks_are_counted_with_their_runtime() {
        let counts = [(50, Some(48)), (1, Some(0)), (0, Some(0)), (0, Some(0))];
        let lines = runtimes(&section(&counts, &["smol"]));
        let expected = [
            "tokio, multi-thread, 2 workers, 50 tasks alive, at least 48 not tracked, 0 queued",
            "tokio, multi-thread, 2 workers, 1 task alive, 0 queued",
            "2 x tokio, multi-thread, 2 workers, 0 tasks alive, 0 queued; may have been dropped",
            "smol, in 3 threads; its tasks can't be counted",
        ];
        assert_eq!(lines, expected);
    }
}
