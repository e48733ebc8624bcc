//! The wording of the heading and of the last line.

use super::Field;
use crate::model::{Heading, Sender, Summary, Trigger};
use crate::units::{counted, milliseconds};
use crate::views::escape::clean;

pub(in crate::views) fn heading(heading: &Heading) -> Vec<Field> {
    let mut fields = vec![
        ("report", heading.number.to_string()),
        ("time", clean(&heading.made_at).into_owned()),
        ("pid", heading.pid.to_string()),
        ("trigger", trigger(&heading.trigger)),
    ];
    fields.extend(super::notes(&heading.notes).map(|note| ("note", note)));
    fields
}

/// `end of report 3: 8 sections (1 failed), 12 threads, 17 ms`
pub(in crate::views) fn summary(summary: &Summary) -> String {
    let failed = if summary.failed == 0 { String::new() } else { format!(" ({} failed)", summary.failed) };
    format!(
        "end of report {}: {}{failed}, {}, {}",
        summary.number,
        counted(summary.sections, "section"),
        counted(summary.threads, "thread"),
        milliseconds(summary.took_us),
    )
}

pub(in crate::views) fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Signal { name, sender: from, coalesced } => {
            let from = from.as_ref().map_or_else(|| " from the kernel".to_owned(), sender);
            format!("{}{from}{}", clean(name), more(*coalesced, "signal"))
        }
        Trigger::Api => "a call from the program".to_owned(),
        Trigger::Http { peer, path, coalesced } => {
            let peer = peer.as_ref().map(|peer| format!(" from {}", clean(peer))).unwrap_or_default();
            format!("an HTTP request for {}{peer}{}", clean(path), more(*coalesced, "request"))
        }
        Trigger::File { path, coalesced } => {
            format!("the file {} was touched{}", clean(path), more(*coalesced, "time"))
        }
        Trigger::Automatic { name, cause, coalesced } => {
            format!("automatic ({}): {}{}", clean(name), clean(cause), more(*coalesced, "event"))
        }
    }
}

/// `, and 2 more signals since`
fn more(count: u64, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(", and 1 more {what} since"),
        count => format!(", and {count} more {what}s since"),
    }
}

fn sender(sender: &Sender) -> String {
    // A process outside this PID namespace has no id in it.
    let process = match sender.pid {
        0 => "a process outside this PID namespace".to_owned(),
        pid => format!("process {pid}"),
    };
    let command = sender.command.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    let user = sender.user.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    format!(" from {process}{command}, user {}{user}", sender.uid)
}
