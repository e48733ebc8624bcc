//! Where a thread is blocked. It imports nothing, since the description of a thread contains it.

/// Never known on this platform.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {}
