//! The wording of the package, of processes, and of sections that failed.

use super::Field;
use crate::model::{Content, Ids, Overdue, Package, Panicked, Process};
use crate::units::{duration, limit, uptime};
use crate::views::escape::clean;

pub(in crate::views) fn package(value: &Package) -> Vec<Field> {
    let uptime = value.uptime_ms.map(uptime);
    let fields = [
        ("product", &value.product),
        ("vendor", &value.vendor),
        ("version", &value.version),
        ("executable", &value.executable),
        ("build-id", &value.build_id),
        ("rustc", &value.rustc),
        ("target", &value.target),
        ("profile", &value.profile),
        ("started", &value.started_at),
        ("uptime", &uptime),
    ];
    let known = fields.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let notes = value.notes.iter().map(|note| ("note", note));
    known.chain(notes).map(|(key, value)| (key, clean(value).into_owned())).collect()
}

/// How far a process is indented below the first one. A foreign document can have any depth, and
/// one level takes memory in each line.
pub(in crate::views) fn process_depth(value: &Process) -> usize {
    const MAX_DEPTH: usize = 32;
    value.depth.min(MAX_DEPTH)
}

pub(in crate::views) fn process(value: &Process) -> Vec<Field> {
    let command: Vec<_> = value.command.iter().map(|argument| quoted(argument)).collect();
    let mut fields = vec![
        ("process", format!("{} (parent {})", value.pid, value.parent_pid)),
        ("command", command.join(" ")),
    ];
    let text = |text: &Option<String>| text.as_ref().map(|text| clean(text).into_owned());
    let more = [
        ("state", text(&value.state)),
        ("user", text(&value.user)),
        ("uids", value.uids.map(ids)),
        ("gids", value.gids.map(ids)),
    ];
    fields.extend(more.into_iter().filter_map(|(key, value)| Some((key, value?))));
    fields
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

fn ids(ids: Ids) -> String {
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
