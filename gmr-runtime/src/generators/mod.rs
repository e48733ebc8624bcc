//! The built-in sections. Each is a function without arguments that returns content, and runs like
//! a registered one. Nothing here formats a value for a view.

#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    path = "descriptors_noop.rs"
)]
mod descriptors;
#[cfg_attr(not(target_os = "linux"), path = "environment_noop.rs")]
mod environment;
mod green_threads;
mod locks;
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    path = "modules_noop.rs"
)]
mod modules;
mod package;
#[cfg_attr(not(target_os = "linux"), path = "processes_noop.rs")]
mod processes;
#[cfg_attr(not(target_os = "linux"), path = "resources_noop.rs")]
mod resources;
pub(crate) mod selection;
mod task_spans;
mod task_stacks;
mod threads;
#[cfg(feature = "tracing")]
mod tracing;
mod uncounted;
#[cfg(target_os = "linux")]
mod unread;

use std::time::Duration;

use crate::section::generator::Generator;
use crate::section::output::Output;
use crate::symbols;

pub(crate) use package::Identity;
#[cfg(target_os = "linux")]
pub(crate) use resources::{limited_memory, limited_tasks};
pub(crate) use selection::Selection;
#[cfg(feature = "__cli")]
pub(crate) use task_stacks::complete as complete_tasks;
pub(crate) use uncounted::complete;

/// The deadline of sections that show stacks. Taking stacks has its own of a second, polling tasks
/// one of half a second, and resolving symbols one of [`symbols::DEADLINE`]. This one covers
/// everything else that may hang.
const WITH_STACKS: Duration = symbols::DEADLINE.saturating_add(Duration::from_secs(5));

/// The title of the section that polls tasks.
pub(crate) const GREEN_THREADS: &str = "Green Threads";

/// The selected sections before Configuration, in the order in which they are shown: first what the
/// process is and uses, which takes few lines; then what it does; then what it has.
pub(crate) fn before_configuration(identity: Identity, selection: &Selection) -> Vec<Generator> {
    let all = [
        ("package", Generator::new("Package", move || package::generate(&identity)).with_own_files()),
        ("resources", Generator::new("Resources", resources::generate).with_own_files()),
        ("threads", with_stacks("Threads", threads::generate).with_own_files()),
        // It polls tasks, which may use the program's descriptors.
        ("green-threads", with_stacks(GREEN_THREADS, green_threads::generate)),
        ("processes", Generator::new("Processes", processes::generate).with_own_files()),
        ("descriptors", Generator::new("Descriptors", descriptors::generate).with_own_files()),
        ("modules", Generator::new("Modules", modules::generate).with_own_files()),
        ("environment", Generator::new("Environment", environment::generate).with_own_files()),
    ];
    all.into_iter().filter(|(name, _)| selection.has(name)).map(|(_, generator)| generator).collect()
}

/// The selected sections of a look.
pub(crate) fn of_look(selection: &Selection) -> Vec<Generator> {
    let all = [
        ("threads", with_stacks("Threads", threads::look).with_own_files()),
        ("green-threads", with_stacks(GREEN_THREADS, green_threads::generate)),
    ];
    all.into_iter().filter(|(name, _)| selection.has(name)).map(|(_, generator)| generator).collect()
}

fn with_stacks(title: &str, generate: fn() -> Output) -> Generator {
    Generator::new(title, generate).with_timeout(WITH_STACKS)
}

/// The selected sections after Configuration, in the order in which they are shown. One that has
/// nothing to show is left out of the report.
pub(crate) fn after_configuration(selection: &Selection) -> Vec<Generator> {
    let all: Vec<(&str, Generator)> = vec![
        #[cfg(feature = "tracing")]
        ("spans-in-flight", Generator::new("Spans in Flight", tracing::spans)),
        #[cfg(feature = "tracing")]
        ("recent-events", Generator::new("Recent Events", tracing::events)),
    ];
    all.into_iter().filter(|(name, _)| selection.has(name)).map(|(_, generator)| generator).collect()
}
