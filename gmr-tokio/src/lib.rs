//! tokio, with the tasks of your code shown in gmr's reports.
//!
//! [gmr](https://docs.rs/gmr) shows tasks that are tracked. Change one line of `Cargo.toml`, and
//! the tasks that your code spawns are:
//!
//! ```toml
//! [dependencies]
//! gmr = { version = "0.1", features = ["tokio"] }
//! tokio = { package = "gmr-tokio", version = "1", features = ["full"] } # the features as before
//! ```
//!
//! The code stays as it is. For each task, a report shows where it was spawned, what it is doing,
//! and the line at which it waits:
//!
//! ```
//! # use gmr_tokio as tokio; // as in the manifest above
//! #[tokio::main]
//! async fn main() {
//!     let task = tokio::spawn(async { 17 }); // in reports: "spawned at src/main.rs:3:16"
//!     assert_eq!(task.await.unwrap(), 17);
//! }
//! ```
//!
//! In a workspace, put the line into `[workspace.dependencies]`. If tokio is also among the
//! dev-dependencies, change it there, too: both must name the same package. Other packages'
//! dependencies on tokio are not affected: they use the same tokio, and exchange its types with
//! your code. The tasks that they spawn are not tracked.
//!
//! # What differs from tokio
//!
//! Every item is tokio's own, under tokio's path, except for these, which track what they start:
//!
//! - [`spawn`], [`task::spawn`], [`task::spawn_local`], [`task::spawn_blocking`]: functions with
//!   the same signatures
//! - [`task::JoinSet`] and [`task::LocalSet`]: types that contain tokio's, with the same methods.
//!   They dereference to tokio's types, and convert to and from them. Pass `&set` to a function
//!   that takes a reference to tokio's type, and `set.into()` to one that takes its value.
//! - `task::Builder` and `JoinSet::build_task`, with `--cfg tokio_unstable` and the feature
//!   `tracing`. A report shows the task's name as a label.
//! - [`macro@main`] and [`macro@test`]: attributes with the same arguments. They expand to tokio's
//!   own, and track the future of the function: as `main`, or under the function's path. If
//!   `#[gmr::main]` is above or below, there is still only one task `main`.
//!
//! # What it does not track
//!
//! - **Methods of tokio's runtimes**: `Runtime::spawn`, `Handle::spawn`, `spawn_blocking`,
//!   `block_on`, and those of `LocalRuntime`. The types are tokio's own, so that other crates
//!   accept them, and their methods can't be replaced. [`RuntimeExt`] has tracked methods for
//!   `Runtime` and `Handle`. Reports count the tasks of a runtime that are not tracked: "50 tasks
//!   alive, 12 not tracked".
//! - **What other crates spawn**, such as a server's connections. Where a crate lets you choose how
//!   it spawns (hyper's executor), pass it your own `spawn`; or track requests with gmr's
//!   `task::RequestLayer`.
//! - **Features that only another crate enables**: their items are available, but they are tokio's
//!   own. In the `tokio` line, list each feature that your code uses.
//!
//! # Versions
//!
//! The version's major and minor numbers are those of the newest tokio that the interface was
//! compared with. Other releases of tokio work, too, from 1.49 on, the first in which a runtime has
//! an id without `tokio_unstable`. What a newer tokio adds to its modules appears here without a
//! new release; what it adds to `JoinSet` and `LocalSet` is available by dereferencing, and not
//! tracked.
//!
//! The features are those of tokio 1.49, under the same names. To enable one that a newer tokio
//! adds, also depend on tokio under another name: Cargo builds one tokio with the features of both.
//!
//! `gmr` and `gmr-tokio` share the crate that tracks tasks, `gmr-runtime`, and each requires one
//! exact version of it. Update them together: `cargo tree --duplicates` must not list it.
//!
//! # smol, async-std
//!
//! There is no such crate for these. `smol::spawn` is a single function, but smol programs spawn on
//! an `Executor` or a `LocalExecutor` of their own, with a method whose tasks have the executor's
//! lifetime. Both types would have to be replaced, and other crates accept only smol's. async-std
//! is discontinued in favour of smol. With either, write `executor.spawn(future.tracked())`, with
//! `gmr::task::TrackExt`.

// The facade: re-exports. It contains no logic; what tracks is in `gmr-runtime` and `gmr-macros`.

#[doc(no_inline)]
pub use ::tokio::*;

#[cfg(all(feature = "macros", feature = "rt"))]
pub use gmr_macros::{tokio_main as main, tokio_test as test};
#[cfg(feature = "rt")]
pub use gmr_runtime::task::tokio::RuntimeExt;
#[cfg(feature = "rt")]
pub use task::spawn;

#[cfg(feature = "rt")]
pub mod task {
    //! tokio's module `task`, with functions and types that track the tasks that they start.

    #[doc(no_inline)]
    pub use ::tokio::task::*;

    #[cfg(all(tokio_unstable, feature = "tracing"))]
    pub use gmr_runtime::task::tokio::Builder;
    #[cfg(tokio_unstable)]
    pub use gmr_runtime::task::tokio::join_set;
    pub use gmr_runtime::task::tokio::{JoinSet, LocalSet, spawn, spawn_blocking, spawn_local};
}

#[cfg(all(feature = "macros", feature = "rt"))]
#[doc(hidden)]
pub mod __private {
    //! What generated code names. Not part of the public interface: it changes without notice.
    pub use ::tokio::{main, test};
    pub use gmr_macros::tokio_track as track;
    pub use gmr_runtime::__private::task;
}
