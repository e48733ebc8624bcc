//! The stack of one thread with its symbols, to show where a generator that missed its deadline is
//! stuck. Nothing here knows about generators.

use std::time::Duration;

use crate::model::{Frame, Stack};
use crate::symbols::Symbolized;
use crate::sys::{self, Modules};
use crate::{capture, symbols, threads};

/// A stack and its frames.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedStack {
    pub(super) stack: Stack,
    pub(super) frames: Vec<Frame>,
}

impl NamedStack {
    /// A stack that could not be taken, and why.
    pub(super) fn missing(reason: impl Into<String>) -> Self {
        Self { stack: Stack::missing(reason), frames: Vec::new() }
    }
}

/// The stack of the thread `tid`, with the symbols that are resolved within `timeout`.
pub(super) fn of_thread(tid: u32, timeout: Duration) -> NamedStack {
    sys::with_files(|| {
        let modules = Modules::load();
        let thread = threads::info(tid, capture::signal());
        let traces = [capture::trace(&thread, &modules)];
        let Symbolized { mut stacks, frames, .. } = symbols::symbolize(&traces, &modules, timeout);
        match stacks.pop() {
            Some(stack) => NamedStack { stack, frames },
            None => NamedStack::missing("no stack was taken"),
        }
    })
}
