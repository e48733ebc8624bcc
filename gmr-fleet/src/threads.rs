//! The threads that queries and requests to object storage run on: one set for the whole program.
//! A connection is served by those on which it was opened, so that others would wait for it forever.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// As many as there are processors.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Starts them if they do not run yet.
pub(crate) fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let start = || Builder::new_multi_thread().worker_threads(count()).enable_all().build();
    let started =
        RUNTIME.get_or_init(|| start().map_err(|error| format!("could not start threads: {error}"))).as_ref();
    started.map_err(Clone::clone)
}
