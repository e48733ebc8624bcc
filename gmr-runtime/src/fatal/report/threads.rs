//! The other threads: each is asked for its registers and its stack, or else what the kernel shows
//! of it is taken.

use std::ffi::CStr;
use std::fmt::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::output::Output;
use super::stack;
use super::view::{ThreadHead, View};
use crate::capture::crash::{CrashRegisters, CrashStacks, NoAnswer};
use crate::sys::linux::crash_modules::CrashModules;
use crate::sys::linux::sandbox;
use crate::sys::short::Short;

/// How long the other threads may take in all, and how much of that may be spent on waiting for
/// answers and on what comes with it. A hundred threads take a tenth of it.
const COLLECT: Duration = Duration::from_millis(50);
const ASK: Duration = Duration::from_millis(35);
const DIRECTORY: &CStr = c"/proc/self/task";

/// The other threads, and the memory for what is read about one of them.
pub(super) struct Others<'a> {
    crashed: i32,
    file: &'a mut [u8],
    name: [u8; 16],
}

/// What the kernel shows of a thread.
#[derive(Default)]
struct Shown {
    state: Option<u8>,
    system_call: Option<i64>,
    /// The stack pointer and the instruction pointer, if it is blocked.
    at: Option<(u64, u64)>,
    /// Why it is not asked; empty if it may be.
    unasked: &'static str,
}

impl<'a> Others<'a> {
    /// All threads but `crashed`.
    pub(super) fn new(crashed: i32, file: &'a mut [u8]) -> Self {
        Self { crashed, file, name: [0; 16] }
    }

    /// The name of a thread; empty if it can't be read.
    pub(super) fn name(&mut self, tid: i32) -> &[u8] {
        let mut path = Short::<64>::default();
        let _ = write!(path, "/proc/self/task/{tid}/comm\0");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = CStr::from_bytes_with_nul(path.as_str().as_bytes()).unwrap_or_default();
        let file = openat(CWD, path, flags, Mode::empty());
        let length = file.and_then(|file| rustix::io::read(file, &mut self.name[..])).unwrap_or(0);
        let name = &self.name[..length];
        name.strip_suffix(b"\n").unwrap_or(name)
    }

