//! The content of each kind of section.

use std::fmt::Write as _;

use super::Detail;
use super::escape::{clean, clean_lines};
use super::folding;
use super::stacks;
use super::tasks;
use super::values::{self, indent};
use crate::model::{Content, Group, Ids, Overdue, Package, Panicked, Process, Processes, Stack};

pub(super) fn content(text: &mut String, content: &Content, detail: Detail) {
    match content {
        Content::Package(value) => package(text, value),
        Content::Threads(value) => stacks::threads(text, value, detail),
        Content::GreenThreads(value) => tasks::green_threads(text, value, detail),
        Content::Processes(value) => processes(text, value),
        Content::Configuration(groups) => configuration(text, groups, detail),
        other => plain(text, other, 0, detail),
    }
}

/// Content that stands in a section as well as in a group of the configuration.
fn plain(text: &mut String, content: &Content, depth: usize, detail: Detail) {
    match content {
        Content::Fields(value) => values::write(text, value, depth),
        Content::Text(value) if !value.trim().is_empty() => lines(text, value, depth),
        Content::Text(_) | Content::Nothing => lines(text, "(nothing to show)", depth),
        Content::Error(message) => lines(text, &format!("error: {message}"), depth),
        Content::Panicked(value) => {
            lines(text, &panicked(value), depth);
            stacks::stack(text, &value.stack, depth + 1, detail);
        }
        Content::TimedOut(value) => {
            let after = super::milliseconds(value.deadline_ms * 1000);
            let after = after.strip_suffix("000 ms").map_or(after.clone(), |seconds| format!("{seconds} s"));
            let line = format!("timed out after {after}; still running on thread {}", value.overdue.tid);
            stuck(text, &line, &value.overdue, depth, detail);
        }
        Content::StillRunning(value) => {
            let seconds = value.running_ms / 1000;
            let line = format!(
                "not started again: its run for an earlier report has not ended after {seconds} s; still running on thread {}",
                value.tid
            );
            stuck(text, &line, value, depth, detail);
        }
        Content::Skipped(reason) => lines(text, &format!("skipped: {reason}"), depth),
        // The built-in sections, which are no groups.
        Content::Package(_)
        | Content::Threads(_)
        | Content::GreenThreads(_)
        | Content::Processes(_)
        | Content::Configuration(_) => self::content(text, content, detail),
    }
}

fn panicked(value: &Panicked) -> String {
    let place = value.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", value.message)
}

fn stuck(text: &mut String, line: &str, overdue: &Overdue, depth: usize, detail: Detail) {
    lines(text, line, depth);
    let own = match detail {
        Detail::Short => folding::of_section(&overdue.stack.frames),
        Detail::Full => &overdue.stack.frames,
    };
    let stack = Stack { frames: own.to_vec(), incomplete: overdue.stack.incomplete.clone() };
    stacks::stack(text, &stack, depth + 1, detail);
}

/// Text of an author's own, line by line. No line can be taken for a title: those that begin like one are moved in by a blank.
fn lines(text: &mut String, value: &str, depth: usize) {
    for line in clean_lines(value).lines() {
        indent(text, depth);
        if depth == 0 && (line.starts_with("====") || line.starts_with("------")) {
            text.push(' ');
        }
        text.push_str(line);
        text.push('\n');
    }
}

fn package(text: &mut String, value: &Package) {
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
    for (key, value) in fields {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", clean(value));
        }
    }
}

/// `3 d 4 h 5 min 6 s`, from the first unit that is not zero.
fn uptime(ms: u64) -> String {
    let seconds = ms / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    parts[first..].iter().map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

fn processes(text: &mut String, value: &Processes) {
    for (index, one) in value.processes.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        process(text, one);
    }
}

fn process(text: &mut String, value: &Process) {
    let depth = value.depth;
    let mut line = |key: &str, value: &str| {
        indent(text, depth);
        let _ = writeln!(text, "{key} = {value}");
    };
    line("process", &format!("{} (parent {})", value.pid, value.parent_pid));
    let command: Vec<_> = value.command.iter().map(|argument| quoted(argument)).collect();
    line("command", &command.join(" "));
    if let Some(state) = &value.state {
        line("state", &clean(state));
    }
    if let Some(user) = &value.user {
        line("user", &clean(user));
    }
    if let Some(ids) = value.uids {
        line("uids", &self::ids(ids));
    }
    if let Some(ids) = value.gids {
        line("gids", &self::ids(ids));
    }
}

