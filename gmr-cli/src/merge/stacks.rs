//! Stacks of many reports, each kept once: a thousand processes of a service have the same ones.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use gmr_runtime::__cli::Line;

use crate::places::Kind;

/// The number of a stack, from 0.
pub(super) type Number = usize;

type Stack = (Kind, Vec<Line>);

#[derive(Default)]
pub(super) struct Stacks(Mutex<HashMap<Stack, Number>>);

impl Stacks {
    pub(super) fn number(&self, kind: Kind, lines: Vec<Line>) -> Number {
        let mut known = self.lock();
        let next = known.len();
        *known.entry((kind, lines)).or_insert(next)
    }

    /// All stacks, by number.
    pub(super) fn all(&self) -> Vec<Stack> {
        let mut all: Vec<(Stack, Number)> = self.lock().drain().collect();
        all.sort_by_key(|(_, number)| *number);
        all.into_iter().map(|(stack, _)| stack).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Stack, Number>> {
        self.0.lock().expect("no holder panics")
    }
}
