//! The content of each kind of section.

use std::fmt::Write as _;

use super::layout::Flush;
use super::stacks;
use super::tasks;
use super::tracing;
use super::values::{self, indent};
use crate::model::{Content, Group, Overdue, Processes};
use crate::views::escape::{clean, clean_lines};
use crate::views::room::not_shown;
use crate::views::words::{Field, Listing};
use crate::views::{Context, grouping, words};

pub(super) fn content(text: &mut String, content: &Content, cx: Context<'_>, flush: &mut Flush<'_>) {
    match content {
        Content::Package(value) => fields(text, &words::package(value)),
        Content::Resources(value) => fields(text, &words::resources(value)),
        Content::Descriptors(value) => listing(text, &words::descriptors(value), cx, flush),
        Content::Modules(value) => listing(text, &words::modules(value), cx, flush),
        Content::Environment(value) => listing(text, &words::environment(value), cx, flush),
        Content::Threads(value) => stacks::threads(text, value, cx, flush),
        Content::GreenThreads(value) => tasks::green_threads(text, value, cx, flush),
        Content::Processes(value) => processes(text, value, cx, flush),
        Content::Configuration(groups) => configuration(text, groups, cx, flush),
        Content::Spans(value) => tracing::spans(text, value, cx, flush),
        Content::Events(value) => tracing::events(text, value, cx, flush),
        other => plain(text, other, 0, cx, flush),
    }
}

/// The content of a registered section or a configuration group.
fn plain(text: &mut String, content: &Content, depth: usize, cx: Context<'_>, flush: &mut Flush<'_>) {
    match content {
        Content::Fields(value) => values::write(text, value, depth, cx.room, flush),
        Content::Text(value) if !value.trim().is_empty() => lines(text, value, depth, cx, flush),
        Content::Text(_) => plain(text, &Content::Nothing, depth, cx, flush),
        failed => lines(text, &words::failure(failed).unwrap_or_default(), depth, cx, flush),
    }
    match content {
        Content::Panicked(value) => stacks::stack(text, &value.stack, depth + 1, cx, flush),
        Content::TimedOut(value) => stuck(text, &value.overdue, depth + 1, cx, flush),
        Content::StillRunning(value) => stuck(text, value, depth + 1, cx, flush),
        _ => {}
    }
}

fn stuck(text: &mut String, overdue: &Overdue, depth: usize, cx: Context<'_>, flush: &mut Flush<'_>) {
    let frames = grouping::of_section(overdue, cx);
    stacks::frames_and_end(text, &frames, &overdue.stack, depth, cx, flush);
}

/// A section's own text, line by line. A line that begins like a title is indented by a blank.
fn lines(text: &mut String, value: &str, depth: usize, cx: Context<'_>, flush: &mut Flush<'_>) {
    let value = clean_lines(value);
    let mut lines = value.lines();
    while let Some(line) = lines.next() {
        if !cx.room.take(line.len()) {
            indent(text, depth);
            let _ = writeln!(text, "{}", not_shown(1 + lines.count(), "line"));
            return;
        }
        indent(text, depth);
        if depth == 0 && (line.starts_with("====") || line.starts_with("------")) {
            text.push(' ');
        }
        text.push_str(line);
        text.push('\n');
        flush(text);
    }
}

fn fields(text: &mut String, fields: &[Field]) {
    for (key, value) in fields {
        let _ = writeln!(text, "{key} = {value}");
    }
}

/// The fields, then the lists. A list that is alone needs no title.
fn listing(text: &mut String, value: &Listing, cx: Context<'_>, flush: &mut Flush<'_>) {
    let mut rows = |text: &mut String, lines: &[String], depth| {
        for (index, line) in lines.iter().enumerate() {
            indent(text, depth);
            if !cx.room.take(line.len()) {
                let _ = writeln!(text, "{}", not_shown(lines.len() - index, "line"));
                return;
            }
            let _ = writeln!(text, "{line}");
            flush(text);
        }
    };
    fields(text, &value.fields);
    match &value.lists[..] {
        [] if value.fields.is_empty() => text.push_str("(nothing to show)\n"),
        [(_, lines)] if value.fields.is_empty() => rows(text, lines, 0),
        lists => {
            for (title, lines) in lists {
                let _ = writeln!(text, "{title} =");
                rows(text, lines, 1);
            }
        }
    }
}

