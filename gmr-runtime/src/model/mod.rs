//! The report as plain data: no I/O, no `cfg` that changes it, no import from any other module.
//!
//! Generators fill the model, views read it, and `serde` serializes it. Field names carry their
//! units (`_ms`, `_us`). Points in time are RFC 3339 in UTC. A field that could not be determined
//! is `None`, never guessed.
//!
//! The types are `#[non_exhaustive]`, so that a minor version can add fields and variants. The
//! exception is [`Value`], which says why.

mod checks;
mod descriptors;
mod document;
mod environment;
mod finding;
mod green_threads;
mod lists;
mod locks;
mod modules;
mod origin;
mod package;
mod processes;
mod report;
mod resources;
mod tagged;
mod threads;
mod tracing;
mod waiting;

pub use descriptors::{DescriptorKind, Descriptors, EphemeralPorts, OpenFile, PortsOfPeer, SocketGroup};
pub use document::SCHEMA_VERSION;
#[cfg(feature = "json")]
pub(crate) use document::check_version;
pub use environment::{Environment, Variable};
pub use finding::{Certainty, Evidence, Finding, Severity};
#[cfg(feature = "xml")]
pub(crate) use gmr_mask::NEWTYPE;
#[doc(inline)]
pub use gmr_mask::Value;
pub use green_threads::{GreenThreads, Label, Runtime, Task, TaskSpan, TaskState, UncountedRuntime};
pub use locks::{Holder, Lock, LockKind, Waiter};
pub use modules::{Module, ModuleState, Modules};
pub(crate) use origin::is_unqualified;
pub use package::{Package, Stated};
pub use processes::{Ids, Process, Processes};
pub use report::{
    Content, Group, Heading, Overdue, Panicked, Report, Section, Sender, Summary, TimedOut, Trigger,
};
pub use resources::{Cgroup, EventCount, Memory, Pressure, ResourceLimit, Resources, System, Usage};
pub use threads::{Coverage, CutStacks, Frame, Role, Stack, Taken, Thread, Threads};
pub use tracing::{Callsite, EventSpan, Events, Level, LogEvent, Span, SpanGroup, SpanThread, Spans};
pub use waiting::{Children, Event, FutexOwner, Waiting, Watched};
