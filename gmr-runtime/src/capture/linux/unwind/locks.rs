//! Which of the wanted locks the frames of one stack will release.

use super::Unwinder;
use super::memory::{Memory, Piece};
use super::releases::{Frame, Releases};
use crate::capture::linux::arch::Registers;
use crate::capture::{Address, FrameUse, Held, LockUse, PurposeOf, Wanted};
use crate::sys::hash::NumberMap;

/// Searches the stacks of a report.
pub(crate) struct LockSearch {
    releases: Releases,
    /// The function that a return address is in, if a lock can be released after it. The stacks of a
    /// report have most of their addresses in common.
    functions: NumberMap<Option<(u64, u64)>>,
}

impl LockSearch {
    pub(crate) fn new() -> Self {
        Self { releases: Releases::new(), functions: NumberMap::default() }
    }

    /// The frames with these addresses that can hold one of the wanted locks, innermost first.
    pub(crate) fn frames(
        &mut self,
        unwinder: &mut Unwinder,
        addresses: &[Address],
        used: &LockUse,
        wanted: &[Wanted],
    ) -> Vec<Suspect> {
        let [are_once, are_other] =
            [true, false].map(|is_once| wanted.iter().any(|lock| lock.is_once == is_once));
        // The innermost frame is in the system call.
        let all = addresses.iter().zip(&*used.frames).enumerate().skip(1);
        let suspects = all.filter_map(|(frame, (&at, use_of))| {
            let Address::Return(address) = at else { return None };
            let code = match use_of {
                FrameUse::Once if are_once => Some(None),
                FrameUse::Program if are_other => {
                    let releases = &mut self.releases;
                    let function = *self.functions.entry(address, || {
                        let function = unwinder.rule(at).ok()?.function;
                        let mut function_of = function_of(unwinder);
                        releases.are_possible(address, function, &mut function_of).then_some(function)
                    });
                    Some(Some((function?, address)))
                }
                _ => None,
            };
            code.map(|code| Suspect { frame, code })
        });
        suspects.collect()
    }

    /// The wanted locks that a thread holds in these frames. `registers` has those of its first
    /// frames, and `stack` a copy of its stack.
    pub(crate) fn run(
        &mut self,
        unwinder: &mut Unwinder,
        (suspects, registers): (&[Suspect], &[Registers]),
        stack: Piece<'_>,
        (used, wanted): (&LockUse, &[Wanted]),
        purpose_of: &mut PurposeOf<'_>,
    ) -> Vec<Held> {
        let mut held = Vec::new();
        let memory = Memory::new(std::slice::from_ref(&stack));
        for (&lock, is_mentioned) in wanted.iter().zip(mentioned(stack.1, wanted)) {
            let mut pending = used.has_given_up_one || used.waits_for == Some(lock.address);
            for &Suspect { frame, code } in suspects {
                let Some(registers_here) = registers.get(frame) else { break };
                let found = match code {
                    None if lock.is_once => {
                        let is_this = registers.get(frame + 1).is_some_and(|caller| {
                            let own = part(stack, registers_here.sp(), caller.sp());
                            refers_to(registers_here, caller, own, lock.address)
                        });
                        // The innermost one waits; the others run an initialization.
                        let waits = std::mem::take(&mut pending);
                        (is_this && !waits).then_some(true)
                    }
                    Some((function, address))
                        if !lock.is_once && (is_mentioned || self.releases.are_in(function)) =>
                    {
                        let end = registers.get(frame + 1).map_or(0, Registers::sp);
                        let called = called(unwinder, registers, frame);
                        let frame = Frame { function, address, registers: registers_here, end, called };
                        let calls = (&mut function_of(unwinder) as &mut _, &mut *purpose_of);
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

/// A frame that can hold a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect {
    /// Its index among all frames of its stack.
    pub(crate) frame: usize,
    /// The function of the program that it is in, and the address at which it goes on. `None` if it
    /// initializes a value.
    code: Option<((u64, u64), u64)>,
}

#[cfg(test)]
impl Suspect {
    pub(crate) fn at(frame: usize) -> Self {
        Self { frame, code: None }
    }
}

/// Where the function begins that a frame has called.
fn called(unwinder: &mut Unwinder, registers: &[Registers], frame: usize) -> Option<u64> {
    let inner = frame.checked_sub(1)?;
    let at = registers.get(inner)?.ip();
    let at = if inner == 0 { Address::Exact(at) } else { Address::Return(at) };
    Some(unwinder.rule(at).ok()?.function.0)
}

/// The function that begins at an address.
fn function_of(unwinder: &mut Unwinder) -> impl FnMut(u64) -> Option<(u64, u64)> {
    |start| {
        let rule = unwinder.rule(Address::Exact(start)).ok()?;
        Some(rule.function).filter(|function| function.0 == start)
    }
}

/// Whether the address of each lock is one of these words.
fn mentioned(bytes: &[u8], wanted: &[Wanted]) -> Vec<bool> {
    let mut mentioned = vec![false; wanted.len()];
    let addresses = || wanted.iter().map(|lock| lock.address);
    let (Some(first), Some(last)) = (addresses().min(), addresses().max()) else { return mentioned };
    for word in bytes.chunks_exact(8).filter_map(|word| word.first_chunk()) {
        let word = u64::from_ne_bytes(*word);
        if (first..=last).contains(&word)
            && let Some(lock) = addresses().position(|address| address == word)
        {
            mentioned[lock] = true;
        }
    }
    mentioned
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
