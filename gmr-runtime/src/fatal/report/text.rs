//! The report as text.

use std::fmt::{self, Write as _};

use super::describe::{code_name, signal_name};
use super::output::Output;
use super::view::{End, Head, Note, Place, ThreadHead, View};
use crate::sys::linux::crash_modules::CrashModule;
use crate::threads::linux::call_name;

#[derive(Default)]
pub(super) struct Text {
    has_left: bool,
    has_modules: bool,
    frames: usize,
}

impl View for Text {
    fn head(&mut self, output: &mut Output<'_>, head: &Head<'_>) -> fmt::Result {
        let crash = head.crash;
        writeln!(output, "\n==== Guru Meditation: fatal signal {} ====", signal_name(crash.signal))?;
        if let Some(now) = head.made_at {
            writeln!(output, "made_at = {}", humantime::format_rfc3339_seconds(now))?;
        }
        writeln!(output, "pid = {}\nsignal = {}", std::process::id(), crash.signal)?;
        match code_name(crash) {
            Some((name, meaning)) => writeln!(output, "code = {name} ({}): {meaning}", crash.code)?,
            None => writeln!(output, "code = {}", crash.code)?,
        }
        if let Some(address) = crash.address {
            writeln!(output, "address = {address:#x}")?;
        }
        if let Some((pid, uid)) = crash.sender {
            let own = if pid == std::process::id() { " (this one)" } else { "" };
            writeln!(output, "sender = process {pid}{own} of user {uid}")?;
        }
        if let Some(number) = crash.system_call {
            let name = call_name(number.into()).unwrap_or("unknown");
            writeln!(output, "system_call = {name} ({number})")?;
        }
        match &head.next {
            None => writeln!(output, "then = the default action, which ends the process")?,
            Some(place) => writeln!(
                output,
                "then = the handler that was there before, {place}: it decides whether the process ends"
            )?,
        }
        let missing = "names of functions, sections, tasks, findings: a signal handler makes this report";
        writeln!(output, "missing = {missing}")
    }

    fn thread(&mut self, output: &mut Output<'_>, thread: &ThreadHead<'_>) -> fmt::Result {
        (self.has_left, self.frames) = (false, 0);
        write!(output, "\n==== Thread {}", thread.tid)?;
        if !thread.name.is_empty() {
            write!(output, " \"{}\"", thread.name.escape_ascii())?;
        }
        writeln!(output, "{} ====", if thread.has_crashed() { ", which crashed" } else { "" })?;
        if let Some(state) = thread.state {
            write!(output, "state = {}", char::from(state))?;
            match thread.system_call.map(|number| (number, call_name(number))) {
                Some((_, Some(name))) => writeln!(output, ", in the system call {name}")?,
                Some((number, None)) => writeln!(output, ", in the system call {number}")?,
                None => writeln!(output)?,
            }
        }
        if !thread.reason.is_empty() {
            writeln!(output, "missing = {}", thread.reason)?;
        }
        let Some(registers) = thread.registers.as_ref().filter(|_| thread.has_crashed()) else {
            return Ok(());
        };
        write!(output, "ip = {:#018x}", registers.ip())?;
        for (index, (name, value)) in registers.all().enumerate() {
            let separator = if index % 3 == 2 { "\n" } else { "  " };
            write!(output, "{separator}{name} = {value:#018x}")?;
        }
        writeln!(output)
    }

    fn frame(&mut self, output: &mut Output<'_>, kind: &str, place: &Place<'_>) -> fmt::Result {
        let kind = if kind == "exact" { " (exactly there)" } else { "" };
        let number = self.frames;
        self.frames += 1;
        writeln!(output, "#{number} {:#018x} {place}{kind}", place.address)
    }

    fn frames_end(&mut self, output: &mut Output<'_>, end: Option<&End>) -> fmt::Result {
        match end {
            None => Ok(()),
            Some(End::TooLong) => {
                writeln!(output, "the stack goes on; these are its innermost {} frames", self.frames)
            }
            Some(end) => writeln!(output, "the stack is not known further: {end}"),
        }
    }

    fn left(&mut self, output: &mut Output<'_>, place: &Place<'_>) -> fmt::Result {
        if !std::mem::replace(&mut self.has_left, true) {
            writeln!(output, "possible return addresses on the stack, not a call stack:")?;
        }
        writeln!(output, "  {:#018x} {place}", place.address)
    }

    fn thread_end(&mut self, _: &mut Output<'_>) -> fmt::Result {
        Ok(())
    }

    fn module(&mut self, output: &mut Output<'_>, module: &CrashModule) -> fmt::Result {
        if !std::mem::replace(&mut self.has_modules, true) {
            writeln!(output, "\n==== Modules ====")?;
        }
        write!(output, "bias {:#x} build-id ", module.bias)?;
        match module.build_id() {
            [] => write!(output, "none")?,
            id => id.iter().try_for_each(|byte| write!(output, "{byte:02x}"))?,
        }
        writeln!(output, " {}", module.path().as_bytes().escape_ascii())
    }

    fn end(&mut self, output: &mut Output<'_>, notes: &[Option<Note>]) -> fmt::Result {
        writeln!(output)?;
        notes.iter().flatten().try_for_each(|note| writeln!(output, "note = {note}"))?;
        writeln!(output, "==== end of the report of a fatal signal ====")
    }
}

/// The module and the address in its file.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_file() {
            Some((module, address)) => write!(f, "{}+{address:#x}", module.name().as_bytes().escape_ascii()),
            None => write!(f, "{:#x}, in no module", self.address),
        }
    }
}
