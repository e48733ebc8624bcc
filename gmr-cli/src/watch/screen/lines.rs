//! The text of single lines of the screen, as wide as that is.

use std::fmt::Write as _;

use gmr_runtime::__cli::printable;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::places::Kind;
use crate::watch::looks::Group;

/// Each key: what it is called, what it does in a word, and in a line.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    ("q", "quit", "quit, as Ctrl-C does"),
    ("?", "keys", "these lines"),
    ("Enter", "stack", "show or hide the stack of the selected place; so do Right, Left"),
    ("/", "filter", "only places with a text; Esc: all of them"),
    ("s", "sort", "sort by count, changes, CPU, time still"),
    ("p", "freeze", "look no more, or go on; so does Space"),
    ("w", "save", "save the report with the findings in this folder, as JSON"),
    ("i", "idle", "show or hide idle threads of pools"),
    ("a", "all", "show all stacks, or none"),
    ("j k", "", "down, up; as do arrows, PgDn, PgUp; g G: ends"),
];

/// Below this width, columns are left out.
const WIDE: usize = 60;

/// What is above the columns before the place.
pub(super) fn columns(width: usize) -> &'static str {
    if width < WIDE { "CHANGE COUNT CPU% " } else { "CHANGE COUNT CPU% STILL STATE        " }
}

/// The first line of a group.
pub(super) fn row(group: &Group, width: usize) -> String {
    let change = match group.before {
        Some(0) => "new".to_owned(),
        Some(before) if before < group.count => format!("+{}", group.count - before),
        Some(before) if before > group.count => format!("-{}", before - group.count),
        _ => String::new(),
    };
    let cpu = group.cpu.map(|percent| format!("{percent:.0}")).unwrap_or_default();
    let place = place(&group.stack);
    let place = printable(&place);
    let kind = if group.key.kind == Kind::Task { "task " } else { "" };
    if width < WIDE {
        return format!("{change:>6} {:>5} {cpu:>4} {kind}{place}", group.count);
    }
    let still = group.still_ms.map(short).unwrap_or_default();
    let several = if group.states.is_empty() { "" } else { ".." };
    let state = format!("{kind}{}{several}", printable(&group.state));
    format!("{change:>6} {:>5} {cpu:>4} {still:>5} {state:<12} {place}", group.count)
}

/// The line of a stack that tells it from others: all threads wait in the standard library, in a
/// system's library or in some crate, and what differs is where the program does. Its callers follow.
fn place(stack: &[String]) -> String {
    /// The innermost ones. There is hardly ever room for more.
    const CALLERS: usize = 3;
    let is_std = |line: &&String| line.contains(", library/");
    let is_others = |line: &&String| line.contains("+0x") || line.contains("/.cargo/");
    let mut own = stack.iter().filter(|line| !is_std(line) && !is_others(line));
    if let Some(place) = own.next() {
        let callers = own.take(CALLERS).filter_map(|line| Some(line.rsplit_once(", ")?.0));
        return callers.fold(place.clone(), |place, caller| place + " < " + caller);
    }
    let other = stack.iter().find(|line| !is_std(line)).or(stack.first());
    other.map_or_else(|| "(no stack)".to_owned(), String::clone)
}

/// The other lines of a group: the rest of its stack, and who is there.
pub(super) fn unfolded(group: &Group, width: usize) -> Vec<String> {
    const INDENT: usize = 8;
    let mut lines = Vec::new();
    let mut add = |text: &str| {
        let text = wrapped(text, width.saturating_sub(INDENT), 4);
        lines.extend(text.into_iter().enumerate().map(|(index, line)| {
            // What belongs to the line before it is further to the right.
            let indent = if index == 0 { INDENT - 2 } else { INDENT };
            format!("{:indent$}{line}", "")
        }));
    };
    // Once more, as it may be cut off above.
    group.stack.iter().for_each(|line| add(line));
    if !group.members.is_empty() {
        let states = if group.states.is_empty() { String::new() } else { format!("{}: ", group.states) };
        let is_more = usize::try_from(group.count).is_ok_and(|count| count > group.members.len());
        let more = if is_more { ", .." } else { "" };
        add(&format!("[{states}{}{more}]", group.members.join(", ")));
    }
    lines
}

/// The text on lines of this width, this many at most.
pub(super) fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let width = width.max(8);
    let text = printable(text);
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.width() > width {
            lines.push(String::new());
            length = 0;
        } else if length > 0 {
            push(&mut lines, ' ');
            length += 1;
        }
        for c in word.chars() {
            if length + wide(c) > width {
                lines.push(String::new());
                length = 0;
            }
            push(&mut lines, c);
            length += wide(c);
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = begin(last, width - 3).trim_end().to_owned() + " ..";
        }
    }
    lines
}

/// How many columns a character takes.
fn wide(c: char) -> usize {
    c.width().unwrap_or_default()
}

/// As much of the text as there are columns for.
fn begin(text: &str, width: usize) -> &str {
    let mut length = 0;
    let end = text.char_indices().find(|(_, c)| {
        length += wide(*c);
        length > width
    });
    &text[..end.map_or(text.len(), |(index, _)| index)]
}

fn push(lines: &mut [String], c: char) {
    if let Some(last) = lines.last_mut() {
        last.push(c);
    }
}

/// As many keys as fit.
pub(super) fn fitting(keys: &[(&str, &str, &str)], width: usize) -> String {
    let mut line = String::new();
    for (key, word, _) in keys.iter().filter(|(_, word, _)| !word.is_empty()) {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + key.len() + 1 + word.len() > width {
            break;
        }
        let _ = write!(line, "{gap}{key} {word}");
    }
    line
}

/// A time in five characters.
pub(super) fn short(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms}ms"),
        seconds @ 1..120 => format!("{seconds}s"),
        seconds @ 120..6_000 => format!("{}min", seconds / 60),
        seconds @ 6_000..360_000 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
