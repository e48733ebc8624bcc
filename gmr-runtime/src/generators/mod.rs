//! The built-in sections. Each is a function without arguments that returns content, and runs like
//! a registered one. Nothing here formats a value for a view.

mod green_threads;
mod package;
#[cfg_attr(not(target_os = "linux"), path = "processes_noop.rs")]
mod processes;
mod task_stacks;
mod threads;
mod uncounted;

use std::time::Duration;

use crate::section::generator::Generator;
use crate::symbols;

pub(crate) use package::Identity;
pub(crate) use uncounted::complete;

/// The deadline of sections that show stacks. Taking stacks has its own of a second, polling tasks
/// one of half a second, and resolving symbols one of [`symbols::DEADLINE`]. This one covers
/// everything else that may hang.
const WITH_STACKS: Duration = symbols::DEADLINE.saturating_add(Duration::from_secs(5));

/// The sections before Configuration, in the order in which they are shown.
pub(crate) fn before_configuration(identity: Identity) -> [Generator; 4] {
    [
        Generator::new("Package", move || package::generate(&identity)).with_own_files(),
        Generator::new("Threads", threads::generate).with_own_files().with_timeout(WITH_STACKS),
        // It polls tasks, which may use the program's descriptors.
        Generator::new("Green Threads", green_threads::generate).with_timeout(WITH_STACKS),
        Generator::new("Processes", processes::generate).with_own_files(),
    ]
}
