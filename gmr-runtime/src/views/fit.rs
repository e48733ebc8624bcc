//! Makes a report smaller until a view of it fits into a number of bytes: what tells least is left
//! out first, and the heading and the sections say so. It never changes the findings and the
//! Package section, so that a report with many findings can be larger than a small limit.

use std::sync::Arc;

use super::Known;
use super::folding::of_stack;
use crate::model::{Content, Finding, Report, Role, Section, Stack, Thread};
use crate::sys::sort;
use crate::sys::sorted_map::SortedMap;
use crate::units;

/// How many entries each list of a section keeps, if it is shortened. The first of them is more
/// than a person reads, the last is enough to see what there is.
const ROWS: [usize; 4] = [10_000, 1_000, 100, 10];

/// How many bytes of a section's own text are kept for each row of a list.
const BYTES_OF_ROW: usize = 100;

/// In place of the end of such a text.
const MORE: &str = "\n... (the end is left out)";

/// Renders the report, without what tells least if it is larger than this many bytes otherwise.
pub(super) fn fit(report: &Report, limit: usize, render: impl Fn(&Report) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = render(report);
    if bytes.len() <= limit {
        return bytes;
    }
    let mut short = Short::of(report, limit);
    while bytes.len() > limit && short.leave_out_more() {
        bytes = render(&short.report);
    }
    bytes
}

/// What is left out, in this order. A step is taken until there is no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Half of the different stacks of threads that run nothing of the program.
    IdleStacks,
    SourceLines,
    /// Half of the different stacks of other threads that are blocked.
    Stacks,
    /// The ends of lists, behind so many entries as [`ROWS`] has at this index.
    Lists(usize),
    /// The largest section.
    Section,
}

impl Step {
    fn next(self) -> Option<Self> {
        match self {
            Self::IdleStacks => Some(Self::SourceLines),
            Self::SourceLines => Some(Self::Stacks),
            Self::Stacks => Some(Self::Lists(0)),
            Self::Lists(index) if index + 1 < ROWS.len() => Some(Self::Lists(index + 1)),
            Self::Lists(_) => Some(Self::Section),
            Self::Section => None,
        }
    }
}

