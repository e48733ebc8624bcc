//! Threads and their stacks: `------  Thread #TID (name)  ------`, then `FILE:LINE in FUNCTION` with the source below it, innermost frame first.
//!
//! Threads with the same stack are shown once, and after those that are unlike all others: what is wrong is rarely what many do alike.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::escape::clean;
use super::folding::{is_of_a_runtime, is_plumbing, without_inner_runtime, without_outer_runtime};
use super::values::indent;
use super::{Detail, WIDTH, counted};
use crate::model::{Frame, Role, Stack, Thread, Threads, Waiting};

pub(super) fn threads(text: &mut String, threads: &Threads, detail: Detail) {
    for note in &threads.notes {
        let _ = writeln!(text, "note = {}", clean(note));
    }
    if detail == Detail::Short && threads.threads.iter().any(|thread| !is_whole(&thread.stack)) {
        text.push_str("note = frames of Rust's own runtime are left out; GMR_BACKTRACE=full shows them\n");
    }
    let (making, others): (Vec<&Thread>, Vec<&Thread>) =
        threads.threads.iter().partition(|thread| detail == Detail::Short && thread.role == Role::Reporter);
    for group in groups(&others) {
        text.push('\n');
        match group[..] {
            [thread] => one_thread(text, thread),
            _ => many_threads(text, &group),
        }
        text.push('\n');
        match idle(group[0]).filter(|_| detail == Detail::Short) {
            Some((innermost, others)) => {
                frame(text, innermost, 0);
                let _ = writeln!(text, "(idle: {} of the runtime below it)", counted(others, "more frame"));
            }
            None => stack(text, &group[0].stack, 0, detail),
        }
    }
    if !making.is_empty() {
        text.push('\n');
        title(text, &format!("{} making this report", counted(making.len(), "thread")));
        wrapped(text, making.iter().map(|thread| label(thread)));
    }
}

/// Threads with the same stack, gmr's own apart: the main thread's group first, then the smallest, gmr's own last.
fn groups<'a>(threads: &[&'a Thread]) -> Vec<Vec<&'a Thread>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<&'a Thread>> = Vec::new();
    for &thread in threads {
        // A thread without a stack has nothing to be alike in.
        let place = if thread.stack.frames.is_empty() {
            groups.len()
        } else {
            *places.entry((thread.role, likeness(&thread.stack))).or_insert(groups.len())
        };
        match groups.get_mut(place) {
            Some(group) => group.push(thread),
            None => groups.push(vec![thread]),
        }
    }
    // Stable, so that groups of a size keep the order of their first threads.
    groups.sort_by_key(|group| match group[0].role {
        Role::Main => (0, 0),
        Role::Program if idle(group[0]).is_none() => (1, group.len()),
        Role::Program => (2, group.len()),
        Role::Gmr => (3, 0),
        Role::Reporter => (4, 0),
    });
    groups
}

/// Of a pool's thread that waits for work: the function of the pool that waits, and how many more frames it has. A thread that has any function of the program's in its stack, or runs, is not idle.
fn idle(thread: &Thread) -> Option<(&Arc<Frame>, usize)> {
    let Stack { frames, incomplete: None } = &thread.stack else { return None };
    thread.waiting.as_ref()?;
    if thread.role != Role::Program || !frames.iter().all(|frame| is_plumbing(frame)) {
        return None;
    }
    let pools = frames.iter().position(|frame| is_of_a_runtime(frame))?;
    Some((&frames[pools], frames.len() - pools - 1))
}

/// What makes two stacks the same: why they end, and where and what each frame is.
type Likeness<'a> = (Option<&'a str>, Vec<(u64, Option<&'a str>, Option<u32>)>);

fn likeness(stack: &Stack) -> Likeness<'_> {
    let frames = stack.frames.iter().map(|frame| (frame.address, frame.function.as_deref(), frame.line));
    (stack.incomplete.as_deref(), frames.collect())
}

fn one_thread(text: &mut String, thread: &Thread) {
    let role = match thread.role {
        Role::Main => ", main thread",
        Role::Program => "",
        Role::Gmr => ", gmr's own",
        Role::Reporter => ", makes this report",
    };
    title(text, &format!("Thread {}{role}", label(thread)));
    if let Some(facts) = facts(thread) {
        let _ = writeln!(text, "{facts}");
    }
    if let Some(waiting) = &thread.waiting {
        let _ = writeln!(text, "{}", phrase(waiting));
    }
}

