//! Unwinds the copies that threads of the program made of their own stacks, and remembers the
//! shapes of those that it has unwound: a stack of the same shape need not be copied.

use std::sync::OnceLock;

use super::own_stack::{self, Shape, StackCopy, Words};
use super::unwind::{Shared, Unwinder, Unwound};
use crate::capture::{Address, Trace};
use crate::sys::Modules;

/// Unwinds copies of stacks.
pub(crate) struct CopyUnwinder(Unwinder);

impl CopyUnwinder {
    /// Begins a look: a round of reading the program's stacks.
    pub(crate) fn new(modules: &Modules) -> Self {
        own_stack::begin_look();
        Self(Unwinder::new(&Shared::new(modules.all())))
    }

    /// The frames from the function that made the copy, up to the one that contains the root.
    pub(crate) fn unwind(&mut self, copy: &StackCopy) -> Trace {
        let piece = copy.piece();
        let end = piece.0.saturating_add(piece.1.len() as u64);
        match self.0.unwind(copy.for_unwinder(), &[piece]) {
            // It wants to continue above the root: it has arrived at the root's frame.
            Unwound::Incomplete(trace, address) if address >= end => Trace { incomplete: None, ..trace },
            other => {
                let trace = other.into_trace();
                let reason = trace.incomplete.unwrap_or_else(|| LOST.to_owned());
                Trace { incomplete: Some(reason), ..trace }
            }
        }
    }
}

const LOST: &str = "unwinding left the poll's stack";

/// The bits of a return address that are not its signature (pointer authentication on aarch64).
const ADDRESS: u64 = (1 << 48) - 1;

const BUCKETS: usize = 128;
const SHAPES_OF_BUCKET: usize = 8;

/// The shapes of stacks, and what belongs to them. Any thread may search it; only one adds to it.
/// Neither takes a lock.
pub(crate) struct Shapes<T>(Box<[Bucket<T>]>);

type Bucket<T> = [OnceLock<(Shape, T)>; SHAPES_OF_BUCKET];

impl<T> Shapes<T> {
    pub(crate) fn new() -> Self {
        Self((0..BUCKETS).map(|_| [const { OnceLock::new() }; SHAPES_OF_BUCKET]).collect())
    }

    /// What was added for a stack of this shape.
    pub(crate) fn find(&self, stack: &impl Words) -> Option<&T> {
        let mut known = self.bucket(stack).iter().map_while(OnceLock::get);
        known.find(|(shape, _)| shape.is_of(stack)).map(|(_, of_shape)| of_shape)
    }

    /// Adds the shape of a copy in which these frames were found. If the table is full, it is not
    /// added.
    pub(crate) fn add(&self, copy: &StackCopy, frames: &[Address], of_shape: T) {
        let shape = Shape::of(copy, |word| frames.iter().any(|frame| frame.value() == word & ADDRESS));
        let free = self.bucket(copy).iter().find(|place| place.get().is_none());
        let _ = free.map(|place| place.set((shape, of_shape)));
    }

    fn bucket(&self, stack: &impl Words) -> &Bucket<T> {
        &self.0[stack.words() % BUCKETS]
    }
}
