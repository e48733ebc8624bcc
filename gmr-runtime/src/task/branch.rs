//! Where a task waits: what a trace finds, and a task's entry keeps.

use std::sync::{Arc, OnceLock};

use crate::capture::Trace;

/// Where one future of a task waits: the stack of the poll in which it kept a waker, from the
/// waker's clone out to the task's root. Tasks with the same stack share one.
#[derive(Debug, Default)]
pub(crate) struct Leaf(OnceLock<Arc<Trace>>);

impl Leaf {
    /// A leaf whose stack is known, or the reason why it has none.
    pub(crate) fn known(trace: Trace) -> Self {
        Self(OnceLock::from(Arc::new(trace)))
    }

    /// Sets the stack, once it is unwound.
    pub(super) fn set(&self, trace: &Arc<Trace>) {
        let _ = self.0.set(Arc::clone(trace));
    }

    /// The stack; `None` if it was not unwound in time.
    pub(crate) fn trace(&self) -> Option<&Arc<Trace>> {
        self.0.get()
    }
}

/// A leaf that tasks share.
pub(crate) type Branch = Arc<Leaf>;

/// Where a task waits: one branch for each future that has kept a waker.
pub(crate) type Branches = Arc<[Branch]>;
