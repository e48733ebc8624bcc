//! Where a thread is blocked. It imports nothing, since the description of a thread contains it.

/// Never known on this platform.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {}

impl Rest {
    /// The arguments of the system call.
    #[allow(clippy::unused_self, reason = "it is a method on other platforms")]
    pub(crate) fn arguments(&self) -> Option<[u64; 6]> {
        match *self {}
    }
}