/// `#42 (worker)`
fn label(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("#{}", thread.tid)
    } else {
        format!("#{} ({})", thread.tid, clean(&thread.name))
    }
}

/// All their ids and names, then how many do what.
fn many_threads(text: &mut String, threads: &[&Thread]) {
    title(text, &format!("{} with the same stack", counted(threads.len(), "thread")));
    wrapped(text, threads.iter().map(|thread| label(thread)));
    let states = tally(
        threads.iter().filter_map(|thread| thread.state.as_deref().map(|state| clean(state).into_owned())),
    );
    let total = |cpu: fn(&Thread) -> Option<u64>| threads.iter().filter_map(|thread| cpu(thread)).sum();
    let (user, system) = (total(|thread| thread.cpu_user_ms), total(|thread| thread.cpu_system_ms));
    let _ = writeln!(text, "state = {states}, cpu = {}", cpu(user, system));
    for line in waits(threads) {
        let _ = writeln!(text, "{line}");
    }
}

/// What the threads of a group wait for.
fn waits(threads: &[&Thread]) -> Vec<String> {
    let mut futexes: Vec<u64> = threads.iter().filter_map(|thread| thread.waiting.as_ref()?.futex).collect();
    futexes.sort_unstable();
    futexes.dedup();
    // Parked threads: each on its own, and none of the addresses says anything.
    if futexes.len() == threads.len() {
        return vec!["waiting on a futex each".to_owned()];
    }
    counts(threads.iter().filter_map(|thread| thread.waiting.as_ref().map(phrase)))
}

pub(super) fn title(text: &mut String, title: &str) {
    let _ = writeln!(text, "------{title:^width$}------", width = WIDTH - 12);
}

/// Comma-separated, in lines of the report's width.
pub(super) fn wrapped(text: &mut String, words: impl Iterator<Item = String>) {
    let mut column = 0;
    for (index, word) in words.enumerate() {
        if index > 0 {
            text.push(',');
            let full = column + word.chars().count() + 2 > WIDTH;
            text.push(if full { '\n' } else { ' ' });
            column = if full { 0 } else { column + 2 };
        }
        column += word.chars().count();
        text.push_str(&word);
    }
    text.push('\n');
}

/// `30 sleeping, 1 running`; the word alone where there is but one.
fn tally(words: impl Iterator<Item = String>) -> String {
    let counted = count(words);
    match &counted[..] {
        [(word, _)] => word.clone(),
        _ => counted.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", "),
    }
}

/// The most frequent lines, each with its count where it is not that of all.
fn counts(lines: impl Iterator<Item = String>) -> Vec<String> {
    /// A pool whose threads each wait on something of their own would fill the page.
    const MOST: usize = 5;
    let counted = count(lines);
    if let [(line, _)] = &counted[..] {
        return vec![line.clone()];
    }
    let more = counted.len().saturating_sub(MOST);
    let mut lines: Vec<String> =
        counted.iter().take(MOST).map(|(line, count)| format!("{count} x {line}")).collect();
    if more > 0 {
        lines.push(format!("and {more} more such lines"));
    }
    lines
}