    /// Shows them. Returns how many are left out.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) fn write(
        &mut self,
        view: &mut dyn View,
        output: &mut Output<'_>,
        (modules, stacks): (&CrashModules, &mut CrashStacks),
        entries: &mut [MaybeUninit<u8>],
    ) -> Result<usize, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, DIRECTORY, flags, Mode::empty())?;
        let mut list = RawDir::new(&directory, entries);
        let mut omitted = 0;
        let began = thread_cpu_time();
        while let Some(entry) = list.next() {
            let entry = entry?;
            let Some(tid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if tid == self.crashed {
                continue;
            }
            // Time in which this thread gets no CPU does not count: then the others get one.
            let spent = thread_cpu_time().saturating_sub(began) + stacks.waited();
            if spent >= COLLECT || !output.has_room() {
                omitted += 1;
                continue;
            }
            let mut shown = self.shown(&directory, tid);
            if spent >= ASK && shown.unasked.is_empty() {
                shown.unasked = "the time for answers was over";
            }
            // The output returns no errors.
            let _ = self.thread(view, output, (tid, &shown), modules, stacks);
            output.flush();
        }
        Ok(omitted)
    }

    fn thread(
        &mut self,
        view: &mut dyn View,
        output: &mut Output<'_>,
        (tid, shown): (i32, &Shown),
        modules: &CrashModules,
        stacks: &mut CrashStacks,
    ) -> fmt::Result {
        let answer = match shown.unasked {
            "" => stacks.ask(tid),
            reason => Err(NoAnswer::Impossible(reason)),
        };
        let (registers, taken, reason) = match (answer, shown.at) {
            (Ok(registers), _) => (Some(registers), Some("signal"), ""),
            (Err(error), Some((sp, ip))) if !stacks.is_lent() => {
                let registers = CrashRegisters::at_rest(ip, sp);
                stacks.copy(&registers);
                (Some(registers), Some("rest"), reason(error))
            }
            (Err(error), _) => (None, None, reason(error)),
        };
        let (state, system_call) = (shown.state, shown.system_call);
        let head = ThreadHead { tid, name: self.name(tid), state, system_call, taken, registers, reason };
        view.thread(output, &head)?;
        match &registers {
            Some(registers) => stack::write(view, output, registers, modules, stacks),
            None => view.frames_end(output, None).and_then(|()| view.thread_end(output)),
        }
    }

    fn shown(&mut self, directory: &OwnedFd, tid: i32) -> Shown {
        let mut shown = Shown::default();
        let stat = self.read(directory, tid, "stat");
        let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
        shown.state = state.copied();
        let line = str::from_utf8(self.read(directory, tid, "syscall")).unwrap_or_default();
        let number = line.split(' ').next().and_then(|number| number.parse().ok());
        shown.system_call = number.filter(|number| *number >= 0);
        shown.at = registers(line);
        // It would take the signal for one that it waits for.
        if shown.system_call == Some(libc::SYS_rt_sigtimedwait) {
            shown.unasked = "it waits for signals";
            return shown;
        }
        let status = str::from_utf8(self.read(directory, tid, "status")).unwrap_or_default();
        shown.unasked = unasked(status);
        shown
    }

    /// The beginning of a file of a thread; empty if it cannot be read.
    fn read(&mut self, directory: &OwnedFd, tid: i32, name: &str) -> &[u8] {
        let mut path = Short::<64>::default();
        let _ = write!(path, "{tid}/{name}\0");
        let path = CStr::from_bytes_with_nul(path.as_str().as_bytes()).unwrap_or_default();
        let file = openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let length = file.and_then(|file| rustix::io::read(file, &mut *self.file)).unwrap_or(0);
        &self.file[..length]
    }
}

/// The CPU time of the calling thread.
fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Why a thread with this status is not asked; empty if it may be.
fn unasked(status: &str) -> &'static str {
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let blocked = value("SigBlk:").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    let signal = crate::capture::signal().and_then(|signal| u32::try_from(signal).ok());
    match (blocked, signal) {
        (Some(blocked), Some(signal @ 1..=64)) if blocked >> (signal - 1) & 1 == 0 => {}
        (Some(_), Some(_)) => return "it blocks the capture signal",
        _ => return "its signal mask is not known",
    }
    // The system calls of the handler may end the process.
    if sandbox::has_others_by(status) { "it has filters of system calls of its own" } else { "" }
}

fn reason(error: NoAnswer) -> &'static str {
    match error {
        NoAnswer::Impossible(reason) => reason,
        NoAnswer::Late => "it did not answer in time",
        NoAnswer::NotSent => "it could not be signalled, or has ended",
    }
}

/// The stack pointer and the instruction pointer of a thread that is blocked: the last words of the
/// kernel's line.
fn registers(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace().rev();
    let mut register = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (ip, sp) = (register()?, register()?);
    (sp != 0).then_some((sp, ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_asked_only_if_that_is_safe() {
        crate::capture::prepare(None).unwrap();
        assert_eq!(unasked("Name:\tx\n"), "its signal mask is not known");
        let blocks = "SigBlk:\tffffffffffffffff\nSeccomp:\t0\n";
        assert_eq!(unasked(blocks), "it blocks the capture signal");
        let others = "SigBlk:\t0000000000000000\nSeccomp:\t2\nSeccomp_filters:\t99\n";
        assert_eq!(unasked(others), "it has filters of system calls of its own");
        assert_eq!(unasked("SigBlk:\t0000000000000000\nSeccomp:\t0\nSeccomp_filters:\t0\n"), "");
    }
}
