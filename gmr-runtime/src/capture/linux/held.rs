//! Which threads hold which locks: those whose code will release them. See
//! [`releases`](super::unwind::releases).
//!
//! It reads the stacks of blocked threads once more, with the registers of each frame. What it
//! finds counts only if the thread has not run since its stack was taken for the report.

use std::sync::{Arc, Mutex, PoisonError};

use super::at_rest;
use super::unwind::{LockSearch, Shared, Suspect, Unwinder};
use crate::capture::{Address, Held, LockUse, PurposeOf, Trace, Wanted};
use crate::sys::hash::HashMap;
use crate::sys::linux::mapping::MappedBuffer;
use crate::sys::linux::{memory, parallel};
use crate::sys::{Modules, sort};
use crate::threads::linux::{Observer, Rest};
use crate::threads::{Access, ThreadInfo};

/// How much of a stack is copied if the frames to be searched are not in its first pages.
const COPIES: [usize; 2] = [32 << 10, 512 << 10];

/// How many threads are searched that wait for the same lock in the same way.
const MAX_ALIKE: usize = 64;

/// A thread to be searched: its index in the list, its id, the moment at which its stack was taken,
/// its stack, and what is known of it.
type Searched<'a> = (usize, u32, &'a Rest, &'a Trace, &'a LockUse);

/// Which of these locks each thread holds. `traces` has the stacks of the threads, and `uses` what
/// is known of those that are to be searched.
pub(crate) fn held_locks(
    threads: &[ThreadInfo],
    traces: &[Trace],
    uses: &[Option<LockUse>],
    locks: &[Wanted],
    modules: &Modules,
    purpose_of: &mut PurposeOf<'_>,
) -> Vec<Held> {
    let all = threads.iter().zip(traces).zip(uses).enumerate();
    let searched = all.filter_map(|(index, ((thread, trace), known))| match &thread.access {
        Access::AtRest(rest) => Some((index, thread.tid, rest, trace, known.as_ref()?)),
        _ => None,
    });
    let searched: Vec<Searched<'_>> = searched.collect();
    let shared = Shared::new(modules.all());
    let purpose_of = Mutex::new(purpose_of);
    let purpose_of = |function| purpose_of.lock().unwrap_or_else(PoisonError::into_inner)(function);
    let alike = Alike::default();
    let held = parallel::divide(&searched, |chunks| {
        let Some(mut reader) = Reader::new(&shared, &alike) else { return Vec::new() };
        let mut purpose_of = purpose_of;
        chunks.flatten().flat_map(|thread| reader.search(thread, locks, &mut purpose_of)).collect()
    });
    let mut held: Vec<Held> = held.concat();
    sort::by_key(&mut held, |held| held.thread);
    held
}

/// Counts the threads that wait for the same lock and are at the same places in all functions that
/// can hold one. Their stacks may differ in other functions: a thousand clients that wait for one
/// lock have come by different ways.
#[derive(Default)]
struct Alike(Mutex<HashMap<(u64, Vec<Address>), usize>>);

impl Alike {
    /// Whether more than enough of them have been counted.
    fn are_enough(&self, lock: u64, trace: &Trace, suspects: &[Suspect]) -> bool {
        let places = suspects.iter().filter_map(|suspect| trace.frames.get(suspect.frame).copied());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((lock, places.collect())).or_default();
        *count += 1;
        *count > MAX_ALIKE
    }
}

/// Searches threads, one after the other.
struct Reader<'a> {
    alike: &'a Alike,
    observer: Observer,
    copy: MappedBuffer,
    unwinder: Unwinder,
    search: LockSearch,
}

impl<'a> Reader<'a> {
    /// None if there is no free descriptor, or no memory.
    fn new(shared: &Arc<Shared>, alike: &'a Alike) -> Option<Self> {
        let copy = MappedBuffer::new(COPIES[1]).ok()?;
        let observer = Observer::new().ok()?;
        Some(Self { alike, observer, copy, unwinder: Unwinder::new(shared), search: LockSearch::new() })
    }

    fn search(
        &mut self,
        &(index, tid, rest, trace, known): &Searched<'_>,
        locks: &[Wanted],
        purpose_of: &mut PurposeOf<'_>,
    ) -> Vec<Held> {
        let suspects = self.search.frames(&mut self.unwinder, &trace.frames, known, locks);
        let Some(last) = suspects.last() else { return Vec::new() };
        if known.waits_for.is_some_and(|lock| self.alike.are_enough(lock, trace, &suspects)) {
            return Vec::new();
        }
        // With the registers of its caller, the frame itself is in the copy. Of a stack that ends
        // early, the last frame has no caller.
        let needed = trace.frames.len().min(last.frame + 2);
        let ends_early = trace.incomplete.is_some() && needed == trace.frames.len();
        let first = at_rest::initial_length(rest.sp());
        for length in std::iter::once(first).filter(|_| !ends_early).chain(COPIES) {
            let copied = memory::read_ready(rest.sp(), &mut self.copy[..length], None);
            let stack = (rest.sp(), &self.copy[..copied]);
            let registers = at_rest::registers(rest);
            let registers = self.unwinder.registers_of_frames(registers, stack, &trace.frames, needed);
            if registers.len() < needed && copied == length && length < self.copy.len() {
                continue;
            }
            let frames = (&*suspects, &*registers);
            let found = self.search.run(&mut self.unwinder, frames, stack, (known, locks), purpose_of);
            if found.is_empty() || !self.observer.is_unchanged(tid, rest) {
                break;
            }
            return found.into_iter().map(|found| Held { thread: index, ..found }).collect();
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_wait_for_a_lock_in_the_same_way_are_counted() {
        let alike = Alike::default();
        let of =
            |addresses: [u64; 3]| Trace { frames: addresses.map(Address::Return).into(), ..Trace::default() };
        let (one, other) = (of([1, 2, 3]), of([1, 2, 4]));
        let [second, third] = [1, 2].map(Suspect::at);
        // Those whose other functions differ are alike.
        assert!((0..MAX_ALIKE / 2).all(|_| !alike.are_enough(7, &one, &[second])));
        assert!((0..MAX_ALIKE / 2).all(|_| !alike.are_enough(7, &other, &[second])));
        assert!(alike.are_enough(7, &one, &[second]));
        assert!(!alike.are_enough(8, &one, &[second]), "another lock");
        assert!(!alike.are_enough(7, &one, &[second, third]), "another place");
    }
}
