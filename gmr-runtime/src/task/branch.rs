//! Where a task waits, as addresses: what a trace finds and a task's entry keeps.

use std::sync::Arc;

/// Return addresses from a leaf that waits up to the task's root, innermost first.
pub(crate) type Branch = Arc<[u64]>;

/// Where a task waits: one branch for each leaf.
pub(crate) type Branches = Arc<[Branch]>;