fn ids(ids: Ids) -> String {
    format!("{} real, {} effective, {} saved", ids.real, ids.effective, ids.saved)
}

/// An argument, quoted where it would not be read as one.
fn quoted(argument: &str) -> String {
    let clean = clean(argument);
    if clean.is_empty() || clean.contains(char::is_whitespace) {
        format!("'{clean}'")
    } else {
        clean.into_owned()
    }
}

fn configuration(text: &mut String, groups: &[Group], detail: Detail) {
    if groups.is_empty() {
        text.push_str("no group is registered\n");
    }
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let _ = writeln!(text, "{}:", clean(&group.title));
        plain(text, &group.content, 1, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Stack, TimedOut, Value};

    fn shown(value: &Content) -> String {
        let mut text = String::new();
        content(&mut text, value, Detail::Short);
        text
    }

    #[test]
    fn failures_are_told_in_their_place() {
        let overdue = Overdue { tid: 4711, running_ms: 12_400, stack: Stack::missing("it exited meanwhile") };
        let timed_out = Content::TimedOut(TimedOut { deadline_ms: 2_000, overdue: overdue.clone() });
        assert_eq!(
            shown(&timed_out),
            "timed out after 2 s; still running on thread 4711\n  (no stack: it exited meanwhile)\n"
        );
        let odd = Content::TimedOut(TimedOut { deadline_ms: 1_500, overdue: overdue.clone() });
        assert!(shown(&odd).starts_with("timed out after 1500 ms; "), "{}", shown(&odd));
        assert!(
            shown(&Content::StillRunning(overdue))
                .contains("has not ended after 12 s; still running on thread 4711")
        );
        let location = Some("src/main.rs:8:5".to_owned());
        let panicked =
            Content::Panicked(Panicked { message: "no cache".into(), location, stack: Stack::default() });
        assert_eq!(shown(&panicked), "panicked at src/main.rs:8:5: no cache\n");
        assert_eq!(shown(&Content::Error("cannot reach db".into())), "error: cannot reach db\n");
    }

    #[test]
    fn an_author_s_text_keeps_its_lines_and_makes_no_titles() {
        let text = Content::Text("one\n====\n------ x\ntwo\u{1b}[0m\n".into());
        assert_eq!(shown(&text), "one\n ====\n ------ x\ntwo\\u{1b}[0m\n");
    }

    #[test]
    fn a_package_shows_what_is_known() {
        let package = Package {
            product: Some("shop".into()),
            version: Some("1.2".into()),
            uptime_ms: Some(93_784_000),
            ..Package::default()
        };
        assert_eq!(
            shown(&Content::Package(Box::new(package))),
            "product = shop\nversion = 1.2\nuptime = 1 d 2 h 3 min 4 s\n"
        );
    }

    #[test]
    fn groups_are_named_and_moved_in() {
        let database = Value::Map(vec![("host".into(), Value::Text("db1".into()))]);
        let groups = vec![
            Group::new("database", Content::Fields(database)),
            Group::new("cache", Content::Error("not loaded".into())),
        ];
        assert_eq!(
            shown(&Content::Configuration(groups)),
            "database:\n  host = db1\n\ncache:\n  error: not loaded\n"
        );
        assert_eq!(shown(&Content::Configuration(vec![])), "no group is registered\n");
    }

    #[test]
    fn processes_are_moved_in_below_their_parents() {
        let own = Process {
            pid: 7,
            parent_pid: 1,
            command: vec!["shop".into(), "a b".into()],
            ..Process::default()
        };
        let child =
            Process { pid: 8, parent_pid: 7, depth: 1, command: vec!["[sh]".into()], ..Process::default() };
        assert_eq!(
            shown(&Content::Processes(Processes { processes: vec![own, child] })),
            "process = 7 (parent 1)\ncommand = shop 'a b'\n\n  process = 8 (parent 7)\n  command = [sh]\n"
        );
    }
}
