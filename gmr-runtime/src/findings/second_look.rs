//! What a second look at some threads has shown, shortly after the first one.

/// The outcome of the second look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SecondLook {
    /// It was not taken: no rule asked for it, or it is switched off.
    #[default]
    NotTaken,
    /// These threads have run since the first look, or may have.
    Taken {
        /// Their ids.
        moved: Vec<u32>,
    },
}

impl SecondLook {
    /// Whether a thread has run since the first look.
    pub(super) fn has_moved(&self, tid: u32) -> bool {
        matches!(self, Self::Taken { moved } if moved.contains(&tid))
    }
}