/// Each distinct text with how often it occurs, the most frequent first.
fn count(texts: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

/// `state = sleeping, cpu = 1.50 s user + 0.25 s system, last on CPU 1`
fn facts(thread: &Thread) -> Option<String> {
    let state = thread.state.as_ref().map(|state| format!("state = {}", clean(state)));
    let times = thread.cpu_user_ms.zip(thread.cpu_system_ms);
    let times = times.map(|(user, system)| format!("cpu = {}", cpu(user, system)));
    let last = thread.last_cpu.map(|cpu| format!("last on CPU {cpu}"));
    // Nearly every thread has this one.
    let policy = thread.policy.as_ref().filter(|policy| *policy != "other");
    let policy = policy.map(|policy| format!("policy = {}", clean(policy)));
    let facts: Vec<String> = [state, times, last, policy].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn cpu(user_ms: u64, system_ms: u64) -> String {
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    format!("{} user + {} system", seconds(user_ms), seconds(system_ms))
}

/// What a thread waits for, as one would say it.
fn phrase(waiting: &Waiting) -> String {
    let call = clean(&waiting.call);
    let about = match (waiting.futex, waiting.descriptor) {
        (Some(address), _) => {
            let others = match waiting.futex_others {
                0 => String::new(),
                1 => " (with 1 other)".to_owned(),
                count => format!(" (with {count} others)"),
            };
            format!("on futex {address:#x}{others}")
        }
        (None, Some(descriptor)) => {
            let preposition = match &*call {
                "read" | "readv" | "pread" | "preadv" => "from",
                "write" | "writev" | "pwrite" | "pwritev" => "to",
                _ => "on",
            };
            let target =
                waiting.target.as_ref().map(|target| format!(": {}", clean(target))).unwrap_or_default();
            format!("in {call} {preposition} fd {descriptor}{target}")
        }
        (None, None) => format!("in {call}"),
    };
    match &waiting.kernel_function {
        Some(function) => format!("in uninterruptible sleep in {}, waiting {about}", clean(function)),
        None => format!("waiting {about}"),
    }
}

/// A stack, innermost frame first, then why it is not whole.
pub(super) fn stack(text: &mut String, stack: &Stack, depth: usize, detail: Detail) {
    let shown = match detail {
        Detail::Short => folded(stack),
        Detail::Full => &stack.frames[..],
    };
    match (detail, shown.len().checked_sub(2 * END)) {
        (Detail::Short, Some(between)) if between > 0 => {
            shown[..END].iter().for_each(|one| frame(text, one, depth));
            indent(text, depth);
            let _ = writeln!(text, "... {} ...", counted(between, "more frame"));
            shown[END + between..].iter().for_each(|one| frame(text, one, depth));
        }
        _ => shown.iter().for_each(|one| frame(text, one, depth)),
    }
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

/// How much of either end of a very deep stack is shown: enough for any stack that is no recursion.
const END: usize = 100;

/// The stack without the runtime's frames. Where it does not reach the thread's first function, what stands at its outer end is not the runtime's.
fn folded(stack: &Stack) -> &[Arc<Frame>] {
    let inner = without_inner_runtime(&stack.frames);
    if stack.incomplete.is_none() { without_outer_runtime(inner) } else { inner }
}

fn is_whole(stack: &Stack) -> bool {
    folded(stack).len() == stack.frames.len()
}

pub(super) fn frame(text: &mut String, frame: &Frame, depth: usize) {
    indent(text, depth);
    let inlined = if frame.inlined { " (inlined)" } else { "" };
    let _ = match (&frame.file, frame.line, &frame.function) {
        (Some(file), Some(line), Some(function)) => {
            writeln!(text, "{}:{line} in {}{inlined}", short_path(file), clean(function))
        }
        (Some(file), None, Some(function)) => {
            writeln!(text, "{} in {}{inlined}", short_path(file), clean(function))
        }
        (_, _, Some(function)) => writeln!(text, "{} in {}{inlined}", place(frame), clean(function)),
        (_, _, None) => match &frame.build_id {
            Some(build_id) => writeln!(text, "{} (build-id {})", place(frame), clean(build_id)),
            None => writeln!(text, "{}", place(frame)),
        },
    };
    if let Some(source) = &frame.source {
        indent(text, depth);
        let _ = writeln!(text, "    `{}`", clean(source));
    }
}

/// `module+0xoffset`, or the bare address where no module covers it.
fn place(frame: &Frame) -> String {
    match (&frame.module, frame.module_offset) {
        (Some(module), Some(offset)) => format!("{}+{offset:#x}", clean(module)),
        _ => format!("{:#x}", frame.address),
    }
}

/// The path without what is the same for every crate and every build: where cargo keeps its sources, and the hash of the compiler's. The model has it whole.
fn short_path(path: &str) -> String {
    let registry =
        path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
    let compiler = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    clean(registry.or(compiler).unwrap_or(path)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(stack: Stack) -> Threads {
        Threads {
            threads: vec![Thread {
                tid: 42,
                name: "worker".into(),
                role: Role::Program,
                state: Some("sleeping".into()),
                cpu_user_ms: Some(1_500),
                cpu_system_ms: Some(50),
                started_at: None,
                policy: Some("other".into()),
                last_cpu: Some(1),
                waiting: None,
                stack,
            }],
            notes: vec![],
        }
    }

    fn shown(value: &Threads) -> String {
        let mut text = String::new();
        threads(&mut text, value, Detail::Short);
        text
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
        let nobody = Frame { address: 0x7f00_1234, ..Frame::default() };
        let frames = [leaf, library, stripped, nobody].map(Arc::new).into();
        let text = shown(&thread(Stack { frames, incomplete: Some("cut".into()) }));
        let expected = "\n------                    Thread #42 (worker)                     ------\n\
                        state = sleeping, cpu = 1.50 s user + 0.05 s system, last on CPU 1\n\
                        \n\
                        /srv/shop/src/main.rs:88 in shop::lock (inlined)\n    `orders.lock()`\n\
                        tokio-1.54.0/src/runtime.rs:7 in tokio::runtime::block_on\n\
                        /usr/lib/libc.so.6+0x1f2e (build-id ab12)\n\
                        0x7f001234\n\
                        (incomplete: cut)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_missing_stack_says_why_and_a_name_cannot_pretend() {
        let mut value = thread(Stack::missing("it blocks the signal"));
        value.threads[0].name = "evil\n====".into();
        let text = shown(&value);
        assert!(text.contains("(no stack: it blocks the signal)"), "{text}");
        assert!(text.contains("Thread #42 (evil\\n====)"), "{text}");
    }

    fn named(name: &str) -> Frame {
        Frame { function: Some(name.into()), ..Frame::default() }
    }

    fn many(names: &[(&str, &str)]) -> Threads {
        let mut all = thread(Stack::default());
        let one = all.threads.remove(0);
        all.threads = names
            .iter()
            .zip(1..)
            .map(|((name, function), tid)| Thread {
                tid,
                name: (*name).into(),
                stack: Stack { frames: vec![Arc::new(named(function))], incomplete: None },
                ..one.clone()
            })
            .collect();
        all
    }

    #[test]
    fn threads_with_the_same_stack_are_shown_once_and_after_the_others() {
        let all = many(&[("a1", "idle"), ("b", "busy"), ("a2", "idle"), ("a3", "idle")]);
        let text = shown(&all);
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
        let frames: Vec<_> = (0..100_000).map(|depth| Arc::new(named(&format!("level_{depth}")))).collect();
        let text = shown(&thread(Stack { frames, incomplete: None }));
        assert!(
            text.contains("in level_99\n... 99800 more frames ...\n0x0 in level_99900\n"),
            "{}",
            &text[..3000]
        );
        assert!(text.contains("in level_0\n") && text.contains("in level_99999\n"));
        assert_eq!(text.matches(" in level_").count(), 200);
    }

    #[test]
    fn threads_without_a_stack_are_not_alike() {
        let mut all = many(&[("a", "x"), ("b", "x")]);
        for thread in &mut all.threads {
            thread.stack = Stack::missing("it exited meanwhile");
        }
        assert_eq!(shown(&all).matches("(no stack: it exited meanwhile)").count(), 2);
    }

    #[test]
    fn a_long_list_of_threads_is_wrapped() {
        let names: Vec<String> = (0..40).map(|number| format!("worker-{number}")).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), "idle")).collect();
        let text = shown(&many(&names));
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(names.iter().all(|(name, _)| text.contains(&format!("({name})"))), "{text}");
    }

    #[test]
    fn what_a_thread_waits_for_is_said_in_words() {
        let waiting = |call: &str| Waiting { call: call.into(), ..Waiting::default() };
        let futex = Waiting { futex: Some(0x7f01), futex_others: 3, ..waiting("futex") };
        assert_eq!(phrase(&futex), "waiting on futex 0x7f01 (with 3 others)");
        let read = Waiting { descriptor: Some(5), target: Some("pipe:[17]".into()), ..waiting("read") };
        assert_eq!(phrase(&read), "waiting in read from fd 5: pipe:[17]");
        let stuck = Waiting { kernel_function: Some("nfs_wait".into()), ..read };
        assert_eq!(
            phrase(&stuck),
            "in uninterruptible sleep in nfs_wait, waiting in read from fd 5: pipe:[17]"
        );
        assert_eq!(phrase(&waiting("nanosleep")), "waiting in nanosleep");
    }
}
