//! What one look at a process shows: its threads and tasks by place, and what has changed since the look
//! before. It draws nothing.

use std::collections::HashMap;
use std::time::Duration;

use gmr_runtime::Report;
use gmr_runtime::model::{Task, TaskState, Thread};

use crate::findings::{self, Found};
use crate::places::{self, Identity, Key, Kind, Places, key, line};

/// What a whole report says beyond its threads and tasks.
pub(super) struct Whole {
    pub(super) process: String,
    pub(super) number: u64,
    /// Each with whether the whole report before did not have it.
    pub(super) findings: Vec<(Found, bool)>,
}

impl Whole {
    /// This report, compared with the whole one before.
    pub(super) fn of(report: &Report, earlier: Option<&Report>) -> Self {
        let said = earlier.map(findings::said);
        let is_new = |finding| said.as_ref().is_some_and(|said| !said.contains(&findings::key(finding)));
        Self {
            process: Identity::of(report).to_string(),
            number: report.heading.number,
            findings: report.findings.iter().map(|finding| (Found::of(finding), is_new(finding))).collect(),
        }
    }
}

/// The threads and tasks of a report.
pub(super) struct Look {
    pub(super) made_at: String,
    pub(super) groups: Vec<Group>,
}

/// The threads or the tasks at one place.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) key: Key,
    /// The stack, innermost frame first.
    pub(super) stack: Vec<String>,
    /// How many there are. 0 if all that were there at the look before have gone.
    pub(super) count: u64,
    /// How many there were. `None` at the first look.
    pub(super) before: Option<u64>,
    /// Whether all are threads of a pool that wait for work.
    pub(super) is_idle: bool,
    /// Percent of a core that its threads have used between the looks, where that is known.
    pub(super) cpu: Option<f64>,
    /// What most of them are doing.
    pub(super) state: String,
    /// How many are doing what, if they differ.
    pub(super) states: String,
    /// For how long the one that has been so for the longest time has not run, in milliseconds.
    pub(super) still_ms: Option<u64>,
    /// Ids and names of the first ones.
    pub(super) members: Vec<String>,
}

impl Group {
    /// Whether there are more or fewer than at the look before.
    pub(super) fn has_changed(&self) -> bool {
        self.before.is_some_and(|before| before != self.count)
    }
}

/// How many members of a group are listed.
const MEMBERS: usize = 8;

/// A group while it is being put together.
struct Gathered {
    group: Group,
    states: HashMap<String, u64>,
}

/// The look before.
pub(super) struct Earlier<'a> {
    pub(super) report: &'a Report,
    pub(super) look: &'a Look,
    /// The time between both.
    pub(super) between: Duration,
}

impl Look {
    /// This report, compared with that of the look before and the time between them.
    pub(super) fn of(report: &Report, earlier: Option<Earlier<'_>>) -> Self {
        Self { made_at: report.heading.made_at.clone(), groups: groups(report, earlier) }
    }
}

fn groups(report: &Report, earlier: Option<Earlier<'_>>) -> Vec<Group> {
    let shown = Places::of(report);
    let used = earlier.as_ref().map(|earlier| (used_by_thread(earlier.report), earlier.between));
    let mut all: HashMap<Key, Gathered> = HashMap::new();
    let threads = places::threads(report).into_iter().flat_map(|section| &section.threads);
    for thread in threads.filter(|thread| places::is_programs(thread)) {
        let lines = shown.of_thread(thread);
        let key = key(Kind::Thread, &lines);
        let gathered = gathered(&mut all, key, || lines.iter().map(line).collect());
        let Gathered { group, states } = gathered;
        group.is_idle &= shown.is_idle(thread);
        group.still_ms = group.still_ms.max(thread.at_rest_ms);
        *states.entry(thread.state.clone().unwrap_or_default()).or_default() += 1;
        if let Some((used, between)) = &used
            && let Some(percent) = percent(thread, used, *between)
        {
            *group.cpu.get_or_insert(0.0) += percent;
        }
        member(group, || format!("#{} {}", thread.tid, thread.name));
    }
    for task in places::tasks(report).into_iter().flat_map(|section| &section.tasks) {
        let lines = shown.of_task(task);
        let key = key(Kind::Task, &lines);
        let Gathered { group, states } = gathered(&mut all, key, || lines.iter().map(line).collect());
        group.is_idle = false;
        let (state, still) = state(task);
        group.still_ms = group.still_ms.max(still);
        *states.entry(state.to_owned()).or_default() += 1;
        member(group, || format!("#{} {}", task.id, task.name));
    }
    let mut groups: Vec<Group> = all.into_values().map(finished).collect();
    if let Some(earlier) = earlier {
        compare(&mut groups, earlier.look);
    }
    groups
}

