//! Which threads hold which locks: those whose code will release them. See
//! [`releases`](super::unwind::releases).
//!
//! It reads the stacks of blocked threads once more, with the registers of each frame. What it
//! finds counts only if the thread has not run since its stack was taken for the report.

use super::at_rest;
use super::unwind::{LockSearch, Shared, Unwinder};
use crate::capture::{Held, LockUse, PurposeOf, Trace, Wanted};
use crate::sys::Modules;
use crate::sys::linux::mapping::MappedBuffer;
use crate::sys::linux::memory;
use crate::threads::linux::Observer;
use crate::threads::{Access, ThreadInfo};

/// How much of a stack is searched, at first and if that is not all of it.
const COPIES: [usize; 2] = [16 << 10, 512 << 10];

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
    let (Ok(mut observer), Ok(mut buffer)) = (Observer::new(), MappedBuffer::new(COPIES[1])) else {
        return Vec::new();
    };
    let shared = Shared::new(modules.all());
    let mut unwinder = Unwinder::new(&shared);
    let mut search = LockSearch::new();
    let mut held = Vec::new();
    for (index, ((thread, trace), known)) in threads.iter().zip(traces).zip(uses).enumerate() {
        let Access::AtRest(rest) = &thread.access else { continue };
        let Some(known) = known else { continue };
        for length in COPIES {
            let copied = memory::read_ready(rest.sp(), &mut buffer[..length], None);
            let stack = (rest.sp(), &buffer[..copied]);
            let registers = unwinder.registers_of_frames(at_rest::registers(rest), stack, &trace.frames);
            if registers.len() < trace.frames.len() && copied == length && length < COPIES[1] {
                continue;
            }
            let frames = (&*trace.frames, &*registers);
            let found = search.run(&mut unwinder, frames, stack, (known, locks), purpose_of);
            if !found.is_empty() && observer.is_unchanged(thread.tid, rest) {
                held.extend(found.into_iter().map(|found| Held { thread: index, ..found }));
            }
            break;
        }
    }
    held
}
