//! Green Threads: totals, then the tasks, those that wait at the same place and were started at the same line together.
//!
//! First those that a thread is inside of, then those that nobody polls, then by how long they have waited.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::escape::clean;
use super::folding;
use super::stacks::{frame, title, wrapped};
use super::{Detail, counted};
use crate::model::{Frame, GreenThreads, Runtime, Stack, Task, TaskState};

/// How many tasks of a group are named, the oldest first.
const NAMED: usize = 8;

pub(super) fn green_threads(text: &mut String, section: &GreenThreads, detail: Detail) {
    for note in &section.notes {
        let _ = writeln!(text, "note = {}", clean(note));
    }
    let _ = writeln!(text, "tasks = {}", totals(&section.tasks));
    for runtime in &section.runtimes {
        let _ = writeln!(text, "runtime = {}", described(runtime));
    }
    let alive: usize = section.runtimes.iter().map(|runtime| runtime.alive_tasks).sum();
    if alive > section.tasks.len() {
        let _ = writeln!(
            text,
            "note = {} of the runtime's tasks are not tracked and not shown; gmr::task::spawn tracks a task",
            alive - section.tasks.len()
        );
    }
    for group in groups(&section.tasks) {
        text.push('\n');
        heading(text, &group);
        text.push('\n');
        stacks(text, &group[0].stacks, detail);
    }
}

/// `120: 117 waiting, 2 being polled, 1 woken and not polled`
fn totals(tasks: &[Task]) -> String {
    if tasks.is_empty() {
        return "none tracked; gmr::task::spawn tracks a task".to_owned();
    }
    let mut counts = [0_usize; 4];
    for task in tasks {
        counts[rank(&task.state)] += 1;
    }
    let names = ["being polled", "woken and not polled", "waiting", "not polled yet"];
    let parts = [2, 0, 1, 3].map(|kind: usize| (counts[kind], names[kind]));
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    format!("{}: {}", tasks.len(), parts.join(", "))
}

fn rank(state: &TaskState) -> usize {
    match state {
        TaskState::Polling { .. } => 0,
        TaskState::Woken { .. } => 1,
        TaskState::Waiting { .. } => 2,
        TaskState::New => 3,
    }
}

/// For how long it has been in its state.
fn lasting(task: &Task) -> u64 {
    match &task.state {
        TaskState::Polling { polling_ms, .. } => *polling_ms,
        TaskState::Woken { woken_ms, waiting_ms } => woken_ms + waiting_ms,
        TaskState::Waiting { waiting_ms } => *waiting_ms,
        TaskState::New => task.age_ms,
    }
}

fn described(runtime: &Runtime) -> String {
    format!(
        "{}, {}, {} alive, {} queued",
        clean(&runtime.kind),
        counted(runtime.workers, "worker"),
        counted(runtime.alive_tasks, "task"),
        runtime.queued_tasks
    )
}

/// Tasks of one name that were started at one line, do the same, and wait at the same place. Those that a thread is inside of stand alone: each has its thread.
fn groups(tasks: &[Task]) -> Vec<Vec<&Task>> {
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

fn heading(text: &mut String, group: &[&Task]) {
    let first = group[0];
    match group {
        [task] => title(text, &format!("Task #{} ({})", task.id, clean(&task.name))),
        _ => title(text, &format!("{} like this: {}", counted(group.len(), "task"), clean(&first.name))),
    }
    let _ = writeln!(text, "spawned at {}", clean(&first.spawned_at));
    match &first.state {
        TaskState::Polling { tid, thread, polling_ms } => {
            let name = thread.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
            let time = duration(*polling_ms);
            let _ = writeln!(
                text,
                "thread #{tid}{name} has been inside this task's poll for {time}: see Threads"
            );
        }
        TaskState::Woken { woken_ms, .. } => {
            let time = duration(*woken_ms);
            let _ = writeln!(
                text,
                "woken for this report {time} ago and not polled since: its runtime has no thread free for it"
            );
        }
        TaskState::Waiting { .. } | TaskState::New => {}
    }
    let verb = match &first.state {
        TaskState::Waiting { .. } | TaskState::Woken { .. } => "waiting",
        TaskState::New => "never polled",
        TaskState::Polling { .. } => "",
    };
    let shortest = group.last().map_or(0, |task| lasting(task));
    if !verb.is_empty() {
        let range = match group {
            [_] => duration(lasting(first)),
            _ => format!("{} (the longest) to {}", duration(lasting(first)), duration(shortest)),
        };
        let _ = writeln!(text, "{verb} for {range}, {}", counted_polls(group));
    }
    if group.len() > 1 {
        let more = group.len().saturating_sub(NAMED);
        let tail = (more > 0).then(|| format!("and {more} more"));
        wrapped(text, group.iter().take(NAMED).map(|task| labelled(task)).chain(tail));
    } else if !first.labels.is_empty() {
        let _ = writeln!(text, "{}", labels(first));
    }
}

fn counted_polls(group: &[&Task]) -> String {
    let polls = group.iter().map(|task| task.polls).max().unwrap_or(0);
    let noun = if polls == 1 { "poll" } else { "polls" };
    match group {
        [_] => format!("{polls} {noun}"),
        _ => format!("at most {polls} {noun}"),
    }
}

/// `#12 (request = GET /orders/42)`
fn labelled(task: &Task) -> String {
    if task.labels.is_empty() { format!("#{}", task.id) } else { format!("#{} ({})", task.id, labels(task)) }
}

fn labels(task: &Task) -> String {
    let pairs = task.labels.iter().map(|label| format!("{} = {}", clean(&label.key), clean(&label.value)));
    pairs.collect::<Vec<_>>().join(", ")
}

fn duration(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

/// Where a task waits. Of several places, what they have in common stands once, below them.
fn stacks(text: &mut String, stacks: &[Stack], detail: Detail) {
    let shown: Vec<Vec<Arc<Frame>>> = stacks
        .iter()
        .map(|stack| match detail {
            Detail::Short => folding::of_task(&stack.frames),
            Detail::Full => stack.frames.clone(),
        })
        .collect();
    match &shown[..] {
        [] => {}
        [only] => only.iter().for_each(|one| write_frame(text, one, 0, detail)),
        many => {
            let common = in_common(many);
            for (index, branch) in many.iter().enumerate() {
                let _ = writeln!(text, "waiting at {} of {}:", index + 1, many.len());
                branch[..branch.len() - common].iter().for_each(|one| write_frame(text, one, 1, detail));
            }
            if common > 0 {
                text.push_str("all of them called by:\n");
                let first = &many[0];
                first[first.len() - common..].iter().for_each(|one| write_frame(text, one, 1, detail));
            }
        }
    }
    for reason in stacks.iter().filter_map(|stack| stack.incomplete.as_ref()) {
        let _ = writeln!(text, "(incomplete: {})", clean(reason));
    }
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

/// A frame, an `async fn` by the name that its author gave it.
fn write_frame(text: &mut String, one: &Arc<Frame>, depth: usize, detail: Detail) {
    let name = one.function.as_deref().unwrap_or_default();
    let written = folding::as_written(name);
    if detail == Detail::Full || written == name {
        return frame(text, one, depth);
    }
    frame(text, &Frame { function: Some(written.to_owned()), inlined: false, ..Frame::clone(one) }, depth);
}
