//! Threads and their stacks: `------  Thread #TID (name)  ------`, then `FILE:LINE in FUNCTION`
//! with the source line below it, innermost frame first.
//!
//! Threads with the same stack are shown once, and after threads with a stack of their own, which
//! are more likely to show a problem. gmr's own threads take one line each, unless one of them runs
//! a function of the program, as of a section that is stuck.

use std::fmt::Write as _;

use super::layout::{Flush, WIDTH};
use super::values::indent;
use crate::model::{Role, Stack, Thread, Threads};
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::{Known, Part};
use crate::views::grouping::Shown;
use crate::views::room::{not_shown, of_line};
use crate::views::words;
use crate::views::{Context, Detail, grouping};

/// The most lines that the names of a group take, unless everything is shown.
const MAX_NAME_LINES: usize = 3;

pub(super) fn threads(text: &mut String, threads: &Threads, cx: Context<'_>, flush: &mut Flush<'_>) {
    for note in words::notes(&threads.notes) {
        let _ = writeln!(text, "note = {note}");
    }
    let is_folded = |thread: &&Thread| {
        let is_short = cx.detail == Detail::Short && thread.role == Role::Gmr;
        is_short && grouping::own_function(&thread.stack, cx.frames).is_none()
    };
    let is_cut = |thread: &Thread| is_folded(&thread) || !grouping::shows_all(&thread.stack, cx.frames);
    if cx.detail == Detail::Short && threads.threads.iter().any(is_cut) {
        text.push_str("note = runtime frames are omitted; set GMR_BACKTRACE=full to include them\n");
    }
    let is_reporting = |thread: &&Thread| cx.detail == Detail::Short && thread.role == Role::Reporter;
    let others = threads.threads.iter().filter(|thread| !is_reporting(thread) && !is_folded(thread));
    let groups = grouping::of_threads(others, cx.frames);
    for (index, group) in groups.iter().enumerate() {
        text.push('\n');
        if !cx.room.take_row() {
            let left = groups[index..].iter().map(Vec::len).sum();
            let _ = writeln!(text, "{}", not_shown(left, "thread"));
            break;
        }
        title(text, &words::threads_title(group));
        if group.len() > 1 {
            names(text, group, cx.detail, flush);
        }
        for line in words::threads_facts(group) {
            cx.room.spend(line.len());
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        match grouping::pool_thread(group[0], cx.frames).filter(|_| cx.detail == Detail::Short) {
            Some(thread) => {
                parts(text, &[Part::Frame(thread.frame)], 0, cx, flush);
                let _ = writeln!(text, "({})", words::pool_thread(&thread));
            }
            None => stack(text, &group[0].stack, 0, cx, flush),
        }
        flush(text);
    }
    own(text, &threads.threads.iter().filter(is_folded).collect::<Vec<_>>(), cx);
    let reporting: Vec<&Thread> = threads.threads.iter().filter(is_reporting).collect();
    if !reporting.is_empty() {
        text.push('\n');
        title(text, &format!("{} making this report", counted(reporting.len(), "thread")));
        wrapped(text, reporting.iter().map(|thread| words::label(thread)), flush);
    }
}

/// gmr's threads that are not making this report, a line for each.
fn own(text: &mut String, threads: &[&Thread], cx: Context<'_>) {
    if threads.is_empty() {
        return;
    }
    text.push('\n');
    title(text, &format!("{} of gmr", counted(threads.len(), "thread")));
    for (index, thread) in threads.iter().enumerate() {
        let line = words::in_one_line(thread);
        if !cx.room.take(line.len()) {
            let _ = writeln!(text, "{}", not_shown(threads.len() - index, "thread"));
            break;
        }
        let _ = writeln!(text, "{line}");
    }
}

pub(super) fn title(text: &mut String, title: &str) {
    let _ = writeln!(text, "------{title:^width$}------", width = WIDTH - 12);
}

/// Comma-separated, in lines of the report's width.
pub(super) fn wrapped(text: &mut String, words: impl Iterator<Item = String>, flush: &mut Flush<'_>) {
    let mut wrap = Wrap::default();
    for (index, word) in words.enumerate() {
        let begins = wrap.add(&word);
        if index > 0 {
            text.push_str(if begins { ",\n" } else { ", " });
            // A pool can have thousands of threads.
            flush(text);
        }
        text.push_str(&word);
    }
    text.push('\n');
}

/// The threads of a group, in at most [`MAX_NAME_LINES`] lines.
fn names(text: &mut String, group: &[&Thread], detail: Detail, flush: &mut Flush<'_>) {
    if detail == Detail::Full {
        return wrapped(text, group.iter().map(|thread| words::label(thread)), flush);
    }
    let ranges = words::threads_named(group);
    let more = |threads: usize| format!("and {threads} more");
    let (mut wrap, mut left) = (Wrap::default(), group.len());
    // How many fit, if what is left is counted after them.
    let mut fitting = 0;
    for (index, (name, threads)) in ranges.iter().enumerate() {
        wrap.add(name);
        left -= threads;
        let mut all = wrap;
        if left > 0 {
            all.add(&more(left));
        }
        if all.lines <= MAX_NAME_LINES {
            fitting = index + 1;
        } else if wrap.lines > MAX_NAME_LINES {
            break;
        }
    }
    let left: usize = ranges[fitting..].iter().map(|(_, threads)| threads).sum();
    let names = ranges.into_iter().take(fitting).map(|(name, _)| name);
    wrapped(text, names.chain((left > 0).then(|| more(left))), flush);
}

/// Where comma-separated words are broken into lines of the report's width.
#[derive(Clone, Copy, Default)]
struct Wrap {
    lines: usize,
    column: usize,
}

impl Wrap {
    /// Whether the word begins a line.
    fn add(&mut self, word: &str) -> bool {
        let width = word.chars().count();
        // A comma follows each word.
        let begins = self.lines == 0 || self.column + width + 2 > WIDTH;
        self.column = if begins { width } else { self.column + 2 + width };
        self.lines += usize::from(begins);
        begins
    }
}

/// A stack, innermost frame first, then why it is incomplete.
pub(super) fn stack(text: &mut String, stack: &Stack, depth: usize, cx: Context<'_>, flush: &mut Flush<'_>) {
    frames_and_end(text, &grouping::shown(stack, cx), stack, depth, cx, flush);
}

/// What is shown of a stack, then why it is incomplete.
pub(super) fn frames_and_end(
    text: &mut String,
    shown: &Shown<'_>,
    stack: &Stack,
    depth: usize,
    cx: Context<'_>,
    flush: &mut Flush<'_>,
) {
    frames(text, shown, depth, cx, flush);
    match &stack.incomplete {
        Some(reason) if stack.frames.is_empty() => {
            indent(text, depth);
            let _ = writeln!(text, "(no stack: {})", clean(reason));
        }
        Some(reason) => {
            indent(text, depth);
            let _ = writeln!(text, "(incomplete: {})", clean(reason));
        }
        None => {}
    }
}

/// What is shown of a stack.
pub(super) fn frames(
    text: &mut String,
    shown: &Shown<'_>,
    depth: usize,
    cx: Context<'_>,
    flush: &mut Flush<'_>,
) {
    let (inner, between, outer) = shown.ends();
    parts(text, inner, depth, cx, flush);
    if between > 0 {
        indent(text, depth);
        let _ = writeln!(text, "... {} ...", counted(between, "more frame"));
    }
    parts(text, outer, depth, cx, flush);
}

fn parts(text: &mut String, parts: &[Part<'_>], depth: usize, cx: Context<'_>, flush: &mut Flush<'_>) {
    let detail = cx.detail;
    for part in parts {
        let before = text.len();
        indent(text, depth);
        match part {
            Part::Omitted(omitted) => {
                let _ = writeln!(text, "({})", words::omitted(omitted));
            }
            Part::Frame(of) => frame(text, of, &words::function(of, detail), 1, depth, detail),
            Part::Repeated(of, times) => frame(text, of, &words::function(of, detail), *times, depth, detail),
            Part::OwnBody(of) => frame(text, of, &words::own_function(of), 1, depth, detail),
        }
        cx.room.spend(text.len() - before);
        // Frames can have long names.
        flush(text);
    }
}

/// `FILE:LINE in FUNCTION`, and the source line below it. If it is so many times in a row, this is
/// said once.
fn frame(text: &mut String, frame: &Known<'_>, function: &str, times: usize, depth: usize, detail: Detail) {
    match frame.path() {
        Some(path) if frame.function.is_some() => {
            text.push_str(path);
            if let Some(line) = frame.line {
                let _ = write!(text, ":{line}");
            }
        }
        _ => text.push_str(&words::place(frame)),
    }
    if frame.function.is_some() {
        text.push_str(" in ");
        text.push_str(function);
        text.push_str(if words::is_inlined(frame, detail) { " (inlined)" } else { "" });
    }
    if times > 1 {
        let _ = write!(text, " (×{times})");
    }
    text.push('\n');
    if let Some(source) = &frame.source {
        indent(text, depth);
        text.push_str("    `");
        text.push_str(&of_line(source));
        text.push_str("`\n");
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::Frame;
    use crate::views::room::{MAX_TEXT, Room};

    fn thread(stack: Stack) -> Threads {
        Threads {
            threads: vec![Thread {
                tid: 42,
                name: "worker".into(),
                role: Role::Program,
                state: Some("sleeping".into()),
                cpu_user_ms: Some(1_500),
                cpu_system_ms: Some(50),
                cpu_us: None,
                started_at: None,
                policy: Some("other".into()),
                last_cpu: Some(1),
                waiting: None,
                at_rest_ms: None,
                stack,
            }],
            ..Threads::default()
        }
    }

    fn shown(value: &Threads, frames: &[Frame]) -> String {
        let mut text = String::new();
        let frames = &Known::all(frames);
        let room = &Room::new(MAX_TEXT);
        threads(&mut text, value, Context { frames, detail: Detail::Short, room }, &mut |_| ());
        text
    }

    /// The stack of all these frames.
    fn stack_of(frames: &[Frame]) -> Stack {
        Stack { frames: (0..u32::try_from(frames.len()).unwrap()).collect(), ..Stack::default() }
    }

    #[test]
    fn frames_are_file_line_function_and_source() {
        let leaf = Frame {
            function: Some("shop::lock".into()),
            file: Some("/srv/shop/src/main.rs".into()),
            line: Some(88),
            source: Some("orders.lock()".into()),
            inlined: true,
            ..Frame::default()
        };
        let library = Frame {
            function: Some("tokio::runtime::block_on".into()),
            file: Some(
                "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f/tokio-1.54.0/src/runtime.rs".into(),
            ),
            line: Some(7),
            ..Frame::default()
        };
        let stripped = Frame {
            module: Some("/usr/lib/libc.so.6".into()),
            module_offset: Some(0x1f2e),
            build_id: Some("ab12".into()),
            ..Frame::default()
        };
        let unknown = Frame { address: 0x7f00_1234, ..Frame::default() };
        let frames = [leaf, library, stripped, unknown];
        let stack = Stack { incomplete: Some("cut".into()), ..stack_of(&frames) };
        let text = shown(&thread(stack), &frames);
        let expected = "\n------                    Thread #42 (worker)                     ------\n\
                        state = sleeping, cpu = 1.50 s user + 0.05 s system, last on CPU 1\n\
                        \n\
                        /srv/shop/src/main.rs:88 in shop::lock (inlined)\n    `orders.lock()`\n\
                        tokio-1.54.0/src/runtime.rs:7 in tokio::runtime::block_on\n\
                        /usr/lib/libc.so.6+0x1f2e\n\
                        0x7f001234\n\
                        (incomplete: cut)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_missing_stack_says_why_and_a_name_cannot_forge_structure() {
        let mut value = thread(Stack::missing("it blocks the signal"));
        value.threads[0].name = "evil\n====".into();
        let text = shown(&value, &[]);
        assert!(text.contains("(no stack: it blocks the signal)"), "{text}");
        assert!(text.contains("Thread #42 (evil\\n====)"), "{text}");
    }

    fn named(name: &str) -> Frame {
        Frame { function: Some(name.into()), ..Frame::default() }
    }

    /// Threads of these names, each in one of these functions.
    fn many(names: &[(&str, &str)]) -> (Threads, Vec<Frame>) {
        let mut all = thread(Stack::default());
        let one = all.threads.remove(0);
        let mut functions: Vec<&str> = Vec::new();
        for ((name, function), tid) in names.iter().zip(1..) {
            let index = functions.iter().position(|known| known == function).unwrap_or_else(|| {
                functions.push(function);
                functions.len() - 1
            });
            let frames = [u32::try_from(index).unwrap()].into();
            let stack = Stack { frames, ..Stack::default() };
            all.threads.push(Thread { tid, name: (*name).into(), stack, ..one.clone() });
        }
        (all, functions.into_iter().map(named).collect())
    }

    #[test]
    fn threads_with_the_same_stack_are_shown_once_and_after_the_others() {
        let (all, frames) = many(&[("a1", "idle"), ("b", "busy"), ("a2", "idle"), ("a3", "idle")]);
        let text = shown(&all, &frames);
        let busy = text.find("Thread #2 (b)").unwrap();
        let idle = text.find("3 threads with the same stack").unwrap();
        assert!(busy < idle, "{text}");
        assert!(
            text.contains(
                "#1 (a1), #3 (a2), #4 (a3)\nstate = sleeping, cpu = 4.50 s user + 0.15 s system\n\n"
            ),
            "{text}"
        );
        assert_eq!(text.matches("in idle").count(), 1, "{text}");
    }

    #[test]
    fn a_recursion_shows_its_two_ends() {
        let frames: Vec<Frame> = (0..100_000).map(|depth| named(&format!("level_{depth}"))).collect();
        let text = shown(&thread(stack_of(&frames)), &frames);
        assert!(
            text.contains("in level_99\n... 99800 more frames ...\n0x0 in level_99900\n"),
            "{}",
            &text[..3000]
        );
        assert!(text.contains("in level_0\n") && text.contains("in level_99999\n"));
        assert_eq!(text.matches(" in level_").count(), 200);
    }

    #[test]
    fn a_pools_thread_that_runs_nothing_of_the_program_takes_one_line() {
        let lines = |functions: &[&str], state: &str| {
            let frames: Vec<Frame> = functions.iter().map(|function| named(function)).collect();
            let mut value = thread(stack_of(&frames));
            value.threads[0].state = Some(state.to_owned());
            shown(&value, &frames)
        };
        let of_pool = ["std::thread::yield_now", "tokio::runtime::run", "std::thread::start"];
        let text = lines(&of_pool, "running");
        let where_it_is = "0x0 in tokio::runtime::run\n";
        assert!(text.contains(&format!("{where_it_is}(running; 2 frames of std omitted)\n")), "{text}");
        assert_eq!(text.matches(" in ").count(), 1, "{text}");
        // It is not known whether this one waits, or what for.
        let text = lines(&of_pool, "sleeping");
        assert!(text.contains(&format!("{where_it_is}(2 frames of std omitted)\n")), "{text}");
        let text = lines(&["tokio::runtime::run", "shop::pay", "std::thread::start"], "running");
        assert!(text.contains("in shop::pay\n") && !text.contains("omitted)"), "{text}");
    }

    #[test]
    fn threads_without_a_stack_are_grouped_by_reason() {
        let (mut all, frames) = many(&[("a", "x"), ("b", "x"), ("c", "x")]);
        for thread in &mut all.threads {
            thread.stack = Stack::missing("it exited meanwhile");
        }
        all.threads[1].stack = Stack::missing("it blocks the signal");
        let text = shown(&all, &frames);
        assert!(text.contains(" 2 threads without a stack "), "{text}");
        assert!(text.contains("\n#1 (a), #3 (c)\n") && text.contains(" Thread #2 (b) "), "{text}");
        assert_eq!(text.matches("(no stack: it exited meanwhile)").count(), 1, "{text}");
    }

    #[test]
    fn a_long_list_of_threads_is_wrapped_and_cut() {
        let names: Vec<String> = (0..400).map(|number| format!("worker-{:03}", number * 7 % 400)).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), "idle")).collect();
        let (all, frames) = many(&names);
        let text = shown(&all, &frames);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("(worker-")).collect();
        assert_eq!(lines.len(), MAX_NAME_LINES, "{text}");
        let (last_names, count) = lines[2].rsplit_once(", and ").expect("the others are counted");
        assert!(last_names.len() + ", and 000 more, #000 (worker-000)".len() > WIDTH, "no more fit: {text}");
        let more: usize = count.strip_suffix(" more").and_then(|count| count.parse().ok()).expect("a number");
        assert_eq!(text.matches("(worker-").count() + more, names.len(), "{text}");

        let mut text = String::new();
        let frames = &Known::all(&frames);
        let room = &Room::new(MAX_TEXT);
        threads(&mut text, &all, Context { frames, detail: Detail::Full, room }, &mut |_| ());
        assert!(names.iter().all(|(name, _)| text.contains(&format!("({name})"))), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn a_thread_of_gmrs_takes_one_line_unless_it_runs_the_program() {
        let frame = |function: String, file: Option<&str>| Frame {
            function: Some(function),
            file: file.map(str::to_owned),
            ..Frame::default()
        };
        let frames = [
            frame(format!("{}::emergency::sleep", module_path!().split("::").next().unwrap()), None),
            frame("shop::levels".into(), Some("src/main.rs")),
        ];
        let mut all = thread(Stack::default());
        let one = Thread { role: Role::Gmr, ..all.threads.remove(0) };
        let stack = |frames: &[u32]| Stack { frames: frames.into(), ..Stack::default() };
        let asleep = Thread { tid: 7, name: "gmr emergency".into(), stack: stack(&[0]), ..one.clone() };
        let running = Thread { tid: 8, name: "gmr section".into(), stack: stack(&[1, 0]), ..one.clone() };
        let gone = Thread { tid: 9, name: "gmr\n====".into(), stack: Stack::missing("it exited"), ..one };
        all.threads = vec![asleep, running, gone];
        let text = shown(&all, &frames);
        let lines = "------                      2 threads of gmr                      ------\n\
                     #7 (gmr emergency): sleeping\n\
                     #9 (gmr\\n====): sleeping; no stack: it exited\n";
        assert!(text.ends_with(lines) && text.contains("set GMR_BACKTRACE=full"), "{text}");
        assert!(
            text.contains(" Thread #8 (gmr section), of gmr ") && text.contains(" in shop::levels\n"),
            "{text}"
        );
        let mut text = String::new();
        let (frames, room) = (&Known::all(&frames), &Room::new(MAX_TEXT));
        threads(&mut text, &all, Context { frames, detail: Detail::Full, room }, &mut |_| ());
        assert!(text.contains(" in shop::levels\n") && text.contains("::emergency::sleep\n"), "{text}");
        assert!(!text.contains("threads of gmr"), "{text}");
    }

    #[test]
    fn a_pool_is_named_by_a_range() {
        let (all, frames) = many(&[("shop", "idle"); 52]);
        let text = shown(&all, &frames);
        assert!(
            text.contains(" with the same stack ") && text.contains("\n#1–#52 (shop)\nstate = "),
            "{text}"
        );
    }
}
