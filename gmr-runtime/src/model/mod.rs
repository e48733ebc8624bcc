//! The report as plain data, and nothing else: no I/O, no `cfg`, no dependency on any other room.
//!
//! Generators fill it, views read it, `serde` serializes it. Units stand in the names of the fields (`_ms`, `_us`),
//! times are RFC 3339 in UTC.

mod document;
mod finding;
mod green_threads;
mod origin;
mod package;
mod processes;
mod report;
mod threads;
mod value;

pub use document::SCHEMA_VERSION;
#[cfg(feature = "json")]
pub(crate) use document::check_version;
pub use finding::{Finding, Severity};
pub use green_threads::{GreenThreads, Label, Runtime, Task, TaskState};
pub(crate) use origin::is_unqualified;
pub use package::Package;
pub use processes::{Ids, Process, Processes};
pub use report::{
    Content, Group, Heading, Overdue, Panicked, Report, Section, Sender, Summary, TimedOut, Trigger,
};
pub use threads::{Frame, Role, Stack, Thread, Threads, Waiting};
#[cfg(feature = "xml")]
pub(crate) use value::NEWTYPE;
pub use value::Value;
