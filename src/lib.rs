//! Diagnostic reports of a running process: send SIGUSR2, and the process prints a report to stderr
//! and keeps running.
//!
//! Guru Meditation Reports (gmr) are for on-call engineers facing a hung, slow or leaking process.
//! A report shows every thread and tracked async task with its stack and what it waits for, the
//! memory, limits, descriptors and modules of the process, the configuration with secrets masked,
//! and the sections that your crates add. A thread whose stack can't be captured, such as one that
//! blocks all signals, is shown with the reason.
//!
//! ```no_run
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! static REQUESTS: AtomicU64 = AtomicU64::new(0);
//!
//! #[gmr::main]
//! fn main() {
//!     // your program
//! }
//!
//! #[gmr::section]
//! fn requests_served() -> u64 {
//!     REQUESTS.load(Ordering::Relaxed)
//! }
//! ```
//!
//! `kill -USR2 PID` then prints, among other sections:
//!
//! ```text
//! ------                  Thread #18797 (cashier)                   ------
//! state = waiting, cpu = 0.00 s user + 0.00 s system, last on CPU 0
//! waiting on futex 0x56131dd837c8
//!
//! library/std/src/sync/poison/mutex.rs:492 in std::sync::poison::mutex::Mutex<T>::lock
//! /srv/shop/examples/demo.rs:151 in demo::ring_up
//!     `*TILL.lock().unwrap_or_else(PoisonError::into_inner) += amount;`
//! ```
//!
//! # What you can do
//!
//! - [Install gmr with an attribute](#install-gmr-with-an-attribute) on `main`, or
//!   [without macros](#without-macros).
//! - [Add sections](#add-sections) from any crate in the program.
//! - [Show the configuration](#show-the-configuration), with secrets masked.
//! - [Track async tasks](#track-async-tasks), to see where each one waits.
//! - [Show spans and events of `tracing`](#show-spans-and-events-of-tracing).
//! - [Choose the format](#choose-the-format): text, JSON, XML, HTML.
//! - [Make a report from code](#make-a-report-from-code), or [serve reports over
//!   HTTP](#serve-reports-over-http).
//!
//! ## Install gmr with an attribute
//!
//! [`#[gmr::main]`](macro@main) can be applied to `fn main` and `async fn main`. Its options set
//! what the report says about the program, and the signal that triggers a report.
//!
//! ```no_run
//! #[gmr::main(product = "order service", version = "1.2.3", signal = "SIGUSR1")]
//! fn main() {}
//! ```
//!
//! The option `sections` chooses among the built-in sections: Package, Resources, Threads, Green
//! Threads, Processes, Descriptors, Modules, Environment and Configuration. Reports have all of
//! them but Environment, which can contain secrets that masking does not recognize.
//!
//! ```no_run
//! #[gmr::main(sections = "-modules, +environment")]
//! fn main() {}
//! ```
//!
//! ## Add sections
//!
//! [`#[gmr::section]`](macro@section) can be applied to free functions. They may return:
//!
//! - a type that implements `serde::Serialize`: shown as nested `key = value`
//! - a `String`, a `&str`, or a type that implements `Display`: shown as text
//! - an `Option` of these: `None` is shown as `(nothing to show)`
//! - a `Result` of these, if the error implements `Display`: an error is shown in place of the
//!   value
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! #[gmr::section("Cache", timeout = "500ms")]
//! fn cache_stats() -> BTreeMap<&'static str, u64> {
//!     BTreeMap::from([("hits", 17), ("misses", 3)])
//! }
//!
//! #[gmr::section]
//! fn open_files() -> std::io::Result<usize> {
//!     Ok(std::fs::read_dir("/proc/self/fd")?.count())
//! }
//! ```
//!
//! ## Show the configuration
//!
//! [`#[gmr::config]`](macro@config) adds a group to the Configuration section. Values are masked by
//! key (`password`, `api_key`), by content (the password in a URL, a private key) and by type
//! ([`Secret`]). [`masked`](fn@masked) is for fields whose type you can't change.
//!
//! ```
//! #[derive(serde::Serialize)]
//! struct Database {
//!     url: &'static str,
//!     pin: gmr::Secret<u32>,
//! }
//!
//! #[gmr::config]
//! fn database() -> Database {
//!     Database { url: "postgres://shop:hunter2@db1/orders", pin: 1234.into() }
//! }
//! ```
//!
//! ## Track async tasks
//!
//! The module [`task`](mod@task) tracks futures on any runtime. [`#[gmr::task]`](macro@task) does
//! so for each call of an `async fn`. With the feature `tokio`, `gmr::task::spawn` replaces
//! `tokio::spawn`.
//!
//! ```
//! use gmr::task::TrackExt as _;
//!
//! async fn checkout(order: u64) {
//!     gmr::task::label("order", order);
//! }
//!
//! let future = checkout(4711).tracked_as("checkout");
//! # drop(future);
//! ```
//!
//! ## Show spans and events of `tracing`
//!
//! With the feature `tracing`, `gmr::tracing::layer()` adds the sections Spans in Flight and Recent
//! Events: a service that has `#[instrument]` shows its requests with their fields.
//!
//! ```
//! # #[cfg(feature = "tracing")]
//! # {
//! use tracing_subscriber::prelude::*;
//!
//! tracing_subscriber::registry().with(gmr::tracing::layer()).init();
//! # }
//! ```
//!
//! ## Choose the format
//!
//! A report on stderr is text unless the program or the environment chooses another [`Format`].
//! Every format but text requires a feature; without it, the attribute fails to compile.
//!
//! ```
//! # #[cfg(feature = "json")]
//! #[gmr::main(format = "json-lines")]
//! fn main() {}
//! # #[cfg(not(feature = "json"))]
//! # fn main() {}
//! ```
//!
//! ## Make a report from code
//!
//! [`Report::capture`] makes a report and returns it as plain data, described in [`model`]. It
//! works without installing gmr. It blocks the calling thread; in async code, await
//! [`Report::capture_async`], which works on any runtime.
//!
//! ```
//! let report = gmr::Report::capture();
//! assert!(report.section("Threads").is_some());
//! println!("{report}");
//! ```
//!
//! ## Serve reports over HTTP
//!
//! The crate [`gmr-axum`](https://docs.rs/gmr-axum) has a router for axum, and the feature `http`
//! has `gmr::http::Admin`, which other servers can mount. Mount it only where operators can reach
//! it, never on a public port. A runtime whose workers are all stuck can't answer; the signal works
//! even then.
//!
//! ```
//! fn admin_pages() -> axum::Router {
//!     axum::Router::new().nest_service("/gmr", gmr_axum::router())
//! }
//! ```
//!
//! ## Without macros
//!
//! A [`Builder`] installs gmr, and adds sections and groups of the configuration at run time. A
//! [`Generator`] sets an order and a timeout, as the attributes do, and takes closures that can
//! fail. [`display`] wraps a value that implements only `Display`.
//!
//! ```
//! use gmr::Generator;
//!
//! # fn main() -> Result<(), gmr::Error> {
//! let guard = gmr::Builder::new()
//!     .product("order service")
//!     .version("1.2.3")
//!     .section("Queue", || std::collections::BTreeMap::from([("waiting", 17), ("running", 4)]))
//!     .section("Load", Generator::fallible(|| std::fs::read_to_string("/proc/loadavg")).order(1))
//!     .config("Database", || std::collections::BTreeMap::from([("host", "db1")]))
//!     .install()?;
//! // SIGUSR2 triggers a report until the guard is dropped.
//! # drop(guard);
//! # Ok(())
//! # }
//! ```
//!
//! # Environment variables
//!
//! For operators. Each variable overrides what the program sets.
//!
//! | variable | effect |
//! |---|---|
//! | `GMR_MASK=internal_code,-session_color` | names whose values are masked, and after a dash shown |
//! | `GMR_SIGNAL=USR1` | the signal that triggers a report; `none`: there is none |
//! | `GMR_FORMAT=json` | the format of reports on stderr |
//! | `GMR_LOG_DIR=/var/log/shop` | a directory for reports, instead of stderr |
//! | `GMR_LOG_GZIP=on` | files in that directory are compressed; feature `gzip` |
//! | `GMR_LOG_JOURNAL=on` | reports go to systemd's journal, instead of stderr |
//! | `GMR_LOG_TRACING=summary` | an event of `tracing` for each report; `full`: with all of it; feature `tracing` |
//! | `GMR_LOG_TO_STDERR=on` | reports in a directory or the journal also go to stderr |
//! | `GMR_LOG_MAX_FILES=20` | how many files of the service are kept in the directory |
//! | `GMR_LOG_MAX_BYTES=20MiB` | how many bytes they may have together |
//! | `GMR_MAX_BYTES=1MiB` | how large a report may be; what tells least is left out; any size by default |
//! | `GMR_MAX_PER_HOUR=20` | how many reports an option requests by itself in an hour, 6 by default |
//! | `GMR_MIN_INTERVAL=10s` | the least time between two reports for signals, 1 s by default |
//! | `GMR_TRIGGER_FILE=/run/shop/report` | a file that requests a report when it is touched |
//! | `GMR_POLL_TASKS=off` | reports do not poll async tasks, and show them without stacks |
//! | `GMR_ON_PANIC=1` | a panic that is about to end the process makes a report; `any`: any panic |
//! | `GMR_ON_FATAL=1` | a fatal signal makes a short report |
//! | `GMR_SLOW_START=30s` | a report if the program is not [`ready`] by then |
//! | `GMR_SLOW_SHUTDOWN=25s` | a report if the process has not ended by then, after SIGTERM |
//! | `GMR_WATCHDOG=5s` | a report if a runtime of tokio polls no new task for so long |
//! | `GMR_ON_MEMORY=90%` | a report if a cgroup uses more than this share of its memory |
//! | `GMR_ON_DESCRIPTORS=90%` | a report if this share of the process's descriptors is open |
//! | `GMR_ON_THREADS=90%` | a report if this share of a cgroup's threads exists; `500`: so many threads |
//! | `GMR_SLOW_TASK=60s` | a report if a task takes longer than this, and others of its kind do not |
//! | `GMR_SECTIONS=-modules,+environment` | leaves out or adds built-in sections |
//! | `GMR_BACKTRACE=full` | shows all frames and all names of a group |
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `tokio` | tasks spawned on tokio, and the metrics of its runtimes |
//! | `tower` | a layer that tracks the requests of a tower service |
//! | `tracing` | open spans and recent events of the crate `tracing` |
//! | `json` | reports as JSON and JSON lines, and reading them back |
//! | `xml` | reports as XML |
//! | `html` | reports as an HTML page |
//! | `http` | reports over HTTP; enables `html` and `json` |
//! | `cpp` | C++ function names as in the source |
//! | `gzip` | compressed files of reports |
//!
//! # Safety
//!
//! - gmr makes reports on its own threads. It waits for no lock that the program can hold, except
//!   the allocator's.
//! - The handler that captures a thread's stack does not allocate, lock, unwind or log.
//! - Each section has a deadline. A section that hangs or panics is shown as such and does not
//!   affect the rest of the report, even with `panic = "abort"`.
//! - The program can notice a report: system calls that Linux never restarts, such as `epoll_wait`
//!   and `nanosleep`, may return `EINTR`, and each waiting tracked task is polled once more. gmr
//!   wraps the panic hook.
//! - SIGUSR2 terminates a process that has no handler for it. Before you send it, make sure that
//!   gmr is installed: bit `800` (hexadecimal) of `SigCgt` in `/proc/PID/status` is set.
//! - Values, text and command lines are masked by key, by type and by content. A secret that looks
//!   like ordinary text under an ordinary key is not recognized: use [`Secret`].
//!
//! What gmr does to a process, and what it can't rule out, is described in
//! [`docs/no-harm.md`](https://github.com/gmr-rs/gmr/blob/main/docs/no-harm.md).
//!
//! # Cost
//!
//! Idle, gmr is three sleeping threads. A report of 100 threads takes about 4 ms; the first one
//! also reads the debug information and takes longer. If sections hang, a report takes about ten
//! seconds at most. A tracked task costs about 100 ns to start and end, and 22 ns for each poll.
//! [`docs/benchmarks.md`](https://github.com/gmr-rs/gmr/blob/main/docs/benchmarks.md) has all
//! figures and the machine they were measured on.
//!
//! # Platforms
//!
//! Linux on `x86_64`, with glibc or musl, and on `aarch64`. Every change is tested on `x86_64` with
//! both; with musl, the programs are static. For `aarch64`, the unit tests of code that depends on
//! the processor run for every change, and all tests run for every release, both in an emulator. On
//! other platforms gmr compiles, and the report says what it can't show.

