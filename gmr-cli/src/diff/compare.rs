//! The comparison of two reports. It prints nothing.

use std::cmp::Reverse;
use std::collections::HashMap;

use gmr_runtime::Report;
use gmr_runtime::model::{Content, Frame, Resources, Stack, TaskState, Thread};
use serde::Serialize;

use crate::findings::{self, Found};
use crate::places::{self, Identity, Key, Kind, Place, Places, line};

#[derive(Serialize)]
pub(super) struct Comparison {
    pub(super) older: Side,
    pub(super) newer: Side,
    /// Whether both are of the same process, so that its threads and tasks were compared one by
    /// one.
    pub(super) same_process: bool,
    pub(super) findings: Findings,
    /// Those that have the same stack in both reports. For threads, the kernel has counted no
    /// processor time between them, in units of 10 ms; tasks have not been polled. By stack.
    pub(super) same_place: Vec<SamePlace>,
    /// By place, how many there are in each report, where that differs.
    pub(super) places: Vec<Changed>,
    /// How many have no stack, and so are at no place. By kind, if there are any.
    pub(super) without_stack: Vec<WithoutStack>,
    pub(super) figures: Vec<Figure>,
}

#[derive(Serialize)]
pub(super) struct Side {
    pub(super) number: u64,
    pub(super) made_at: String,
    pub(super) process: Identity,
}

#[derive(Serialize)]
pub(super) struct Findings {
    pub(super) new: Vec<Found>,
    pub(super) in_both: Vec<Found>,
    pub(super) gone: Vec<Found>,
}

#[derive(Serialize)]
pub(super) struct SamePlace {
    pub(super) kind: Kind,
    /// Ids of threads or tasks.
    pub(super) ids: Vec<u64>,
    /// Whether they are threads of a pool that wait for work.
    pub(super) idle: bool,
    pub(super) stack: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) kind: Kind,
    pub(super) older: u64,
    pub(super) newer: u64,
    pub(super) stack: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct WithoutStack {
    pub(super) kind: Kind,
    pub(super) older: u64,
    pub(super) newer: u64,
}

#[derive(Serialize)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) older: u64,
    pub(super) newer: u64,
}

pub(super) fn compare(older: &Report, newer: &Report) -> Comparison {
    let side = |report: &Report| Side {
        number: report.heading.number,
        made_at: report.heading.made_at.clone(),
        process: Identity::of(report),
    };
    let (sides, figures) = ((side(older), side(newer)), figures(older, newer));
    let same_process = Identity::is_same(older, newer);
    let (before, after) = (Places::of(older), Places::of(newer));
    let mut same_place = Vec::new();
    if same_process {
        same_place = threads_at_rest(older, newer, &after);
        same_place.extend(tasks_at_rest(older, newer, &after));
        same_place.sort_by_key(|group| (group.idle, Reverse(group.ids.len())));
    }
    Comparison {
        older: sides.0,
        newer: sides.1,
        same_process,
        findings: findings(older, newer),
        same_place,
        places: changed(&before.all(), &after.all()),
        without_stack: without_stack(&before, &after),
        figures,
    }
}

fn findings(older: &Report, newer: &Report) -> Findings {
    let (before, after) = (findings::said(older), findings::said(newer));
    let of = |report: &Report, others: &[_], in_both: bool| {
        let chosen = report.findings.iter().filter(|it| others.contains(&findings::key(it)) == in_both);
        chosen.map(Found::of).collect()
    };
    Findings {
        new: of(newer, &before, false),
        in_both: of(newer, &before, true),
        gone: of(older, &after, false),
    }
}

/// The frames of a stack, to compare those of two reports, whose lists of frames differ. None if
/// there are none: then it is not known where it is.
fn frames<'a>(report: &'a Report, stack: &'a Stack) -> Option<Vec<&'a Frame>> {
    let frames: Vec<&Frame> = report.stack_frames(stack).collect();
    (!frames.is_empty()).then_some(frames)
}

fn threads_at_rest(older: &Report, newer: &Report, after: &Places<'_>) -> Vec<SamePlace> {
    let all = |report| places::threads(report).into_iter().flat_map(|section| &section.threads);
    let before: HashMap<u32, &Thread> = all(older).map(|thread| (thread.tid, thread)).collect();
    let at_rest = |thread: &&Thread| {
        let Some(earlier) = before.get(&thread.tid) else { return false };
        let used = |thread: &Thread| Some((thread.cpu_user_ms?, thread.cpu_system_ms?));
        // An id is used again: the start tells the threads apart.
        places::is_programs(thread)
            && places::is_same_start(thread.started_at.as_deref(), earlier.started_at.as_deref())
            && used(thread).is_some()
            && used(thread) == used(earlier)
            && frames(newer, &thread.stack).is_some()
            && frames(newer, &thread.stack) == frames(older, &earlier.stack)
    };
    let mut groups = Groups::default();
    for thread in all(newer).filter(at_rest) {
        let lines = after.of_thread(thread);
        let key = (places::key(Kind::Thread, &lines), after.is_idle(thread));
        groups.add(key, thread.tid.into(), || lines.iter().map(line).collect());
    }
    groups.all
}

