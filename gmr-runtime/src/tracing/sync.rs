//! The atomics that slots are made of: std's, or, in a test that is built with `--cfg gmr_loom`,
//! those of the model checker (`loom_tests.rs`).

#[cfg(not(all(test, gmr_loom)))]
pub(super) use std::sync::atomic;

#[cfg(all(test, gmr_loom))]
pub(super) use loom::sync::atomic;
