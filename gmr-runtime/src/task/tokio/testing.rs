//! What the tests of this module share. Nothing here is part of the program.

use std::sync::Arc;

use ::tokio::runtime::{Builder, Runtime};

use crate::task::entry::Entry;
use crate::task::tests::{all_tasks, alone};

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Runs the test on a runtime of its own, while no other test takes traces of all tasks.
pub(super) fn run<F: Future>(test: F) -> F::Output {
    let _turn = alone();
    runtime().block_on(test)
}

/// How many tracked tasks were spawned by this line.
pub(super) fn tracked_at(file: &str, line: u32) -> usize {
    let here = |task: &&Arc<Entry>| task.spawned_at.line() == line && task.spawned_at.file() == file;
    all_tasks().tasks.iter().filter(here).count()
}