fn gathered(
    all: &mut HashMap<Key, Gathered>,
    key: Key,
    stack: impl FnOnce() -> Vec<String>,
) -> &mut Gathered {
    all.entry(key.clone()).or_insert_with(|| Gathered {
        group: Group {
            key,
            stack: stack(),
            count: 0,
            before: None,
            is_idle: true,
            cpu: None,
            state: String::new(),
            states: String::new(),
            still_ms: None,
            members: Vec::new(),
        },
        states: HashMap::new(),
    })
}

fn member(group: &mut Group, name: impl FnOnce() -> String) {
    group.count += 1;
    if group.members.len() < MEMBERS {
        group.members.push(name());
    }
}

fn finished(Gathered { mut group, states }: Gathered) -> Group {
    let mut states: Vec<(String, u64)> = states.into_iter().collect();
    states.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if states.len() > 1 {
        let all: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        group.states = all.join(", ");
    }
    group.state = states.into_iter().next().map(|(state, _)| state).unwrap_or_default();
    group
}

/// Sets how many there were at each place, and adds the places at which nothing is any more.
fn compare(groups: &mut Vec<Group>, earlier: &Look) {
    let there = earlier.groups.iter().filter(|group| group.count > 0);
    let mut before: HashMap<&Key, &Group> = there.map(|group| (&group.key, group)).collect();
    for group in &mut *groups {
        group.before = Some(before.remove(&group.key).map_or(0, |before| before.count));
    }
    groups.extend(before.into_values().map(|group| Group {
        count: 0,
        before: Some(group.count),
        cpu: None,
        state: "gone".to_owned(),
        states: String::new(),
        still_ms: None,
        members: Vec::new(),
        ..group.clone()
    }));
}

/// The processor time of each thread, in microseconds, and its start, by which it is told from another
/// one that gets its id.
fn used_by_thread(report: &Report) -> HashMap<u32, (u64, Option<&str>)> {
    let threads = places::threads(report).into_iter().flat_map(|section| &section.threads);
    threads.filter_map(|thread| Some((thread.tid, (used(thread)?, thread.started_at.as_deref())))).collect()
}

/// By the clock of the thread, or else by what the kernel counts in units of 10 ms.
fn used(thread: &Thread) -> Option<u64> {
    thread.cpu_us.or_else(|| Some((thread.cpu_user_ms? + thread.cpu_system_ms?) * 1_000))
}

/// How much of a core it has used.
fn percent(thread: &Thread, before: &HashMap<u32, (u64, Option<&str>)>, between: Duration) -> Option<f64> {
    let now = used(thread)?;
    let (before, started) = before.get(&thread.tid)?;
    let is_same = match (started, thread.started_at.as_deref()) {
        (Some(one), Some(other)) => places::is_same_start(Some(one), Some(other)),
        _ => false,
    };
    let used = now.checked_sub(*before).filter(|_| is_same)?;
    let between = between.as_secs_f64() * 1e6;
    #[allow(clippy::cast_precision_loss, reason = "microseconds of processor time")]
    (between > 0.0).then(|| used as f64 / between * 100.0)
}

/// What a task does, and for how long it has waited.
fn state(task: &Task) -> (&'static str, Option<u64>) {
    match &task.state {
        TaskState::Polling { .. } => ("polling", None),
        // It may be the report that has woken it.
        TaskState::Woken { waiting_ms, .. } | TaskState::Waiting { waiting_ms, .. } => {
            ("waiting", Some(*waiting_ms))
        }
        TaskState::New => ("new", None),
        _ => ("", None),
    }
}

/// All that are there now, threads or tasks.
pub(super) fn total(groups: &[Group], kind: Kind) -> u64 {
    groups.iter().filter(|group| group.key.kind == kind).map(|group| group.count).sum()
}

#[cfg(test)]
mod tests;