fn tasks_at_rest(older: &Report, newer: &Report, after: &Places<'_>) -> Vec<SamePlace> {
    let all = |report| places::tasks(report).into_iter().flat_map(|section| &section.tasks);
    let before: HashMap<u64, _> = all(older).map(|task| (task.id, task)).collect();
    let mut groups = Groups::default();
    for task in all(newer) {
        let Some(earlier) = before.get(&task.id) else { continue };
        let same = task.name == earlier.name
            && task.spawned_at == earlier.spawned_at
            && task.polls == earlier.polls
            && matches!(task.state, TaskState::Waiting { .. })
            && task.stacks.len() == earlier.stacks.len();
        let mut stacks = task.stacks.iter().zip(&*earlier.stacks);
        if same && stacks.all(|(now, then)| frames(newer, now) == frames(older, then)) {
            let lines = after.of_task(task);
            if !lines.is_empty() {
                let key = (places::key(Kind::Task, &lines), false);
                groups.add(key, task.id, || lines.iter().map(line).collect());
            }
        }
    }
    groups.all
}

#[derive(Default)]
struct Groups {
    places: HashMap<(Key, bool), usize>,
    all: Vec<SamePlace>,
}

impl Groups {
    fn add(&mut self, key: (Key, bool), id: u64, stack: impl FnOnce() -> Vec<String>) {
        let (kind, idle) = (key.0.kind, key.1);
        let next = self.all.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.all.push(SamePlace { kind, ids: Vec::new(), idle, stack: stack() });
        }
        self.all[place].ids.push(id);
    }
}

/// Where there are more or fewer than before, the greatest difference first.
fn changed(before: &HashMap<Key, Place>, after: &HashMap<Key, Place>) -> Vec<Changed> {
    let count = |places: &HashMap<Key, Place>, key: &Key| places.get(key).map_or(0, |place| place.count);
    let mut keys: Vec<&Key> =
        after.keys().chain(before.keys().filter(|key| !after.contains_key(key))).collect();
    keys.retain(|key| count(before, key) != count(after, key));
    keys.sort_by_key(|key| (Reverse(count(after, key).abs_diff(count(before, key))), (*key).clone()));
    let row = |key: &&Key| {
        let place = after.get(key).or_else(|| before.get(key)).expect("one of them has it");
        let stack = place.lines.iter().map(line).collect();
        Changed { kind: key.kind, older: count(before, key), newer: count(after, key), stack }
    };
    keys.iter().map(row).collect()
}

fn without_stack(before: &Places<'_>, after: &Places<'_>) -> Vec<WithoutStack> {
    let row =
        |kind| WithoutStack { kind, older: before.without_stack(kind), newer: after.without_stack(kind) };
    let rows = [Kind::Thread, Kind::Task].map(row).into_iter();
    rows.filter(|row| row.older + row.newer > 0).collect()
}

/// A figure of a report.
type Named = (&'static str, fn(&Resources) -> Option<u64>);

fn figures(older: &Report, newer: &Report) -> Vec<Figure> {
    let resources = |report: &Report| {
        report.sections.iter().find_map(|section| match &section.content {
            Content::Resources(resources) => Some((**resources).clone()),
            _ => None,
        })
    };
    let Some((older, newer)) = resources(older).zip(resources(newer)) else { return Vec::new() };
    let of: [Named; 6] = [
        ("threads", |of| of.threads),
        ("open_descriptors", |of| of.open_descriptors),
        (RESIDENT, |of| of.memory.resident_bytes),
        (SWAPPED, |of| of.memory.swapped_bytes),
        ("processor_time_in_user_mode_ms", |of| of.usage.cpu_user_ms),
        ("processor_time_in_system_calls_ms", |of| of.usage.cpu_system_ms),
    ];
    let figure = |&(name, of): &Named| Some(Figure { name, older: of(&older)?, newer: of(&newer)? });
    of.iter().filter_map(figure).collect()
}

pub(super) const RESIDENT: &str = "resident_memory_bytes";
pub(super) const SWAPPED: &str = "swapped_memory_bytes";
