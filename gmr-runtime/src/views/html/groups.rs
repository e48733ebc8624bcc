//! Threads and tasks, in groups.

use std::iter;

use maud::{Markup, html};

use super::anchors;
use super::lists::notes;
use super::out::{Out, PLACEHOLDER, Written};
use super::stacks::{Style, VERBOSE_GROUPS, frames, frames_and_end, name};
use crate::model::{GreenThreads, Role, Stack, Task, Thread, Threads};
use crate::units::counted;
use crate::views::folding::Part;
use crate::views::grouping::{self, Shown};
use crate::views::room::not_shown;
use crate::views::{Detail, words};

/// Number of groups that are unfolded when the page is opened. The rest is folded, to keep the page
/// short.
const OPEN_GROUPS: usize = 12;

/// Number of groups in a block. A browser lays out only the blocks near the window, and the filter
/// hides a block as a whole: it is a few windows high, and thousands of groups are a hundred
/// blocks.
const BLOCK: usize = 50;

/// What comes before the group at this index: from the first that is not verbose on, groups are in
/// blocks.
fn block_before(place: usize) -> &'static str {
    match place.checked_sub(VERBOSE_GROUPS) {
        Some(0) => "<div class=\"block\">",
        Some(place) if place.is_multiple_of(BLOCK) => "</div><div class=\"block\">",
        _ => "",
    }
}

/// What comes after the last of so many groups.
fn block_end(groups: usize) -> &'static str {
    if groups > VERBOSE_GROUPS { "</div>" } else { "" }
}

