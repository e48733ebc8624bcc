//! The stack of one thread, with names: for the account of a generator that missed its deadline.

use std::time::Duration;

use crate::model::Stack;
use crate::sys::{self, Modules};
use crate::{capture, symbols, threads};

/// The stack of the thread `tid`, with those names that are known after `patience`.
pub(super) fn of_thread(tid: u32, patience: Duration) -> Stack {
    sys::with_files(|| {
        let modules = Modules::load();
        let thread = threads::info(tid, capture::signal());
        let traces = capture::trace(&[thread], &modules);
        let (mut stacks, _) = symbols::symbolize(&traces, &modules, patience);
        stacks.pop().unwrap_or_else(|| Stack::missing("the stack was not taken"))
    })
}
