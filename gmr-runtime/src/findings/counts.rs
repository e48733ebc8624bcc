//! Counts what later reports are compared with.

use std::cmp::Reverse;

use super::facts::Facts;
use super::past::Counts;
use crate::model::{Content, Frame, Thread};
use crate::sys::hash::{NumberMap, address};
use crate::sys::sort;

/// How many stacks are counted: 16 bytes each.
const MAX_STACKS: usize = 24;

/// The counts of a report that is being made now.
pub(super) fn of(facts: &Facts<'_>) -> Counts {
    let mut counts = Counts::none();
    for section in facts.sections {
        match &section.content {
            Content::Threads(_) => {
                counts.threads = Some(facts.threads().count() as u64);
                counts.stacks = stacks(facts);
                counts.has_more_stacks = counts.stacks.len() > MAX_STACKS;
                counts.stacks.truncate(MAX_STACKS);
                counts.stacks.shrink_to_fit();
            }
            Content::GreenThreads(tasks) => counts.tasks = Some(tasks.tasks.len() as u64),
            Content::Processes(processes) => {
                let children = processes.processes.iter().filter(|process| process.depth == 1);
                counts.children = Some(children.count() as u64);
            }
            Content::Resources(resources) => {
                counts.descriptors = resources.open_descriptors;
                counts.resident_bytes = resources.memory.resident_bytes;
            }
            _ => {}
        }
    }
    counts
}

/// How many threads have the same stack, the most frequent first.
fn stacks(facts: &Facts<'_>) -> Vec<(u64, u64)> {
    let mut stacks = Vec::new();
    // Threads with the same stack share it.
    let mut places = NumberMap::<usize>::default();
    for thread in facts.threads().filter(|thread| is_known(thread)) {
        let next = stacks.len();
        let place = *places.entry(address(thread.stack.frames.as_ptr()), || next);
        if place == next {
            stacks.push((hash(thread, facts.frames), 0));
        }
        stacks[place].1 += 1;
    }
    sort::by_key(&mut stacks, |(_, count)| Reverse(*count));
    stacks
}

/// Whether a thread has a whole stack, by which it can be recognized.
pub(super) fn is_known(thread: &Thread) -> bool {
    !thread.stack.frames.is_empty() && thread.stack.incomplete.is_none()
}

/// Tells stacks apart, by their addresses. Names may be missing in one report and known in the next
/// one, and with them the functions that are inlined.
pub(super) fn hash(thread: &Thread, frames: &[Frame]) -> u64 {
    let frames = thread.stack.frames.iter().filter_map(|&index| frames.get(usize::try_from(index).ok()?));
    // As FNV-1a does it, with numbers in place of bytes.
    frames.filter(|frame| !frame.inlined).fold(0xcbf2_9ce4_8422_2325, |hash: u64, frame| {
        (hash ^ frame.address).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}