/// Groups, as long as there is room, then what is said of the threads or tasks of the others.
fn in_blocks<'a, T>(
    groups: &[Vec<&'a T>],
    out: &mut Out<'_>,
    mut show: impl FnMut(usize, &[&'a T], &mut Out<'_>) -> Written,
    not_shown: impl FnOnce(&[&'a T], &mut Out<'_>) -> Written,
) -> Written {
    for (place, group) in groups.iter().enumerate() {
        if !out.room().take_row() {
            let left: Vec<&T> = groups[place..].iter().flatten().copied().collect();
            out.write(block_end(place))?;
            return out.around(&html! { p.note { (PLACEHOLDER) } }, |out| not_shown(&left, out));
        }
        out.write(block_before(place))?;
        show(place, group, out)?;
    }
    out.write(block_end(groups.len()))
}

pub(super) fn threads(section: &Threads, style: Style<'_>, out: &mut Out<'_>) -> Written {
    let (reporting, others): (Vec<&Thread>, Vec<&Thread>) = section
        .threads
        .iter()
        .partition(|thread| style.cx.detail == Detail::Short && thread.role == Role::Reporter);
    let groups = grouping::of_threads(others, style.cx.frames);
    notes(&section.notes, out)?;
    out.add(&html! {
        @if style.cx.detail == Detail::Short { p.note { "Runtime frames are omitted; set GMR_BACKTRACE=full to include them." } }
        @if groups.len() > VERBOSE_GROUPS { p.note { "Only the first " (VERBOSE_GROUPS) " groups are shown with full paths and source lines." } }
    })?;
    let group = |place, group: &[&Thread], out: &mut Out<'_>| {
        thread_group(group, place < OPEN_GROUPS, style.at(place), out)
    };
    in_blocks(&groups, out, group, |left, out| threads_not_shown(left, style, out))?;
    if reporting.is_empty() {
        return Ok(());
    }
    let making =
        html! { p.note { (counted(reporting.len(), "thread")) " making this report: " (PLACEHOLDER) } };
    out.around(&making, |out| {
        let mut all = reporting.iter().enumerate();
        all.try_for_each(|(index, thread)| thread_name(index, thread, out))
    })
}

/// How many are not shown, with the anchors of those that a link leads to.
fn threads_not_shown(threads: &[&Thread], style: Style<'_>, out: &mut Out<'_>) -> Written {
    for thread in threads.iter().filter(|thread| style.links.wants_thread(thread.tid)) {
        out.add(&html! { span id=(anchors::thread(thread.tid)) {} })?;
    }
    out.text(&not_shown(threads.len(), "thread"))
}

fn tasks_not_shown(tasks: &[&Task], style: Style<'_>, out: &mut Out<'_>) -> Written {
    for task in tasks.iter().filter(|task| style.links.wants_task(task.id)) {
        out.add(&html! { span id=(anchors::task(task.id)) {} })?;
    }
    out.text(&not_shown(tasks.len(), "task"))
}

/// The most threads of a group that are named at once. If there are more, their names are folded
/// below a line with the first ranges of them.
const MAX_NAMED: usize = 12;

/// The most states in the title of a group. Threads with the same stack hardly have as many.
const MAX_BADGES: usize = 3;

fn thread_group(group: &[&Thread], open: bool, style: Style<'_>, out: &mut Out<'_>) -> Written {
    let pool_thread =
        grouping::pool_thread(group[0], style.cx.frames).filter(|_| style.cx.detail == Detail::Short);
    let is_idle = pool_thread.as_ref().is_some_and(|thread| thread.is_idle);
    let open = open && !is_idle && group[0].role != Role::Gmr;
    let shown = match &pool_thread {
        Some(thread) => Shown::all(iter::once(Part::Frame(thread.frame))),
        None => grouping::shown(&group[0].stack, style.cx),
    };
    let alone = group.len() == 1;
    let doing = words::thread_states(group, is_idle);
    let around = html! {
        details.group.far[!style.verbose] id=(if alone { anchors::thread(group[0].tid) } else { anchors::threads(group[0].tid) }) data-states=(doing.join("|")) open[open] {
            summary {
                span.title { (words::threads_summary(group)) }
                @for state in doing.iter().take(MAX_BADGES) { " " i { (state) } }
                (where_is(&group[0].stack, &shown, style))
            }
            (PLACEHOLDER)
        }
    };
    out.around(&around, |out| {
        for line in words::threads_facts(group) {
            out.text_in(&html! { p { (PLACEHOLDER) } }, &line)?;
        }
        out.add(&style.related.to_threads(group, style.links))?;
        frames_and_end(&shown, &group[0].stack, style, out)?;
        if let Some(thread) = &pool_thread {
            out.add(&html! { p.note { (words::pool_thread(thread)) } })?;
        }
        if alone { Ok(()) } else { thread_names(group, style, out) }
    })
}

/// The threads of a group of several. A pool can have thousands. Those of a small group take no
/// rows.
fn thread_names(group: &[&Thread], style: Style<'_>, out: &mut Out<'_>) -> Written {
    let is_small = group.len() <= MAX_NAMED;
    let around = html! {
        @if is_small { p.members { (PLACEHOLDER) } } @else {
            details.members { summary { (first_names(group)) } p { (PLACEHOLDER) } }
        }
    };
    out.around(&around, |out| {
        for (index, thread) in group.iter().enumerate() {
            if !is_small && !out.room().take_row() {
                out.text(", ")?;
                return threads_not_shown(&group[index..], style, out);
            }
            thread_name(index, thread, out)?;
        }
        Ok(())
    })
}

/// The function that a group is in: the program's innermost one, or else the first that is shown.
fn where_is(stack: &Stack, shown: &Shown<'_>, style: Style<'_>) -> Markup {
    let own =
        grouping::own_function(stack, style.cx.frames).map(|frame| words::function(frame, style.cx.detail));
    let function = own.or_else(|| shown.parts().iter().find_map(|part| name(part, style)));
    html! { @if let Some(function) = function { " in " span.where { (function) } } }
}

/// The names of the first threads of a group, and how many more there are.
fn first_names(group: &[&Thread]) -> String {
    let ranges = words::threads_named(group);
    let (first, others) = ranges.split_at(ranges.len().min(MAX_NAMED));
    let more: usize = others.iter().map(|(_, threads)| threads).sum();
    let more = (more > 0).then(|| format!("and {more} more"));
    let names = first.iter().map(|(name, _)| name.clone()).chain(more);
    names.collect::<Vec<_>>().join(", ")
}

/// An item of a comma-separated list of names.
fn thread_name(index: usize, thread: &Thread, out: &mut Out<'_>) -> Written {
    let around = html! { @if index > 0 { ", " } span id=(anchors::thread(thread.tid)) { (PLACEHOLDER) } };
    out.text_in(&around, &words::label(thread))
}

pub(super) fn green_threads(section: &GreenThreads, style: Style<'_>, out: &mut Out<'_>) -> Written {
    notes(&section.notes, out)?;
    out.add(&html! { p { "tasks = " (words::totals(&section.tasks)) } })?;
    out.rows(words::runtimes(section).iter(), "runtime", |out, runtime| {
        out.text_in(&html! { p { "runtime = " (PLACEHOLDER) } }, runtime)
    })?;
    if let Some(note) = words::untracked(section) {
        out.add(&html! { p.note { (note) } })?;
    }
    let groups = grouping::of_tasks(&section.tasks, style.cx.frames);
    let group = |place, group: &[&Task], out: &mut Out<'_>| {
        task_group(group, place < OPEN_GROUPS, style.at(place), out)
    };
    in_blocks(&groups, out, group, |left, out| tasks_not_shown(left, style, out))
}

