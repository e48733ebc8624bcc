//! Everything that runs in gmr. Adopters use the `gmr` crate, which re-exports what is public here.
//!
//! The layers, from the top; each knows only those below it:
//!
//! | room | what it does |
//! |---|---|
//! | [`install`](Builder) | the one place where a process adopts gmr |
//! | `trigger` | turns an event (a signal, a call) into a request |
//! | `reporter` | the one thread on which reports are made |
//! | `generators`, `section` | what a report consists of; running it so that no part harms another |
//! | `symbols` | from addresses to functions, files and lines |
//! | `capture` | taking stacks: most of the `unsafe` is here |
//! | `threads` | what the kernel says of threads |
//! | `axum` (feature) | a page on a service's admin port |
//! | [`task`] | asynchronous tasks and where they wait |
//! | `views`, `sinks` | from the model to text, from bytes to a descriptor |
//! | `mask` | keeps secrets out |
//! | [`model`] | the report as plain data |
//! | `sys` | what is needed from the operating system |

// What a platform cannot show, it does not use.
#![cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    allow(dead_code)
)]

#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod __bench;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod __fuzz;
#[cfg(feature = "axum")]
pub mod axum;
mod capture;
mod env;
mod error;
mod generators;
mod install;
mod mask;
pub mod model;
mod reporter;
mod requires;
mod section;
mod sinks;
mod symbols;
mod sys;
pub mod task;
mod threads;
mod trigger;
mod units;
mod views;

#[cfg(feature = "json")]
pub use error::ParseReportError;
pub use error::{Error, ErrorKind};
pub use install::{Builder, Guard};
pub use mask::{Secret, masked};
pub use model::Report;
pub use views::Format;

#[doc(hidden)]
pub mod __private {
    //! What generated code may name. Not part of the public interface: it changes without notice.
    pub use crate::install::{Setup, arm, package_text};
    pub use crate::model::Content;
    pub use crate::section::convert;
    pub use crate::section::registry::{Kind, SectionEntry};
    pub use crate::trigger::signals_by_name::{Signal, find as find_signal};
    pub use crate::views::Format;
    pub use crate::{requires_html, requires_json, requires_xml, section_must_be_a_free_function};
    pub mod task {
        //! For `#[gmr::task]`.
        pub use crate::task::tracked::named;
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
