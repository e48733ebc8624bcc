//! Threads and tasks, in groups.

use std::io;

use maud::{Markup, html};

use super::anchors;
use super::lists::{notes, rows, spent};
use super::stacks::{Style, VERBOSE_GROUPS, frames_and_end, name, parts};
use super::{PLACEHOLDER, split_at_placeholder};
use crate::model::{GreenThreads, Role, Task, Thread, Threads};
use crate::sys::sort;
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Part;
use crate::views::grouping::{self, WaitPoints};
use crate::views::room::not_shown;
use crate::views::{Detail, words};

/// Number of groups that are unfolded when the page is opened. The rest is folded, to keep the page
/// short.
const OPEN_GROUPS: usize = 12;

pub(super) fn threads(section: &Threads, style: Style<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (reporting, others): (Vec<&Thread>, Vec<&Thread>) = section
        .threads
        .iter()
        .partition(|thread| style.cx.detail == Detail::Short && thread.role == Role::Reporter);
    let groups = grouping::of_threads(others, style.cx.frames);
    let (before, after) = split_at_placeholder(html! {
        (notes(&section.notes))
        @if style.cx.detail == Detail::Short { p.note { "Runtime frames are omitted; set GMR_BACKTRACE=full to include them." } }
        @if groups.len() > VERBOSE_GROUPS { p.note { "Only the first " (VERBOSE_GROUPS) " groups are shown with full paths and source lines." } }
        (PLACEHOLDER)
        @if !reporting.is_empty() {
            p.note { (counted(reporting.len(), "thread")) " making this report: " (thread_names(&reporting)) }
        }
    });
    out.write_all(before.as_bytes())?;
    let room = style.cx.room;
    for (place, group) in groups.iter().enumerate() {
        if !room.take_row() {
            let left = groups[place..].iter().map(Vec::len).sum();
            let note = html! { p.note { (not_shown(left, "thread")) } };
            out.write_all(note.into_string().as_bytes())?;
            break;
        }
        let (before, after) = split_at_placeholder(thread_group(group, place < OPEN_GROUPS, style.at(place)));
        room.spend(before.len() + after.len());
        out.write_all(before.as_bytes())?;
        // A pool can have thousands of threads.
        for (index, thread) in group.iter().enumerate().filter(|_| group.len() > 1) {
            let name = if room.take_row() {
                thread_name(index, thread)
            } else {
                html! { ", " (not_shown(group.len() - index, "thread")) }
            };
            room.spend(name.0.len());
            out.write_all(name.0.as_bytes())?;
            if !room.has_row() {
                break;
            }
        }
        out.write_all(after.as_bytes())?;
    }
    out.write_all(after.as_bytes())
}

/// The most threads of a group that are named at once. If there are more, their names are folded
/// below a line with the first ranges of them.
const MAX_NAMED: usize = 12;

fn thread_group(group: &[&Thread], open: bool, style: Style<'_>) -> Markup {
    let pool_thread =
        grouping::pool_thread(group[0], style.cx.frames).filter(|_| style.cx.detail == Detail::Short);
    let is_idle = pool_thread.as_ref().is_some_and(|thread| thread.is_idle);
    let shown = match &pool_thread {
        Some(thread) => vec![Part::Frame(thread.frame)],
        None => grouping::shown(&group[0].stack, style.cx),
    };
    let alone = group.len() == 1;
    let states: Vec<_> = group.iter().filter_map(|thread| thread.state.as_deref()).collect();
    html! {
        details.group id=[alone.then(|| anchors::thread(group[0].tid))] data-states=(states_of(&states)) open[open && !is_idle] {
            summary {
                span.title { (words::threads_title(group)) }
                @if is_idle { span.badge { "idle" } }
                @if let Some(name) = shown.iter().find_map(|part| name(part, style)) { " " span.where { (name) } }
            }
            @if alone { (PLACEHOLDER) } @else if group.len() <= MAX_NAMED { p.members { (PLACEHOLDER) } } @else {
                details.members { summary { (first_names(group)) } p { (PLACEHOLDER) } }
            }
            @for line in words::threads_facts(group) { p { (line) } }
            (frames_and_end(&shown, &group[0].stack, style))
            @if let Some(thread) = &pool_thread { p.note { (words::pool_thread(thread)) } }
        }
    }
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

/// The distinct states, for the filter.
fn states_of(states: &[&str]) -> String {
    let mut states: Vec<String> = states.iter().map(|state| clean(state).into_owned()).collect();
    sort::all(&mut states);
    states.dedup();
    states.join("|")
}

fn thread_names(threads: &[&Thread]) -> Markup {
    html! { @for (index, thread) in threads.iter().enumerate() { (thread_name(index, thread)) } }
}

/// An item of a comma-separated list of names.
fn thread_name(index: usize, thread: &Thread) -> Markup {
    html! { @if index > 0 { ", " } span id=(anchors::thread(thread.tid)) { (words::label(thread)) } }
}

pub(super) fn green_threads(
    section: &GreenThreads,
    style: Style<'_>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let heading = html! {
        (notes(&section.notes))
        p { "tasks = " (words::totals(&section.tasks)) }
        @for runtime in words::runtimes(section) { p { "runtime = " (runtime) } }
        @if let Some(note) = words::untracked(section) { p.note { (note) } }
    };
    out.write_all(heading.into_string().as_bytes())?;
    let groups = grouping::of_tasks(&section.tasks, style.cx.frames);
    for (place, group) in groups.iter().enumerate() {
        if !style.cx.room.take_row() {
            let left = groups[place..].iter().map(Vec::len).sum();
            let note = html! { p.note { (not_shown(left, "task")) } };
            out.write_all(note.into_string().as_bytes())?;
            break;
        }
        let shown = task_group(group, place < OPEN_GROUPS, style.at(place)).into_string();
        style.cx.room.spend(shown.len());
        out.write_all(shown.as_bytes())?;
    }
    Ok(())
}

fn task_group(group: &[&Task], open: bool, style: Style<'_>) -> Markup {
    let WaitPoints { branches, common } = grouping::wait_points(group[0], style.cx);
    let alone = group.len() == 1;
    let waits_at = branches.first().and_then(|branch| branch.first());
    html! {
        details.group id=[alone.then(|| anchors::task(group[0].id))] data-states=(words::task_state(group[0])) open[open] {
            summary {
                span.title { (words::tasks_title(group, style.cx)) }
                " " span.badge { (words::task_state(group[0])) }
                @if let Some(name) = waits_at.and_then(|part| name(part, style)) { " " span.where { (name) } }
            }
            // Tasks that are not named have no anchor. A finding links to its first task.
            p.members {
                @for (index, named) in words::tasks_named(group).into_iter().enumerate() {
                    @if index > 0 { ", " }
                    @if let Some(task) = group.get(index).filter(|_| !alone) { span id=(anchors::task(task.id)) { (named) } } @else { (named) }
                }
            }
            @for line in words::tasks_facts(group) { p { (line) } }
            @match &branches[..] {
                [] => {}
                [only] => { (parts(only, style)) }
                many => {
                    (rows(many.iter().enumerate(), "branch", style.cx.room, |(index, branch)| spent(html! {
                        p { "branch " (index + 1) " of " (many.len()) ":" }
                        (parts(branch, style))
                    }, style.cx.room)))
                    @if !common.is_empty() { p { "all branches called from:" } (parts(&common, style)) }
                }
            }
            @for reason in words::missing_of_tasks(&group[0].stacks) { p.note { (reason) } }
        }
    }
}
