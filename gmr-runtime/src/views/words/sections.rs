//! The wording of the package, of processes, and of sections that failed.

use super::Field;
use crate::model::{Content, Ids, Overdue, Package, Panicked, Process, Processes};
use crate::sys::sorted_map::SortedMap;
use crate::units::{bytes, duration, limit, uptime};
use crate::views::escape::clean;

pub(in crate::views) fn package(value: &Package) -> Vec<Field> {
    let uptime = value.uptime_ms.map(uptime);
    let command = (!value.command.is_empty()).then(|| command(&value.command));
    let gmr = value.gmr_version.as_ref().map(|version| match &value.gmr_features[..] {
        [] => version.clone(),
        features => format!("{version} with {}", features.join(", ")),
    });
    let first = [
        ("product", &value.product),
        ("vendor", &value.vendor),
        ("version", &value.version),
        ("revision", &value.revision),
        ("executable", &value.executable),
    ];
    // Its parts are escaped one by one.
    let command = command.map(|command| ("command", command));
    let more = [
        ("directory", &value.working_directory),
        ("build-id", &value.build_id),
        ("rustc", &value.rustc),
        ("target", &value.target),
        ("profile", &value.profile),
        ("gmr", &gmr),
        ("libc", &value.libc),
        ("kernel", &value.kernel),
        ("host", &value.host),
        ("container", &value.container_id),
    ];
    let times = [("started", &value.started_at), ("uptime", &uptime)];
    let shown =
        |(key, value): (&'static str, &Option<String>)| Some((key, clean(value.as_ref()?).into_owned()));
    let kubernetes = (!value.kubernetes.is_empty()).then(|| {
        let facts = value.kubernetes.iter().map(|fact| {
            format!("{} {} (from {})", clean(&fact.name), clean(&fact.value), clean(&fact.source))
        });
        ("kubernetes", facts.collect::<Vec<_>>().join(", "))
    });
    let mut fields: Vec<Field> = first.into_iter().filter_map(shown).collect();
    fields.extend(command);
    fields.extend(more.into_iter().filter_map(shown));
    fields.extend(kubernetes);
    fields.extend(times.into_iter().filter_map(shown));
    fields.extend(super::notes(&value.notes).map(|note| ("note", note)));
    fields
}

/// Each process with its depth in the tree. What a process has in common with its parent is left
/// out.
pub(in crate::views) fn processes(value: &Processes) -> impl ExactSizeIterator<Item = (usize, Vec<Field>)> {
    let by_pid: SortedMap<u32, &Process> =
        value.processes.iter().map(|process| (process.pid, process)).collect();
    let process = move |one: &Process| {
        let parent = by_pid.get(&one.parent_pid).filter(|_| one.depth > 0);
        (depth(one.depth), process(one, parent.copied()))
    };
    value.processes.iter().map(process)
}

/// How far a process or a span is indented below the first one. It can have any depth, in
/// particular in a foreign document, and one level takes memory in each line.
pub(in crate::views) fn depth(depth: usize) -> usize {
    const MAX_DEPTH: usize = 32;
    depth.min(MAX_DEPTH)
}

fn process(value: &Process, parent: Option<&Process>) -> Vec<Field> {
    // The tree shows the parents of the others.
    let above = if value.depth == 0 { format!(" (parent {})", value.parent_pid) } else { String::new() };
    let user = value.user.as_ref().filter(|_| parent.is_none_or(|parent| parent.user != value.user));
    let cpu = value.cpu_user_ms.zip(value.cpu_system_ms).map(|(user, system)| user.saturating_add(system));
    let facts = [
        Some(format!("{}{above}", value.pid)),
        value.state.as_ref().map(|state| clean(state).into_owned()),
        user.map(|user| format!("user {}", clean(user))),
        cpu.map(|cpu| format!("{} CPU time", duration(cpu))),
        value.resident_bytes.map(|resident| format!("{} resident", bytes(resident))),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let mut fields = vec![("process", facts.join(", ")), ("command", command(&value.command))];
    let differ = |ids: Option<Ids>, parents: Option<Ids>| {
        ids.filter(|ids| !is_one(*ids) || parents.is_some_and(|parents| parents != *ids)).map(self::ids)
    };
    let parents = |ids: fn(&Process) -> Option<Ids>| parent.and_then(ids);
    let ids = [
        ("uids", differ(value.uids, parents(|parent| parent.uids))),
        ("gids", differ(value.gids, parents(|parent| parent.gids))),
    ];
    fields.extend(ids.into_iter().filter_map(|(key, value)| Some((key, value?))));
    fields
}

fn command(arguments: &[String]) -> String {
    // A list of them would take many times the memory of short ones.
    let mut command = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        command.push_str(if index > 0 { " " } else { "" });
        command.push_str(&quoted(argument));
    }
    command
}

/// Why a section has no content. The caller escapes the text, which can have several lines.
pub(in crate::views) fn failure(content: &Content) -> Option<String> {
    Some(match content {
        Content::Nothing => "(nothing to show)".to_owned(),
        Content::Error(message) => format!("error: {message}"),
        Content::Panicked(value) => panicked(value),
        Content::TimedOut(value) => {
            format!(
                "timed out after {}; still running on thread #{}",
                limit(value.deadline_ms),
                value.overdue.tid
            )
        }
        Content::StillRunning(Overdue { running_ms, tid, .. }) => {
            let time = duration(*running_ms);
            format!("skipped: still running from an earlier report ({time}, thread #{tid})")
        }
        Content::Skipped(reason) => format!("skipped: {reason}"),
        _ => return None,
    })
}

fn panicked(value: &Panicked) -> String {
    let place = value.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", value.message)
}

/// Whether the three ids are the same.
fn is_one(ids: Ids) -> bool {
    ids.real == ids.effective && ids.effective == ids.saved
}

fn ids(ids: Ids) -> String {
    if is_one(ids) {
        return ids.real.to_string();
    }
    format!("{} real, {} effective, {} saved", ids.real, ids.effective, ids.saved)
}

/// A command-line argument, quoted if it is empty or contains whitespace.
fn quoted(argument: &str) -> String {
    let clean = clean(argument);
    if clean.is_empty() || clean.contains(char::is_whitespace) {
        format!("'{clean}'")
    } else {
        clean.into_owned()
    }
}
