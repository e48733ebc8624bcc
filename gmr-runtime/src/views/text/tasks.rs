//! Green Threads: totals, then the tasks, grouped by name, spawn location, state and stack.
//!
//! Tasks that are being polled come first, then those that were woken and not polled since, then
//! the others by how long they have waited.

use std::fmt::Write as _;

use super::layout::Flush;
use super::stacks::{frames, title, wrapped};
use crate::model::{GreenThreads, Task};
use crate::views::grouping;
use crate::views::room::not_shown;
use crate::views::{Context, words};

pub(super) fn green_threads(
    text: &mut String,
    section: &GreenThreads,
    cx: Context<'_>,
    flush: &mut Flush<'_>,
) {
    for note in words::notes(&section.notes) {
        let _ = writeln!(text, "note = {note}");
    }
    let _ = writeln!(text, "tasks = {}", words::totals(&section.tasks));
    let runtimes = words::runtimes(section);
    for (index, runtime) in runtimes.iter().enumerate() {
        if !cx.room.take(runtime.len()) {
            let _ = writeln!(text, "{}", not_shown(runtimes.len() - index, "runtime"));
            break;
        }
        let _ = writeln!(text, "runtime = {runtime}");
        flush(text);
    }
    if let Some(note) = words::untracked(section) {
        let _ = writeln!(text, "note = {note}");
    }
    let groups = grouping::of_tasks(&section.tasks, cx.frames);
    for (index, group) in groups.iter().enumerate() {
        text.push('\n');
        if !cx.room.take_row() {
            let left = groups[index..].iter().map(Vec::len).sum();
            let _ = writeln!(text, "{}", not_shown(left, "task"));
            break;
        }
        let before = text.len();
        title(text, &words::tasks_title(group, cx));
        for line in words::tasks_facts(group) {
            let _ = writeln!(text, "{line}");
        }
        let named = words::tasks_named(group);
        if !named.is_empty() {
            wrapped(text, named.into_iter(), &mut |_| ());
        }
        cx.room.spend(text.len() - before);
        stacks(text, group[0], cx, flush);
        flush(text);
    }
}

/// Where a task waits, if known. Frames that several branches have in common are shown once, below
/// them.
fn stacks(text: &mut String, task: &Task, cx: Context<'_>, flush: &mut Flush<'_>) {
    if !task.stacks.is_empty() {
        text.push('\n');
    }
    let points = grouping::wait_points(task, cx);
    let branches = points.branches();
    match branches.len() {
        0 => {}
        1 => branches.for_each(|only| frames(text, &only, 0, cx, flush)),
        many => {
            for (index, branch) in branches.enumerate() {
                if !cx.room.take_row() {
                    let _ = writeln!(text, "{}", not_shown(many - index, "branch"));
                    break;
                }
                let _ = writeln!(text, "branch {} of {many}:", index + 1);
                frames(text, &branch, 1, cx, flush);
            }
            let common = points.common();
            if !common.parts().is_empty() {
                text.push_str("all branches called from:\n");
                frames(text, &common, 1, cx, flush);
            }
        }
    }
    let mut reasons = words::missing_of_tasks(&task.stacks);
    while let Some(reason) = reasons.next() {
        if !cx.room.take(reason.len()) {
            let _ = writeln!(text, "{}", not_shown(1 + reasons.count(), "reason"));
            break;
        }
        let _ = writeln!(text, "({reason})");
        flush(text);
    }
}
