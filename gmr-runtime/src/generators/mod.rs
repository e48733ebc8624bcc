//! The built-in sections: each a function from nothing to content, run like any registered one.

mod green_threads;
mod package;
#[cfg_attr(not(target_os = "linux"), path = "processes_noop.rs")]
mod processes;
mod threads;

use std::time::Duration;

use crate::section::generator::Generator;
use crate::{symbols, sys};

pub(crate) use package::Identity;

/// The deadline of those that show stacks. Taking stacks has its own of a second, asking tasks one of half a second, symbols have theirs; this one is for what hangs in none of these.
const WITH_STACKS: Duration = symbols::DEADLINE.saturating_add(Duration::from_secs(5));

/// The sections before Configuration, in their order.
pub(crate) fn before_configuration(identity: Identity) -> [Generator; 4] {
    [
        Generator::new("Package", move || sys::with_files(|| package::generate(&identity))),
        Generator::new("Threads", || sys::with_files(threads::generate)).with_timeout(WITH_STACKS),
        Generator::new("Green Threads", green_threads::generate).with_timeout(WITH_STACKS),
        Generator::new("Processes", || sys::with_files(processes::generate)),
    ]
}