/// The tasks of a group of several with their labels, as long as there is room. All but the one
/// that is longest in its state are folded: labels are long, and the stack is what the page is read
/// for.
fn task_names(group: &[&Task], style: Style<'_>, out: &mut Out<'_>) -> Written {
    out.around(&html! { details.members { (PLACEHOLDER) } }, |out| {
        let more = group.len() - 1;
        let first = html! { summary { "longest in this state: " (PLACEHOLDER) ", and " (more) " more" } };
        out.around(&first, |out| task_name(group[0], out))?;
        out.around(&html! { p { (PLACEHOLDER) } }, |out| {
            for (index, task) in group.iter().enumerate().skip(1) {
                if index > 1 {
                    out.text(", ")?;
                }
                if !out.room().take_row() {
                    return tasks_not_shown(&group[index..], style, out);
                }
                task_name(task, out)?;
            }
            Ok(())
        })
    })
}

fn task_name(task: &Task, out: &mut Out<'_>) -> Written {
    out.text_in(&html! { span id=(anchors::task(task.id)) { (PLACEHOLDER) } }, &words::member(task))
}

fn task_group(group: &[&Task], open: bool, style: Style<'_>, out: &mut Out<'_>) -> Written {
    let first = group[0];
    let points = grouping::wait_points(first, style.cx);
    let mut branches = points.branches();
    let many = branches.len();
    let alone = group.len() == 1;
    let waits_at = branches.next().unwrap_or_default();
    let around = html! {
        details.group.far[!style.verbose] id=(if alone { anchors::task(first.id) } else { anchors::tasks(first.id) }) data-states=(words::task_state(first)) open[open] {
            summary {
                span.title { (words::tasks_title(group, style.cx)) }
                " " i { (words::task_state(first)) }
                @if let Some(stack) = first.stacks.first() { (where_is(stack, &waits_at, style)) }
            }
            (PLACEHOLDER)
        }
    };
    out.around(&around, |out| {
        if alone {
            out.text_in(&html! { p.members { (PLACEHOLDER) } }, &words::tasks_named(group).concat())?;
        }
        for line in words::tasks_facts(group) {
            out.text_in(&html! { p { (PLACEHOLDER) } }, &line)?;
        }
        out.add(&style.related.to_tasks(group))?;
        if many < 2 {
            frames(&waits_at, style, out)?;
        } else {
            let numbered = iter::once(waits_at).chain(branches).enumerate();
            out.rows(numbered, "branch", |out, (index, branch)| {
                out.add(&html! { p { "branch " (index + 1) " of " (many) ":" } })?;
                frames(&branch, style, out)
            })?;
            let common = points.common();
            if !common.parts().is_empty() {
                out.add(&html! { p { "all branches called from:" } })?;
                frames(&common, style, out)?;
            }
        }
        out.rows(words::missing_of_tasks(&first.stacks), "reason", |out, reason| {
            out.text_in(&html! { p.note { (PLACEHOLDER) } }, &reason)
        })?;
        if alone { Ok(()) } else { task_names(group, style, out) }
    })
}
