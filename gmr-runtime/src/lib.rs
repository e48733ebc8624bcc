//! Everything that runs in gmr. Depend on the `gmr` crate, which re-exports what is public here.
//!
//! The modules, from the top down; each imports only those below it:
//!
//! | module | what it does |
//! |---|---|
//! | `http` (feature) | serves reports on an admin port |
//! | `testing` | runs a test under a time limit, and reports on one that hangs |
//! | `request` | requests a report and waits for it: [`Report::capture`], HTTP |
//! | `install` | installs gmr in a process: [`Builder`], [`Guard`] |
//! | `env` | the `GMR_*` environment variables |
//! | `reporter` | makes reports, on one thread, and sends them out |
//! | `emergency` | a raw report without any allocation |
//! | `generators` | the built-in sections |
//! | `tracing` (feature) | the spans and events of the program |
//! | [`task`] | async tasks, and where they wait |
//! | `section` | registers sections and runs them in isolation: [`Generator`] |
//! | `symbols` | resolves addresses to functions, files and lines |
//! | `capture` | takes stacks; most of the `unsafe` is here |
//! | `threads` | reads what the kernel reports about threads |
//! | `trigger` | turns an event, such as a signal, into a request to the reporter |
//! | `findings` | what is wrong: rules over the model |
//! | `views` | writes the model as text, JSON, XML or HTML: [`Format`] |
//! | `sinks` | writes bytes to a descriptor |
//! | `error` | the error types: [`Error`] |
//! | `requires` | compile errors for formats whose feature is disabled |
//! | `units` | numbers with their units, as text |
//! | [`model`] | the report as plain data |
//! | `sys` | what is needed from the operating system |

// A platform that cannot take stacks leaves the code for them unused.
#![cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    allow(dead_code)
)]

#[cfg(all(
    feature = "__bench",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
))]
#[doc(hidden)]
pub mod __bench;
#[cfg(feature = "__cli")]
#[doc(hidden)]
pub mod __cli;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod __fuzz;
mod capture;
mod emergency;
mod env;
mod error;
mod fatal;
mod findings;
mod generators;
#[cfg(feature = "http")]
pub mod http;
mod install;
pub mod model;
mod reporter;
mod request;
mod requires;
mod section;
mod sinks;
mod symbols;
mod sys;
pub mod task;
mod testing;
mod threads;
#[cfg(feature = "tracing")]
pub mod tracing;
mod trigger;
mod units;
mod views;

#[cfg(feature = "json")]
pub use error::ParseReportError;
pub use error::{Error, ErrorKind};
pub use gmr_mask::{Secret, masked};
pub use install::{Builder, Guard, after_fork};
pub use model::Report;
pub use reporter::LogTracing;
pub use section::added::{Generator, display};
pub use section::panics::on_panic::OnPanic;
pub use trigger::conditions::OnThreads;
pub use trigger::scopes::{Deadline, Heartbeat, deadline, heartbeat, ready, shutting_down};
pub use views::Format;

/// Text that is shown as `***`, wherever it is formatted: for secrets in messages of panics and
/// errors, in labels, and in logs. The value is not read.
///
/// ```
/// let code = 4711;
/// assert_eq!(format!("bad code {}", gmr_runtime::masked!(code)), "bad code ***");
/// ```
#[macro_export]
macro_rules! masked {
    ($value:expr) => {{
        let _ = &$value;
        "***"
    }};
}

#[doc(hidden)]
pub mod __private {
    //! What generated code may use. Not part of the public API: it changes without notice.
    pub use crate::generators::selection::NAMES as SECTION_NAMES;
    pub use crate::install::early::{Place, arm_before_main};
    pub use crate::install::setup::{Setup, arm, package_text};
    pub use crate::model::Content;
    pub use crate::reporter::LogTracing;
    pub use crate::section::convert;
    pub use crate::section::panics::on_panic::OnPanic;
    pub use crate::section::registry::{Kind, SectionEntry};
    pub use crate::section_must_be_a_free_function;
    pub use crate::testing::run_test;
    pub use crate::trigger::conditions::OnThreads;
    pub use crate::trigger::signals_by_name::{Signal, find as find_signal};
    pub use crate::views::Format;
    pub use crate::{before_main, requires_gzip, requires_html, requires_json};
    pub use crate::{requires_tracing, requires_xml};
    pub mod task {
        //! For the attributes that track a function's future.
        pub use crate::task::tracked::{__gmr_tracked_main, named, track_body};
    }
    pub use inventory;
}

/// Wraps the registry entry of a section.
///
/// An attribute can't tell an associated function from a free one. In an `impl` block, the compiler
/// rejects the unnamed constant and reports that the error originates in a macro of this name. The
/// name is the only hint that can be given there.
#[doc(hidden)]
#[macro_export]
macro_rules! section_must_be_a_free_function {
    ($($entry:tt)*) => {
        const _: () = { $($entry)* };
    };
}
