//! What was counted in earlier reports, and in the one that is being made.

use std::time::Instant;

/// The counts of one report. What it does not have a section of is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) at: Instant,
    /// The program's threads.
    pub(super) threads: Option<u64>,
    pub(super) tasks: Option<u64>,
    pub(super) descriptors: Option<u64>,
    /// Child processes.
    pub(super) children: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    /// How many of the program's threads have the same stack, by a hash of it: the most frequent
    /// ones.
    pub(super) stacks: Vec<(u64, u64)>,
    /// Whether there are more stacks than these.
    pub(super) has_more_stacks: bool,
}

impl Counts {
    /// Those of a report that is being made now and has no sections.
    pub(crate) fn none() -> Self {
        Self {
            at: Instant::now(),
            threads: None,
            tasks: None,
            descriptors: None,
            children: None,
            resident_bytes: None,
            stacks: Vec::new(),
            has_more_stacks: false,
        }
    }

    /// How many threads have this stack, if that is known.
    pub(super) fn with_stack(&self, stack: u64) -> Option<u64> {
        let known = self.stacks.iter().find(|(hash, _)| *hash == stack).map(|(_, count)| *count);
        known.or_else(|| (self.threads.is_some() && !self.has_more_stacks).then_some(0))
    }
}
