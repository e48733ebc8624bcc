//! What a second look at some threads has shown, shortly after the first one, and which threads
//! that are. And which processes have the other ends of connections.

use std::collections::BTreeSet;
use std::time::Duration;

/// The threads that a rule wants to be looked at once more, because of a suspicion.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suspects {
    /// Threads at rest: have they run meanwhile? This reads a file of each.
    pub(crate) at_rest: BTreeSet<u32>,
    /// Threads that run: how much processor time do they use meanwhile? This reads their clocks.
    pub(crate) running: Vec<u32>,
    /// Connections that threads wait for, as the Threads section describes them: which processes have
    /// their other ends?
    pub(crate) connections: BTreeSet<String>,
}

/// What was seen of suspects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) second: SecondLook,
    /// The processes at the other ends of connections, as far as they are known.
    pub(crate) peers: Vec<PeerProcess>,
}

/// The process that holds the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerProcess {
    /// As the Threads section describes it.
    pub(crate) connection: String,
    /// In words: `process 4711 (postgres)`.
    pub(crate) process: String,
    /// Whether it is this process alone.
    pub(crate) is_this_process: bool,
}

/// The outcome of the second look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SecondLook {
    /// It was not taken: no rule asked for it, or it is switched off.
    #[default]
    NotTaken,
    /// It was taken.
    Taken {
        /// The threads that have run since the first look, of those that were at rest. `None` if
        /// they could not be looked at.
        moved: Option<Vec<u32>>,
        /// The time between the two readings of the clocks.
        between: Duration,
        /// The processor time that threads have used in that time.
        used: Vec<(u32, Duration)>,
    },
}

impl SecondLook {
    /// Whether threads at rest were looked at again.
    pub(super) fn has_looked(&self) -> bool {
        matches!(self, Self::Taken { moved: Some(_), .. })
    }

    /// Whether a thread has run since the first look. Only threads that were suspects are known.
    pub(super) fn has_moved(&self, tid: u32) -> bool {
        matches!(self, Self::Taken { moved: Some(moved), .. } if moved.contains(&tid))
    }

    /// The processor time that a thread has used between the looks, and the time between them.
    pub(super) fn used(&self, tid: u32) -> Option<(Duration, Duration)> {
        let Self::Taken { used, between, .. } = self else { return None };
        let (_, used) = used.iter().find(|(of, _)| *of == tid)?;
        Some((*used, *between))
    }

    /// Whether a thread has not run since the first look. It must have been one of the suspects.
    pub(super) fn is_still(&self, tid: u32) -> bool {
        matches!(self, Self::Taken { moved: Some(moved), .. } if !moved.contains(&tid))
    }
}
