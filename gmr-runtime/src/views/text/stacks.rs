//! Threads and their stacks: `------  Thread #TID (name)  ------`, then `FILE:LINE in FUNCTION` with the source below it, innermost frame first.

use std::fmt::Write as _;

use super::WIDTH;
use super::escape::clean;
use super::values::indent;
use crate::model::{Frame, Role, Stack, Thread, Threads};

pub(super) fn threads(text: &mut String, threads: &Threads) {
    for note in &threads.notes {
        let _ = writeln!(text, "note = {}", clean(note));
    }
    for (index, thread) in threads.threads.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        one_thread(text, thread);
    }
}

fn one_thread(text: &mut String, thread: &Thread) {
    let name = if thread.name.is_empty() { String::new() } else { format!(" ({})", clean(&thread.name)) };
    let role = match thread.role {
        Role::Main => ", main thread",
        Role::Program => "",
        Role::Gmr => ", gmr's own",
    };
    let title = format!("Thread #{}{name}{role}", thread.tid);
    let _ = writeln!(text, "------{title:^width$}------", width = WIDTH - 12);
    if let Some(facts) = facts(thread) {
        let _ = writeln!(text, "{facts}");
    }
    text.push('\n');
    stack(text, &thread.stack, 0);
}

/// `state = sleeping, cpu = 1.50 s user + 0.25 s system`
fn facts(thread: &Thread) -> Option<String> {
    let state = thread.state.as_ref().map(|state| format!("state = {}", clean(state)));
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    let cpu = thread
        .cpu_user_ms
        .zip(thread.cpu_system_ms)
        .map(|(user, system)| format!("cpu = {} user + {} system", seconds(user), seconds(system)));
    match (state, cpu) {
        (Some(state), Some(cpu)) => Some(format!("{state}, {cpu}")),
        (state, cpu) => state.or(cpu),
    }
}

/// A stack, innermost frame first, then why it is not whole.
pub(super) fn stack(text: &mut String, stack: &Stack, depth: usize) {
    for one in &stack.frames {
        frame(text, one, depth);
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

fn frame(text: &mut String, frame: &Frame, depth: usize) {
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
    use std::sync::Arc;

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
                stack,
            }],
            notes: vec![],
        }
    }

    fn shown(value: &Threads) -> String {
        let mut text = String::new();
        threads(&mut text, value);
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
        let expected = "------                    Thread #42 (worker)                     ------\n\
                        state = sleeping, cpu = 1.50 s user + 0.05 s system\n\
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
}
