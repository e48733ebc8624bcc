//! Which of the wanted locks the frames of one stack will release.

use super::Unwinder;
use super::memory::{Memory, Piece};
use super::releases::{Frame, Releases};
use crate::capture::linux::arch::Registers;
use crate::capture::{Address, FrameUse, Held, LockUse, PurposeOf, Wanted};

/// Searches the stacks of a report.
pub(crate) struct LockSearch {
    releases: Releases,
}

impl LockSearch {
    pub(crate) fn new() -> Self {
        Self { releases: Releases::new() }
    }

    /// The wanted locks that a thread holds. `registers` has those of its first frames, and
    /// `stack` a copy of its stack.
    pub(crate) fn run(
        &mut self,
        unwinder: &mut Unwinder,
        (addresses, registers): (&[Address], &[Registers]),
        stack: Piece<'_>,
        (used, wanted): (&LockUse, &[Wanted]),
        purpose_of: &mut PurposeOf<'_>,
    ) -> Vec<Held> {
        let mut held = Vec::new();
        for &lock in wanted {
            let is_mentioned = contains(stack.1, lock.address);
            let mut pending = used.has_given_up_one || used.waits_for == Some(lock.address);
            for (frame, registers_here) in registers.iter().enumerate().skip(1) {
                let Some(&at @ Address::Return(address)) = addresses.get(frame) else { continue };
                let found = match used.frames.get(frame) {
                    Some(FrameUse::Once) if lock.is_once => {
                        let is_this = registers.get(frame + 1).is_some_and(|caller| {
                            let own = part(stack, registers_here.sp(), caller.sp());
                            refers_to(registers_here, caller, own, lock.address)
                        });
                        // The innermost one waits; the others run an initialization.
                        let waits = std::mem::take(&mut pending);
                        (is_this && !waits).then_some(true)
                    }
                    Some(FrameUse::Program) if !lock.is_once => {
                        let Ok(rule) = unwinder.rule(at) else { continue };
                        if !is_mentioned && !self.releases.are_in(rule.function) {
                            continue;
                        }
                        let frame = Frame { function: rule.function, address, registers: registers_here };
                        let mut function_of = |start: u64| {
                            let rule = unwinder.rule(Address::Exact(start)).ok()?;
                            Some(rule.function).filter(|function| function.0 == start)
                        };
                        let memory = Memory::new(std::slice::from_ref(&stack));
                        let calls = (&mut function_of as &mut _, &mut *purpose_of);
                        let release = self.releases.search(&frame, lock, &mut pending, &memory, calls);
                        release.map(|release| release.on_all_paths)
                    }
                    _ => None,
                };
                if let Some(is_certain) = found {
                    held.push(Held { thread: 0, lock: lock.address, frame, is_certain });
                    break;
                }
            }
        }
        held
    }
}

/// Whether one of the words is this one.
fn contains(bytes: &[u8], word: u64) -> bool {
    bytes.chunks_exact(8).any(|chunk| chunk == word.to_ne_bytes())
}

/// The part of a stack between two addresses.
fn part((start, bytes): Piece<'_>, from: u64, to: u64) -> &[u8] {
    let offset = |address: u64| usize::try_from(address.saturating_sub(start)).unwrap_or(usize::MAX);
    bytes.get(offset(from)..offset(to).min(bytes.len())).unwrap_or_default()
}

/// Whether a frame has this word, in a register that it preserves or on its stack, and has not
/// saved it for its caller.
fn refers_to(registers: &Registers, caller: &Registers, stack: &[u8], word: u64) -> bool {
    let has = |registers: &Registers, register| registers.get(register) == Some(word);
    let is_own =
        |register| has(registers, register) && caller.get(register).is_some_and(|value| value != word);
    (0..16).any(is_own) || (!(0..16).any(|register| has(caller, register)) && contains(stack, word))
}
