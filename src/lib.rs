//! Guru Meditation Reports: any running process, asked by `kill -USR2 PID`, prints a complete report about itself to standard error, and carries on unharmed.
//!
//! ```no_run
//! #[gmr::main(version = env!("CARGO_PKG_VERSION"))]
//! fn main() {
//!     // your program, as it was
//! }
//!
//! #[gmr::section("Cache")]
//! fn cache_stats() -> std::collections::BTreeMap<&'static str, u64> {
//!     [("hits", 17), ("misses", 3)].into()
//! }
//! ```
//!
//! The report has the program's package, **every thread with its true stack** (also of a thread that is stuck, or computing), its processes, its configuration with
//! secrets masked, and the sections that any crate in the binary has registered. Nothing in it can harm the process: see [Guarantees](#guarantees).
//!
//! # Adopting it
//!
//! | | |
//! |---|---|
//! | [`#[gmr::main]`](macro@main) | on `fn main` or `async fn main`: arms the signal before the first statement |
//! | [`#[gmr::section]`](macro@section) | on any free function: a section of the report |
//! | [`#[gmr::config]`](macro@config) | on any free function: a group of the Configuration section |
//! | [`#[gmr::task]`](macro@task), [`task`](mod@task) | asynchronous tasks: on an `async fn`, or instead of `tokio::spawn` |
//! | [`Builder`] | the same without an attribute, and sections added at run time |
//! | [`Report::capture`] | a report as a value: `Serialize`, `Deserialize` and `Display` |
//! | [`Format`], [`Report::write_to`] | what a report is written as; JSON, XML and HTML are behind features |
//! | [`Secret`], [`masked`] | declare what must never be shown |
//!
//! # What a section may return
//!
//! - whatever is [`Serialize`](https://docs.rs/serde): shown as nested `key = value`
//! - a `String`, a `&str`, anything `Display`: shown as text
//! - an `Option` of these: `None` is shown as `(nothing to show)`
//! - a `Result` of these whose error is `Display`: the error is shown in its place
//!
//! # Without an attribute
//!
//! ```
//! # fn main() -> Result<(), gmr::Error> {
//! let guard = gmr::Builder::new()
//!     .product("order service")
//!     .version("1.2.3")
//!     .section("Queue", || std::collections::BTreeMap::from([("waiting", 17), ("running", 4)]))
//!     .install()?;
//! // `kill -USR2 PID` prints a report until the guard is dropped.
//! # drop(guard);
//!
//! let report = gmr::Report::capture();
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - **It comes.** One thread makes the report, and takes no lock that the program can hold. A section that is stuck is shown as stuck, with its stack; one that panics
//!   is shown as panicked, even in a program whose panics abort. All are bounded by deadlines: 2 s each, 10 s together.
//! - **It harms nobody.** The signal handler copies and raises a flag. Standard error that nobody reads costs the rest of one report, not the process.
//! - **It masks secrets.** Values, text and command lines are masked by key, by type and by content. A
//!   secret that looks like nothing in a place that says nothing is not recognized: use [`Secret`].
//!
//! # Platforms
//!
//! Linux on `x86_64` is the first-class platform, aarch64 is written beside it. Elsewhere gmr compiles, and the report says what it cannot show.

// The facade: documentation, re-exports by name, and `__private`, the one hidden door that generated code may use. No logic.

pub use gmr_macros::{config, main, section, task};
#[cfg(feature = "json")]
pub use gmr_runtime::ParseReportError;
#[cfg(feature = "axum")]
pub use gmr_runtime::axum;
pub use gmr_runtime::model;
pub use gmr_runtime::{Builder, Error, ErrorKind, Format, Guard, Report, Secret, masked};

pub mod task {
    //! Asynchronous tasks: what tracks them, so that a report shows where each waits.
    //!
    //! ```
    //! use gmr::task::TrackExt;
    //!
    //! async fn checkout(order: u64) -> u64 {
    //!     gmr::task::label("order", order);
    //!     order + 1
    //! }
    //!
    //! let task = checkout(7).tracked_as("checkout"); // a future like the one it holds, for any runtime
    //! # drop(task);
    //! ```
    //!
    //! With the feature `tokio`, `gmr::task::spawn` takes the place of `tokio::spawn`, and `spawn_local`, `spawn_blocking` and `JoinSet` those of tokio's. On an `async fn`,
    //! [`#[gmr::task]`](macro@crate::task) tracks each call.
    #[cfg(feature = "tokio")]
    pub use gmr_runtime::task::tokio::{JoinSet, spawn, spawn_blocking, spawn_local, watch_runtime};
    #[cfg(feature = "tower")]
    pub use gmr_runtime::task::tower::{RequestLayer, RequestService};
    pub use gmr_runtime::task::{TrackExt, Tracked, label, track};
}

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[doc(hidden)]
pub mod __private {
    //! What the attributes' output names. Not part of the public interface: it changes without notice.
    pub use gmr_runtime::__private::*;
}
