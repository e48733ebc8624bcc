//! The stack of one thread: its frames, and what calls have left on it where these are not known.

use std::fmt;

use super::output::Output;
use super::view::{End, Place, View};
use crate::capture::Address;
use crate::capture::crash::{CrashRegisters, CrashStacks};
use crate::sys::linux::crash_modules::CrashModules;

/// How much of a stack is searched for what calls have left, where its frames are not known.
const SEARCHED: usize = 16 << 10;
/// How many of these addresses are shown.
const MAX_LEFT: usize = 48;

/// The stack of a thread that was copied last, and the end of the thread.
pub(super) fn write(
    view: &mut dyn View,
    output: &mut Output<'_>,
    registers: &CrashRegisters,
    modules: &CrashModules,
    stacks: &mut CrashStacks,
) -> fmt::Result {
    let end = stacks.walk(registers, modules, &mut |at| {
        let kind = match at {
            Address::Exact(_) => "exact",
            Address::Return(_) => "return",
            Address::Signal(_) => "signal",
        };
        let module = modules.find(at.lookup());
        view.frame(output, kind, &Place { address: at.value(), module }).is_ok()
    });
    view.frames_end(output, end.as_ref())?;
    if end.is_some_and(|end| !matches!(end, End::TooLong)) {
        let mut count = 0;
        stacks.left_by_calls(modules, SEARCHED, &mut |address| {
            count += 1;
            view.left(output, &place(address, modules)).is_ok() && count < MAX_LEFT
        });
    }
    view.thread_end(output)
}

/// The place of an address.
pub(super) fn place(address: u64, modules: &CrashModules) -> Place<'_> {
    Place { address, module: modules.find(address) }
}
