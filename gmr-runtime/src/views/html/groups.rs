//! Threads and tasks, in groups.

use std::io;

use maud::{Markup, PreEscaped, html};

use super::anchors;
use super::lists::{notes, rows, spent};
use super::pieces::{PLACEHOLDER, split_at_placeholder};
use super::stacks::{Style, VERBOSE_GROUPS, frames_and_end, name, parts};
use crate::model::{GreenThreads, Role, Stack, Task, Thread, Threads};
use crate::units::counted;
use crate::views::folding::Part;
use crate::views::grouping::{self, WaitPoints};
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
fn block_end(groups: usize) -> PreEscaped<&'static str> {
    PreEscaped(if groups > VERBOSE_GROUPS { "</div>" } else { "" })
}

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
    let mut in_blocks = groups.len();
    for (place, group) in groups.iter().enumerate() {
        if !room.take_row() {
            let left: Vec<&Thread> = groups[place..].iter().flatten().copied().collect();
            let note = html! { (block_end(place)) p.note { (threads_not_shown(&left, style)) } };
            out.write_all(note.into_string().as_bytes())?;
            in_blocks = 0;
            break;
        }
        out.write_all(block_before(place).as_bytes())?;
        let (before, after) = split_at_placeholder(thread_group(group, place < OPEN_GROUPS, style.at(place)));
        room.spend(before.len() + after.len());
        out.write_all(before.as_bytes())?;
        // A pool can have thousands of threads. Those of a small group take no rows.
        for (index, thread) in group.iter().enumerate().filter(|_| group.len() > 1) {
            let is_shown = group.len() <= MAX_NAMED || room.take_row();
            let name = if is_shown {
                thread_name(index, thread)
            } else {
                html! { ", " (threads_not_shown(&group[index..], style)) }
            };
            room.spend(name.0.len());
            out.write_all(name.0.as_bytes())?;
            if !is_shown {
                break;
            }
        }
        out.write_all(after.as_bytes())?;
    }
    out.write_all(block_end(in_blocks).0.as_bytes())?;
    out.write_all(after.as_bytes())
}

/// How many are not shown, with the anchors of those that a link leads to.
fn threads_not_shown(threads: &[&Thread], style: Style<'_>) -> Markup {
    let wanted = threads.iter().filter(|thread| style.links.wants_thread(thread.tid));
    html! {
        @for thread in wanted { span id=(anchors::thread(thread.tid)) {} }
        (not_shown(threads.len(), "thread"))
    }
}

fn tasks_not_shown(tasks: &[&Task], style: Style<'_>) -> Markup {
    let wanted = tasks.iter().filter(|task| style.links.wants_task(task.id));
    html! {
        @for task in wanted { span id=(anchors::task(task.id)) {} }
        (not_shown(tasks.len(), "task"))
    }
}

/// The most threads of a group that are named at once. If there are more, their names are folded
/// below a line with the first ranges of them.
const MAX_NAMED: usize = 12;

/// The most states in the title of a group. Threads with the same stack hardly have as many.
const MAX_BADGES: usize = 3;

fn thread_group(group: &[&Thread], open: bool, style: Style<'_>) -> Markup {
    let pool_thread =
        grouping::pool_thread(group[0], style.cx.frames).filter(|_| style.cx.detail == Detail::Short);
    let is_idle = pool_thread.as_ref().is_some_and(|thread| thread.is_idle);
    let open = open && !is_idle && group[0].role != Role::Gmr;
    let shown = match &pool_thread {
        Some(thread) => vec![Part::Frame(thread.frame)],
        None => grouping::shown(&group[0].stack, style.cx),
    };
    let alone = group.len() == 1;
    let doing = words::thread_states(group, is_idle);
    html! {
        details.group.far[!style.verbose] id=(if alone { anchors::thread(group[0].tid) } else { anchors::threads(group[0].tid) }) data-states=(doing.join("|")) open[open] {
            summary {
                span.title { (words::threads_summary(group)) }
                @for state in doing.iter().take(MAX_BADGES) { " " i { (state) } }
                (where_is(&group[0].stack, &shown, style))
            }
            @for line in words::threads_facts(group) { p { (line) } }
            (style.related.to_threads(group, style.links))
            (frames_and_end(&shown, &group[0].stack, style))
            @if let Some(thread) = &pool_thread { p.note { (words::pool_thread(thread)) } }
            @if alone { (PLACEHOLDER) } @else if group.len() <= MAX_NAMED { p.members { (PLACEHOLDER) } } @else {
                details.members { summary { (first_names(group)) } p { (PLACEHOLDER) } }
            }
        }
    }
}

/// The function that a group is in: the program's innermost one, or else the first that is shown.
fn where_is(stack: &Stack, shown: &[Part<'_>], style: Style<'_>) -> Markup {
    let own =
        grouping::own_function(stack, style.cx.frames).map(|frame| words::function(frame, style.cx.detail));
    let function = own.or_else(|| shown.iter().find_map(|part| name(part, style)));
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
    let mut in_blocks = groups.len();
    for (place, group) in groups.iter().enumerate() {
        if !style.cx.room.take_row() {
            let left: Vec<&Task> = groups[place..].iter().flatten().copied().collect();
            let note = html! { (block_end(place)) p.note { (tasks_not_shown(&left, style)) } };
            out.write_all(note.into_string().as_bytes())?;
            in_blocks = 0;
            break;
        }
        out.write_all(block_before(place).as_bytes())?;
        let group = task_group(group, place < OPEN_GROUPS, style.at(place)).into_string();
        style.cx.room.spend(group.len());
        out.write_all(group.as_bytes())?;
    }
    out.write_all(block_end(in_blocks).0.as_bytes())
}

/// The tasks of a group of several with their labels, as long as there is room. All but the one
/// that is longest in its state are folded: labels are long, and the stack is what the page is read
/// for.
fn task_names(group: &[&Task], style: Style<'_>) -> Markup {
    let mut names = String::new();
    for (index, task) in group.iter().enumerate().skip(1) {
        if !style.cx.room.take_row() {
            names.push_str(&html! { @if index > 1 { ", " } (tasks_not_shown(&group[index..], style)) }.0);
            break;
        }
        let name = html! { @if index > 1 { ", " } (task_name(task)) };
        style.cx.room.spend(name.0.len());
        names.push_str(&name.0);
    }
    html! {
        details.members {
            summary { "longest in this state: " (task_name(group[0])) ", and " (group.len() - 1) " more" }
            p { (PreEscaped(names)) }
        }
    }
}

fn task_name(task: &Task) -> Markup {
    html! { span id=(anchors::task(task.id)) { (words::member(task)) } }
}

fn task_group(group: &[&Task], open: bool, style: Style<'_>) -> Markup {
    let WaitPoints { branches, common } = grouping::wait_points(group[0], style.cx);
    let alone = group.len() == 1;
    let waits_at = branches.first().map_or(&[][..], Vec::as_slice);
    html! {
        details.group.far[!style.verbose] id=(if alone { anchors::task(group[0].id) } else { anchors::tasks(group[0].id) }) data-states=(words::task_state(group[0])) open[open] {
            summary {
                span.title { (words::tasks_title(group, style.cx)) }
                " " i { (words::task_state(group[0])) }
                @if let Some(stack) = group[0].stacks.first() { (where_is(stack, waits_at, style)) }
            }
            @if alone { p.members { (words::tasks_named(group).concat()) } }
            @for line in words::tasks_facts(group) { p { (line) } }
            (style.related.to_tasks(group))
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
            @if !alone { (task_names(group, style)) }
        }
    }
}
