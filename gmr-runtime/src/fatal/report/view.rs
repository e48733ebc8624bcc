//! What a report consists of, for its forms.

use std::fmt;
use std::time::SystemTime;

use super::output::Output;
use crate::capture::crash::CrashRegisters;
pub(super) use crate::capture::crash::End;
use crate::sys::linux::crash_modules::CrashModule;
use crate::sys::linux::fatal_signal::Crash;

/// What the report begins with.
pub(super) struct Head<'a> {
    pub(super) crash: &'a Crash,
    pub(super) made_at: Option<SystemTime>,
    /// The handler that gets the signal next.
    pub(super) next: Option<Place<'a>>,
}

/// An address, and the module that it is in.
pub(super) struct Place<'a> {
    pub(super) address: u64,
    pub(super) module: Option<&'a CrashModule>,
}

impl Place<'_> {
    /// The address in the module's file, as `addr2line` takes it.
    pub(super) fn in_file(&self) -> Option<(&CrashModule, u64)> {
        let module = self.module?;
        Some((module, self.address.wrapping_sub(module.bias)))
    }
}

/// What is known about a thread before its stack.
pub(super) struct ThreadHead<'a> {
    pub(super) tid: i32,
    /// The bytes of its name; empty if it is not known.
    pub(super) name: &'a [u8],
    /// As in `/proc/PID/stat`.
    pub(super) state: Option<u8>,
    /// The system call that it waits in.
    pub(super) system_call: Option<i64>,
    /// How its registers were taken: `crash`, `signal` or `rest`. `None` if they are not known.
    pub(super) taken: Option<&'static str>,
    pub(super) registers: Option<CrashRegisters>,
    /// Why the registers were not taken, or not all of them.
    pub(super) reason: &'static str,
}

impl ThreadHead<'_> {
    pub(super) fn has_crashed(&self) -> bool {
        self.taken == Some("crash")
    }
}

/// The form of a report.
pub(super) trait View {
    fn head(&mut self, output: &mut Output<'_>, head: &Head<'_>) -> fmt::Result;
    fn thread(&mut self, output: &mut Output<'_>, thread: &ThreadHead<'_>) -> fmt::Result;
    fn frame(&mut self, output: &mut Output<'_>, kind: &str, place: &Place<'_>) -> fmt::Result;
    /// The frames have ended, and why, if that is not because the thread's first function was
    /// reached.
    fn frames_end(&mut self, output: &mut Output<'_>, end: Option<&End>) -> fmt::Result;
    /// What a call has left on the stack.
    fn left(&mut self, output: &mut Output<'_>, place: &Place<'_>) -> fmt::Result;
    fn thread_end(&mut self, output: &mut Output<'_>) -> fmt::Result;
    fn module(&mut self, output: &mut Output<'_>, module: &CrashModule) -> fmt::Result;
    fn end(&mut self, output: &mut Output<'_>, notes: &[Option<Note>]) -> fmt::Result;
}

/// What the report lacks.
pub(super) enum Note {
    /// The address map could not be read; the number of the error.
    NoModules(i32),
    ModulesOmitted(usize),
    /// The list of threads could not be read; the number of the error.
    NoThreads(i32),
    /// The time was over, or the memory was used up, before these threads.
    ThreadsOmitted(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModules(error) => write!(f, "the address map could not be read (error {error})"),
            Self::ModulesOmitted(count) => write!(f, "{count} pieces of code have no module here"),
            Self::NoThreads(error) => write!(f, "the other threads could not be listed (error {error})"),
            Self::ThreadsOmitted(count) => {
                write!(f, "{count} more threads are not shown: the time or the memory for them was over")
            }
        }
    }
}
