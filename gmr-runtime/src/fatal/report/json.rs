//! The report as one line of JSON, with the members that `docs/fatal-signals.md` lists. It is
//! written by hand: a serializer allocates.

use std::fmt::{self, Write as _};

use super::describe::{code_name, signal_name};
use super::output::Output;
use super::view::{End, Head, Note, Place, ThreadHead, View};
use crate::sys::linux::crash_modules::CrashModule;
use crate::threads::linux::call_name;

#[derive(Default)]
pub(super) struct Json {
    /// How many elements of the current list have been written.
    threads: usize,
    frames: usize,
    left: usize,
    modules: usize,
}

impl View for Json {
    fn head(&mut self, output: &mut Output<'_>, head: &Head<'_>) -> fmt::Result {
        let crash = head.crash;
        write!(output, "{{\"kind\":\"fatal\",\"version\":1,\"pid\":{}", std::process::id())?;
        if let Some(now) = head.made_at {
            write!(output, ",\"made_at\":\"{}\"", humantime::format_rfc3339_seconds(now))?;
        }
        let (signal, code) = (crash.signal, crash.code);
        write!(output, ",\"signal\":{{\"name\":\"{}\",\"number\":{signal}", signal_name(signal))?;
        write!(output, ",\"code\":{code}")?;
        if let Some((name, meaning)) = code_name(crash) {
            write!(output, ",\"code_name\":\"{name}\",\"meaning\":\"{meaning}\"")?;
        }
        if let Some(address) = crash.address {
            write!(output, ",\"address\":\"{address:#x}\"")?;
        }
        if let Some((pid, uid)) = crash.sender {
            write!(output, ",\"sender\":{{\"pid\":{pid},\"uid\":{uid}}}")?;
        }
        if let Some(number) = crash.system_call {
            write!(output, ",\"system_call\":{number}")?;
        }
        write!(output, "}},\"next\":")?;
        match &head.next {
            None => write!(output, "{{\"action\":\"default\"}}")?,
            Some(next) => {
                write!(output, "{{\"action\":\"handler\",")?;
                place(output, next)?;
                write!(output, "}}")?;
            }
        }
        write!(output, ",\"threads\":[")
    }

    fn thread(&mut self, output: &mut Output<'_>, thread: &ThreadHead<'_>) -> fmt::Result {
        (self.frames, self.left) = (0, 0);
        separate(output, &mut self.threads)?;
        write!(output, "{{\"tid\":{},\"crashed\":{},\"name\":", thread.tid, thread.has_crashed())?;
        text(output, thread.name)?;
        if let Some(state) = thread.state {
            write!(output, ",\"state\":")?;
            text(output, &[state])?;
        }
        if let Some(number) = thread.system_call {
            match call_name(number) {
                Some(name) => write!(output, ",\"system_call\":\"{name}\"")?,
                None => write!(output, ",\"system_call\":\"{number}\"")?,
            }
        }
        if let Some(taken) = thread.taken {
            write!(output, ",\"taken\":\"{taken}\"")?;
        }
        if !thread.reason.is_empty() {
            write!(output, ",\"missing\":")?;
            text(output, thread.reason.as_bytes())?;
        }
        if let Some(registers) = thread.registers.as_ref().filter(|_| thread.has_crashed()) {
            write!(output, ",\"registers\":{{\"ip\":\"{:#x}\"", registers.ip())?;
            for (name, value) in registers.all() {
                write!(output, ",\"{name}\":\"{value:#x}\"")?;
            }
            write!(output, "}}")?;
        }
        write!(output, ",\"frames\":[")
    }

    fn frame(&mut self, output: &mut Output<'_>, kind: &str, at: &Place<'_>) -> fmt::Result {
        separate(output, &mut self.frames)?;
        write!(output, "{{\"kind\":\"{kind}\",")?;
        place(output, at)?;
        write!(output, "}}")
    }

    fn frames_end(&mut self, output: &mut Output<'_>, end: Option<&End>) -> fmt::Result {
        write!(output, "]")?;
        match end {
            None => {}
            Some(End::TooLong) => write!(output, ",\"ends\":\"the stack goes on\"")?,
            Some(end) => {
                write!(output, ",\"ends\":\"")?;
                write!(Escaped(output), "{end}")?;
                write!(output, "\"")?;
            }
        }
        write!(output, ",\"possible_return_addresses\":[")
    }

    fn left(&mut self, output: &mut Output<'_>, at: &Place<'_>) -> fmt::Result {
        separate(output, &mut self.left)?;
        write!(output, "{{")?;
        place(output, at)?;
        write!(output, "}}")
    }

    fn thread_end(&mut self, output: &mut Output<'_>) -> fmt::Result {
        write!(output, "]}}")
    }

    fn module(&mut self, output: &mut Output<'_>, module: &CrashModule) -> fmt::Result {
        self.begin_modules(output)?;
        separate(output, &mut self.modules)?;
        write!(output, "{{\"path\":")?;
        text(output, module.path().as_bytes())?;
        write!(output, ",\"bias\":\"{:#x}\"", module.bias)?;
        build_id(output, module)?;
        write!(output, "}}")
    }

    fn end(&mut self, output: &mut Output<'_>, notes: &[Option<Note>]) -> fmt::Result {
        self.begin_modules(output)?;
        write!(output, "],\"notes\":[")?;
        let mut count = 0;
        for note in notes.iter().flatten() {
            separate(output, &mut count)?;
            write!(output, "\"{note}\"")?;
        }
        writeln!(output, "]}}")
    }
}

impl Json {
    /// Ends the list of threads, once.
    fn begin_modules(&self, output: &mut Output<'_>) -> fmt::Result {
        if self.modules == 0 { write!(output, "],\"modules\":[") } else { Ok(()) }
    }
}

/// A comma before all but the first.
fn separate(output: &mut Output<'_>, count: &mut usize) -> fmt::Result {
    *count += 1;
    if *count > 1 { write!(output, ",") } else { Ok(()) }
}

/// An address, and where it is in its file.
fn place(output: &mut Output<'_>, place: &Place<'_>) -> fmt::Result {
    write!(output, "\"address\":\"{:#x}\"", place.address)?;
    let Some((module, address)) = place.in_file() else { return Ok(()) };
    write!(output, ",\"module\":")?;
    text(output, module.name().as_bytes())?;
    write!(output, ",\"offset\":\"{address:#x}\"")?;
    build_id(output, module)
}

fn build_id(output: &mut Output<'_>, module: &CrashModule) -> fmt::Result {
    if module.build_id().is_empty() {
        return Ok(());
    }
    write!(output, ",\"build_id\":\"")?;
    module.build_id().iter().try_for_each(|byte| write!(output, "{byte:02x}"))?;
    write!(output, "\"")
}

/// A string. Bytes that are not UTF-8 become a replacement character.
fn text(output: &mut Output<'_>, bytes: &[u8]) -> fmt::Result {
    write!(output, "\"")?;
    for chunk in bytes.utf8_chunks() {
        Escaped(output).write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            output.write_char('\u{fffd}')?;
        }
    }
    write!(output, "\"")
}

/// The inside of a string.
struct Escaped<'a, 'b>(&'a mut Output<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(self.0, "\\{c}"),
            '\0'..='\x1f' => write!(self.0, "\\u{:04x}", u32::from(c)),
            c => self.0.write_char(c),
        })
    }
}
