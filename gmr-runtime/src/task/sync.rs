//! What an [`Entry`](super::Entry) and the registry of all of them are shared by. A test puts a model checker's twins in its place (`tests/orders.rs`).

pub(super) use std::sync::{Mutex, MutexGuard, atomic};
pub(super) use std::thread::yield_now;