// The facade: documentation, re-exports by name, and `__private`. It contains no logic.

pub use gmr_macros::{config, main, section, task, test};
#[cfg(feature = "json")]
pub use gmr_runtime::ParseReportError;
#[cfg(feature = "http")]
pub use gmr_runtime::http;
pub use gmr_runtime::model;
#[cfg(feature = "tracing")]
pub use gmr_runtime::tracing;
pub use gmr_runtime::{
    Builder, Error, ErrorKind, Format, Generator, Guard, LogTracing, OnPanic, OnThreads, Report, Secret,
};
pub use gmr_runtime::{Deadline, Heartbeat, deadline, heartbeat, ready, shutting_down};
// Both the function and the macro of this name.
pub use gmr_runtime::{after_fork, display, masked};

pub mod task {
    //! Tracks async tasks, so that a report shows where each one waits.
    //!
    //! ```
    //! use gmr::task::TrackExt as _;
    //!
    //! async fn checkout(order: u64) -> u64 {
    //!     gmr::task::label("order", order);
    //!     order + 1
    //! }
    //!
    //! // Wraps the future. Spawn or await it on any runtime.
    //! let task = checkout(7).tracked_as("checkout");
    //! # drop(task);
    //! ```
    //!
    //! With the feature `tokio`, `spawn`, `spawn_local`, `spawn_blocking`, `JoinSet` and `LocalSet`
    //! replace those of tokio. The crate `gmr-tokio` puts them in place of all of tokio's, with one
    //! line of `Cargo.toml`. [`#[gmr::task]`](macro@crate::task) tracks each call of an `async fn`.
    #[cfg(feature = "tokio")]
    pub use gmr_runtime::task::tokio::{JoinSet, LocalSet, RuntimeExt};
    #[cfg(feature = "tokio")]
    pub use gmr_runtime::task::tokio::{spawn, spawn_blocking, spawn_local, watch_runtime};
    #[cfg(feature = "tower")]
    pub use gmr_runtime::task::tower::{RequestLayer, RequestService};
    pub use gmr_runtime::task::{TrackExt, Tracked, label, track};
}

/// Compiles the examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the examples in the guide.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

#[doc(hidden)]
pub mod __private {
    //! What generated code names. Not part of the public interface: it changes without notice.
    pub use gmr_runtime::__private::*;
    pub mod registered {
        //! For `#[gmr::test]` below another attribute. These look at the last name of its path.
        pub use gmr_macros::registered_test as test;
    }
}
