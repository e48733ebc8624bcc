//! The atomics that slots consist of: std's, or, in tests built with `--cfg gmr_loom`, those of the
//! model checker (`loom_tests.rs`).

#[cfg(not(all(test, gmr_loom)))]
pub(super) use std::sync::atomic;

#[cfg(all(test, gmr_loom))]
pub(super) use loom::sync::atomic;