fn processes(text: &mut String, value: &Processes, cx: Context<'_>, flush: &mut Flush<'_>) {
    for note in words::notes(&value.notes) {
        let _ = writeln!(text, "note = {note}");
    }
    let processes = words::processes(value);
    let count = processes.len();
    for (index, (depth, process)) in processes.enumerate() {
        if !cx.room.take_row() {
            let _ = writeln!(text, "{}", not_shown(count - index, "process"));
            break;
        }
        let before = text.len();
        for (key, shown) in process {
            indent(text, depth);
            let _ = writeln!(text, "{key} = {shown}");
        }
        cx.room.spend(text.len() - before);
        flush(text);
    }
}

fn configuration(text: &mut String, groups: &[Group], cx: Context<'_>, flush: &mut Flush<'_>) {
    if groups.is_empty() {
        text.push_str("(no groups registered)\n");
    }
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        if !cx.room.take(group.title.len()) {
            let _ = writeln!(text, "{}", not_shown(groups.len() - index, "group"));
            break;
        }
        let _ = writeln!(text, "{}:", clean(&group.title));
        plain(text, &group.content, 1, cx, flush);
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::{
        Environment, Ids, Package, Panicked, Process, Stack, Stated, TimedOut, Value, Variable,
    };
    use crate::views::Detail;
    use crate::views::room::{MAX_TEXT, Room};

    fn shown(value: &Content) -> String {
        let mut text = String::new();
        let room = Room::new(MAX_TEXT);
        content(&mut text, value, Context { frames: &[], detail: Detail::Short, room: &room }, &mut |_| ());
        text
    }

    #[test]
    fn a_failed_section_shows_the_reason() {
        let overdue = Overdue { tid: 4711, running_ms: 12_400, stack: Stack::missing("it exited meanwhile") };
        let timed_out = Content::TimedOut(TimedOut { deadline_ms: 2_000, overdue: overdue.clone() });
        assert_eq!(
            shown(&timed_out),
            "timed out after 2 s; still running on thread #4711\n  (no stack: it exited meanwhile)\n"
        );
        let odd = Content::TimedOut(TimedOut { deadline_ms: 1_500, overdue: overdue.clone() });
        assert!(shown(&odd).starts_with("timed out after 1500 ms; "), "{}", shown(&odd));
        assert!(
            shown(&Content::StillRunning(overdue))
                .starts_with("skipped: still running from an earlier report (12.4 s, thread #4711)\n")
        );
        let location = Some("src/main.rs:8:5".to_owned());
        let panicked =
            Content::Panicked(Panicked { message: "no cache".into(), location, stack: Stack::default() });
        assert_eq!(shown(&panicked), "panicked at src/main.rs:8:5: no cache\n");
        assert_eq!(shown(&Content::Error("cannot reach db".into())), "error: cannot reach db\n");
    }

    #[test]
    fn text_keeps_its_lines_and_cannot_forge_a_title() {
        let text = Content::Text("one\n====\n------ x\ntwo\u{1b}[0m\n".into());
        assert_eq!(shown(&text), "one\n ====\n ------ x\ntwo\\u{1b}[0m\n");
    }

    #[test]
    fn a_package_shows_what_is_known() {
        let package = Package {
            product: Some("shop".into()),
            version: Some("1.2".into()),
            uptime_ms: Some(93_784_000),
            notes: vec!["SIGUSR2 is ignored".into()],
            command: vec!["shop".into(), "--port".into(), "a b".into()],
            gmr_version: Some("0.1.0".into()),
            gmr_features: vec!["json".into(), "xml".into()],
            kubernetes: vec![Stated {
                name: "pod".into(),
                value: "shop-1".into(),
                source: "HOSTNAME".into(),
            }],
            ..Package::default()
        };
        assert_eq!(
            shown(&Content::Package(Box::new(package))),
            "product = shop\nversion = 1.2\ncommand = shop --port 'a b'\ngmr = 0.1.0 with json, xml\n\
             kubernetes = pod shop-1 (from HOSTNAME)\nuptime = 1 d 2 h 3 min 4 s\nnote = SIGUSR2 is ignored\n"
        );
    }

    #[test]
    fn groups_are_named_and_indented() {
        let database = Value::Map(vec![("host".into(), Value::Text("db1".into()))]);
        let groups = vec![
            Group { title: "database".into(), content: Content::Fields(database) },
            Group { title: "cache".into(), content: Content::Error("not loaded".into()) },
        ];
        assert_eq!(
            shown(&Content::Configuration(groups)),
            "database:\n  host = db1\n\ncache:\n  error: not loaded\n"
        );
        assert_eq!(shown(&Content::Configuration(vec![])), "(no groups registered)\n");
    }

    #[test]
    fn processes_are_indented_below_their_parents() {
        let own = Process {
            pid: 7,
            parent_pid: 1,
            command: vec!["shop".into(), "a b".into()],
            ..Process::default()
        };
        let child =
            Process { pid: 8, parent_pid: 7, depth: 1, command: vec!["[sh]".into()], ..Process::default() };
        assert_eq!(
            shown(&Content::Processes(Processes {
                processes: vec![own, child],
                notes: vec!["no command line of process 8".into()]
            })),
            "note = no command line of process 8\nprocess = 7 (parent 1)\ncommand = shop 'a b'\n  \
             process = 8\n  command = [sh]\n"
        );
    }

    #[test]
    fn ids_are_shown_where_they_differ() {
        let ids = |real, effective| Some(Ids { real, effective, saved: effective });
        let own = Process {
            pid: 7,
            parent_pid: 1,
            user: Some("shop".into()),
            uids: ids(1000, 1000),
            gids: ids(1000, 1000),
            state: Some("sleeping".into()),
            cpu_user_ms: Some(1_200),
            cpu_system_ms: Some(300),
            resident_bytes: Some(84 << 20),
            command: vec!["shop".into()],
            ..Process::default()
        };
        let like_it = Process { pid: 8, parent_pid: 7, depth: 1, ..own.clone() };
        let other = Process { pid: 9, user: Some("root".into()), uids: ids(0, 0), ..like_it.clone() };
        let setuid = Process { pid: 10, parent_pid: 9, depth: 2, uids: ids(0, 1000), ..other.clone() };
        let processes = Processes { processes: vec![own, like_it, other, setuid], notes: Vec::new() };
        assert_eq!(
            shown(&Content::Processes(processes)),
            "process = 7 (parent 1), sleeping, user shop, 1.5 s CPU time, 84.0 MiB resident\n\
             command = shop\n  \
             process = 8, sleeping, 1.5 s CPU time, 84.0 MiB resident\n  \
             command = shop\n  \
             process = 9, sleeping, user root, 1.5 s CPU time, 84.0 MiB resident\n  \
             command = shop\n  \
             uids = 0\n    \
             process = 10, sleeping, 1.5 s CPU time, 84.0 MiB resident\n    \
             command = shop\n    \
             uids = 0 real, 1000 effective, 1000 saved\n"
        );
    }

    #[test]
    fn a_list_alone_has_no_title() {
        let variable = Variable { name: "TZ".into(), value: "UTC\n====".into() };
        let mut environment = Environment { variables: vec![variable], notes: Vec::new() };
        assert_eq!(shown(&Content::Environment(environment.clone())), "TZ = UTC\\n====\n");
        environment.notes.push("some are missing".into());
        assert_eq!(
            shown(&Content::Environment(environment)),
            "note = some are missing\nvariables =\n  TZ = UTC\\n====\n"
        );
        assert_eq!(shown(&Content::Environment(Environment::default())), "(nothing to show)\n");
    }

    #[test]
    fn a_foreign_depth_does_not_fill_the_memory() {
        let deep = Process { depth: 1_000_000, ..Process::default() };
        let text = shown(&Content::Processes(Processes { processes: vec![deep], notes: Vec::new() }));
        assert!(text.lines().all(|line| line.len() < 120), "{} bytes", text.len());
    }
}