/// A report from which parts are left out.
struct Short {
    report: Report,
    step: Step,
    limit: String,
    /// How many notes the heading has by itself.
    own_notes: usize,
    /// How many stacks of idle threads are left out, and of others.
    stacks: [usize; 2],
    has_no_source: bool,
    /// How many entries of lists are left out, of each kind.
    entries: Vec<(&'static str, usize)>,
    /// The titles of the sections that are left out.
    sections: Vec<String>,
}

impl Short {
    fn of(report: &Report, limit: usize) -> Self {
        Self {
            report: report.clone(),
            step: Step::IdleStacks,
            limit: format!("the report is limited to {}", units::bytes(limit as u64)),
            own_notes: report.heading.notes.len(),
            stacks: [0; 2],
            has_no_source: false,
            entries: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Leaves out what tells least of what is left. False if nothing can be left out.
    fn leave_out_more(&mut self) -> bool {
        loop {
            let has_changed = match self.step {
                Step::IdleStacks => self.halve_stacks(true),
                Step::SourceLines => self.leave_out_source_lines(),
                Step::Stacks => self.halve_stacks(false),
                Step::Lists(index) => self.shorten_lists(ROWS[index]),
                Step::Section => self.leave_out_largest_section(),
            };
            if has_changed {
                self.say_so();
                remove_unused_frames(&mut self.report);
                return true;
            }
            let Some(next) = self.step.next() else { return false };
            self.step = next;
        }
    }

    /// Writes into the heading what is left out.
    fn say_so(&mut self) {
        let [idle, others] = self.stacks;
        let stacks =
            |count, whose| (count > 0).then(|| format!("{} of {whose}", units::counted(count, "stack")));
        let entries = self.entries.iter().map(|(noun, count)| units::counted(*count, noun));
        let noun = if self.sections.len() == 1 { "the section" } else { "the sections" };
        let sections = (!self.sections.is_empty()).then(|| format!("{noun} {}", self.sections.join(", ")));
        let left_out: Vec<String> = stacks(idle, "idle threads")
            .into_iter()
            .chain(self.has_no_source.then(|| "source lines".to_owned()))
            .chain(stacks(others, "blocked threads"))
            .chain(entries)
            .chain(sections)
            .collect();
        let notes = &mut self.report.heading.notes;
        notes.truncate(self.own_notes);
        notes.push(format!("{}; left out: {}", self.limit, left_out.join("; ")));
        self.report.summary.sections = self.report.sections.len();
    }

    /// Leaves out the rarer half of the different stacks of idle threads, or of other threads that
    /// are blocked. The main thread and threads that a finding is about keep theirs.
    fn halve_stacks(&mut self, of_idle: bool) -> bool {
        let Report { sections, findings, frames, .. } = &mut self.report;
        let frames = Known::all(frames);
        let can_go = |thread: &Thread| {
            // Those that are not the program's tell less.
            let is_idle = || {
                !thread.role.is_program()
                    || !of_stack(&thread.stack, &frames).iter().any(|frame| frame.is_own())
            };
            !thread.stack.frames.is_empty()
                && !names_thread(findings, thread.tid)
                && if of_idle { is_idle() } else { thread.waiting.is_some() && thread.role != Role::Main }
        };
        let mut threads: Vec<&mut Thread> = sections
            .iter_mut()
            .flat_map(|section| match &mut section.content {
                Content::Threads(value) => &mut value.threads[..],
                _ => &mut [],
            })
            .filter(|thread| can_go(thread))
            .collect();
        let mut counts: SortedMap<Arc<[u32]>, usize> = SortedMap::new();
        for thread in &threads {
            *counts.entry(Arc::clone(&thread.stack.frames)) += 1;
        }
        let mut different: Vec<(usize, Arc<[u32]>)> =
            counts.iter().map(|(frames, count)| (*count, Arc::clone(frames))).collect();
        // The most frequent first; otherwise in the order of their frames, which is that of the
        // report.
        sort::by_key(&mut different, |(count, _)| usize::MAX - *count);
        different.truncate(different.len() / 2);
        let mut kept: SortedMap<Arc<[u32]>, ()> = SortedMap::new();
        for (_, frames) in different {
            kept.insert(frames, ());
        }
        let mut left_out = 0;
        for thread in &mut threads {
            if kept.get(&thread.stack.frames[..]).is_none() {
                thread.stack = Stack::missing(format!("left out, because {}", self.limit));
                left_out += 1;
            }
        }
        self.stacks[usize::from(!of_idle)] += left_out;
        left_out > 0
    }

    fn leave_out_source_lines(&mut self) -> bool {
        let count = self.report.frames.iter_mut().filter_map(|frame| frame.source.take()).count();
        self.has_no_source |= count > 0;
        count > 0
    }

    /// Shortens the lists of all sections to so many entries.
    fn shorten_lists(&mut self, rows: usize) -> bool {
        let Report { sections, findings, .. } = &mut self.report;
        let note = format!("some are left out, because {}; see the heading", self.limit);
        let mut has_changed = false;
        for section in sections {
            shorten(&mut section.content, rows, findings, &note, &mut |count, noun| {
                has_changed = true;
                match self.entries.iter_mut().find(|(known, _)| *known == noun) {
                    Some((_, before)) => *before += count,
                    None => self.entries.push((noun, count)),
                }
            });
        }
        has_changed
    }

    /// False if there is no section that can be left out.
    fn leave_out_largest_section(&mut self) -> bool {
        let frames = Known::all(&self.report.frames);
        let room = super::room::Room::new(super::room::MAX_TEXT);
        let cx = super::Context { frames: &frames, detail: super::Detail::Short, room: &room };
        let size = |section: &Section| super::text::section(section, cx).len();
        let sections = self.report.sections.iter().enumerate();
        let others = sections.filter(|(_, section)| !matches!(section.content, Content::Package(_)));
        let Some((largest, _)) = others.max_by_key(|(_, section)| size(section)) else { return false };
        self.sections.push(self.report.sections.remove(largest).title);
        true
    }
}

fn names_thread(findings: &[Finding], tid: u32) -> bool {
    findings.iter().any(|finding| {
        finding.threads.contains(&tid) || finding.evidence.iter().any(|evidence| evidence.thread == Some(tid))
    })
}

fn names_task(findings: &[Finding], id: u64) -> bool {
    findings.iter().any(|finding| {
        finding.tasks.contains(&id) || finding.evidence.iter().any(|evidence| evidence.task == Some(id))
    })
}

/// Shortens the lists of a section to so many entries, the ends of the lists first. What a finding
/// is about stays. `count` gets how many entries were left out, and their noun.
fn shorten(
    content: &mut Content,
    rows: usize,
    findings: &[Finding],
    note: &str,
    count: &mut dyn FnMut(usize, &'static str),
) {
    let mut count = |left_out: usize, noun, notes: Option<&mut Vec<String>>| {
        if left_out == 0 {
            return;
        }
        count(left_out, noun);
        // A step before may have left out some.
        if let Some(notes) = notes.filter(|notes| notes.last().is_none_or(|last| last != note)) {
            notes.push(note.to_owned());
        }
    };
    match content {
        Content::Threads(value) => {
            let left_out = retain(&mut value.threads, rows, |thread| names_thread(findings, thread.tid));
            count(left_out, "thread", Some(&mut value.notes));
        }
        Content::GreenThreads(value) => {
            let left_out = retain(&mut value.tasks, rows, |task| names_task(findings, task.id));
            count(left_out, "task", Some(&mut value.notes));
        }
        Content::Processes(value) => {
            let left_out = truncate(&mut value.processes, rows);
            count(left_out, "process", Some(&mut value.notes));
        }
        Content::Descriptors(value) => {
            let sockets: u64 =
                value.sockets.drain(rows.min(value.sockets.len())..).map(|group| group.count).sum();
            let files: u64 = value.files.drain(rows.min(value.files.len())..).map(|file| file.count).sum();
            value.more_sockets = value.more_sockets.saturating_add(sockets);
            value.more_files = value.more_files.saturating_add(files);
            let left_out = usize::try_from(sockets.saturating_add(files)).unwrap_or(usize::MAX);
            count(left_out, "descriptor", Some(&mut value.notes));
        }
        Content::Modules(value) => {
            let left_out = truncate(&mut value.modules, rows);
            count(left_out, "module", Some(&mut value.notes));
        }
        Content::Environment(value) => {
            let left_out = truncate(&mut value.variables, rows);
            count(left_out, "variable", Some(&mut value.notes));
        }
        Content::Spans(value) => {
            let left_out = truncate(&mut value.spans, rows);
            count(left_out, "span", Some(&mut value.notes));
        }
        Content::Events(value) => {
            // The last ones tell most.
            let left_out = value.events.len().saturating_sub(rows);
            value.events.drain(..left_out);
            count(left_out, "event", Some(&mut value.notes));
        }
        Content::Configuration(groups) => {
            for group in groups {
                shorten(&mut group.content, rows, findings, note, &mut |left_out, noun| {
                    count(left_out, noun, None);
                });
            }
        }
        Content::Text(text) => {
            // A step before may have shortened it.
            let length = text.strip_suffix(MORE).map_or(text.len(), str::len);
            let most = length.min(rows * BYTES_OF_ROW);
            let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
            if end < length {
                count(length - end, "byte", None);
                text.truncate(end);
                text.push_str(MORE);
            }
        }
        _ => {}
    }
}

/// Keeps the first items. Returns how many are left out.
fn truncate<T>(items: &mut Vec<T>, most: usize) -> usize {
    let left_out = items.len().saturating_sub(most);
    items.truncate(most);
    left_out
}

/// Keeps the first items, and those that are named. Returns how many are left out.
fn retain<T>(items: &mut Vec<T>, most: usize, is_named: impl Fn(&T) -> bool) -> usize {
    let before = items.len();
    let mut kept = 0;
    items.retain(|item| {
        kept += 1;
        kept <= most || is_named(item)
    });
    before - items.len()
}

/// In the place of a frame that nothing refers to.
const UNUSED: u32 = u32::MAX;

/// Removes the frames that no stack has any more.
fn remove_unused_frames(report: &mut Report) {
    let Report { sections, findings, frames, .. } = report;
    let mut places = vec![UNUSED; frames.len()];
    let mut mark = |index: u32| {
        if let Some(place) = places.get_mut(index as usize) {
            *place = 0;
        }
    };
    for section in sections.iter_mut() {
        each_stack(&mut section.content, &mut |indices| indices.iter().for_each(|&index| mark(index)));
    }
    each_frame(sections, findings, &mut |index| mark(*index));
    let used = places.iter_mut().filter(|place| **place != UNUSED);
    for (new, place) in (0..).zip(used) {
        *place = new;
    }
    let mut old = places.iter();
    frames.retain(|_| old.next().is_some_and(|place| *place != UNUSED));
    let place = |index: u32| places.get(index as usize).copied().unwrap_or(UNUSED);
    // Stacks that are the same list stay one. A list that is freed meanwhile is of no stack that
    // follows, so that its address can only be that of a new list, which is not looked up.
    let mut known: SortedMap<usize, Arc<[u32]>> = SortedMap::new();
    let mut renumber = |indices: &mut Arc<[u32]>| {
        let list = indices.as_ptr() as usize;
        if let Some(new) = known.get(&list) {
            *indices = Arc::clone(new);
            return;
        }
        let new: Arc<[u32]> = indices.iter().map(|&index| place(index)).collect();
        known.insert(list, Arc::clone(&new));
        *indices = new;
    };
    for section in sections.iter_mut() {
        each_stack(&mut section.content, &mut renumber);
    }
    each_frame(sections, findings, &mut |index| *index = place(*index));
}

/// Calls `change` with the frames of each stack of a section.
fn each_stack(content: &mut Content, change: &mut dyn FnMut(&mut Arc<[u32]>)) {
    match content {
        Content::Threads(value) => {
            for thread in &mut value.threads {
                change(&mut thread.stack.frames);
            }
        }
        Content::GreenThreads(value) => {
            for task in &mut value.tasks {
                let mut stacks = task.stacks.to_vec();
                for stack in &mut stacks {
                    change(&mut stack.frames);
                }
                task.stacks = stacks.into();
            }
        }
        Content::Configuration(groups) => {
            for group in groups {
                each_stack(&mut group.content, change);
            }
        }
        Content::Panicked(value) => change(&mut value.stack.frames),
        Content::TimedOut(value) => change(&mut value.overdue.stack.frames),
        Content::StillRunning(value) => change(&mut value.stack.frames),
        _ => {}
    }
}

/// Calls `change` with each frame that is referred to outside of stacks.
fn each_frame(sections: &mut [Section], findings: &mut [Finding], change: &mut dyn FnMut(&mut u32)) {
    let evidence = findings.iter_mut().flat_map(|finding| &mut finding.evidence);
    evidence.filter_map(|evidence| evidence.frame.as_mut()).for_each(&mut *change);
    for section in sections {
        let Content::Threads(threads) = &mut section.content else { continue };
        for lock in &mut threads.locks {
            lock.waiters.iter_mut().filter_map(|waiter| waiter.frame.as_mut()).for_each(&mut *change);
            lock.holders.iter_mut().filter_map(|holder| holder.frame.as_mut()).for_each(&mut *change);
        }
    }
}

#[cfg(all(test, not(gmr_units), feature = "html", feature = "json", feature = "xml"))]
mod tests;
