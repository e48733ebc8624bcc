//! The values of registers and memory along a path through the code of a function, as far as they
//! are known. It knows nothing of locks.

use std::cell::RefCell;

use super::super::instruction::Effect;
use super::super::memory::Memory;
use super::super::operands::{Operation, Place, RBP, RSP, Source};
use crate::sys::hash::NumberMap;
use crate::sys::linux::memory;

/// How many places in memory a path may write to.
const MAX_WRITES: usize = 256;

/// The memory that a path reads: a copy of the thread's stack, and words elsewhere. What the code
/// of different threads refers to is often the same, and is read once.
pub(super) struct Seen<'a> {
    pub(super) stack: &'a Memory<'a>,
    pub(super) elsewhere: &'a RefCell<Elsewhere>,
}

/// Words by their addresses. `None` if they cannot be read.
pub(super) type Elsewhere = NumberMap<Option<u64>>;

impl Seen<'_> {
    fn is_on_stack(&self, address: u64) -> bool {
        self.stack.word(address).is_ok()
    }

    fn word(&self, address: u64) -> Option<u64> {
        if let Ok(word) = self.stack.word(address) {
            return Some(word);
        }
        if !address.is_multiple_of(8) {
            return None;
        }
        *self.elsewhere.borrow_mut().entry(address, || {
            let mut word = [0; 8];
            let is_read = memory::read_ready(address, &mut word, None) == 8;
            is_read.then(|| u64::from_ne_bytes(word))
        })
    }
}

/// One path through a function.
#[derive(Clone)]
pub(super) struct Path {
    pub(super) offset: usize,
    /// The values of the registers that are known.
    pub(super) registers: [Option<u64>; 16],
    /// What it has written to memory, in order.
    pub(super) written: Vec<Written>,
    /// Whether the first release may be that of the lock that the thread waits for.
    pub(super) pending: bool,
    /// Whether that release has been met.
    pub(super) has_released_pending: bool,
    /// Whether the lock that is searched for has been released.
    pub(super) has_released: bool,
    /// Objects that were passed to a call, which may have put another one there.
    pub(super) given: Vec<u64>,
}

/// A write to memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The word that was written, if it is one and is known.
    pub(super) word: Option<u64>,
}

impl Path {
    /// Forgets what is between an address that was passed to a function and `end`, and that an object
    /// begins there.
    pub(super) fn give(&mut self, address: u64, end: u64) {
        self.given.push(address);
        self.written.push(Written { start: address, end, word: None });
    }

    /// The value that an instruction writes, if it is known.
    pub(super) fn value(&self, source: Source, memory: &Seen<'_>) -> Option<u64> {
        match source {
            Source::Word(Place::Register(from)) => self.register(from),
            Source::Word(from) => self.address(from).and_then(|from| self.word(from, memory)),
            Source::AddressOf(of) => self.address(of),
            Source::Constant(value) => Some(value),
            Source::Plus(_) | Source::Unknown => None,
        }
    }

    pub(super) fn register(&self, register: u8) -> Option<u64> {
        *self.registers.get(usize::from(register))?
    }

    pub(super) fn set(&mut self, register: u8, value: Option<u64>) {
        if let Some(place) = self.registers.get_mut(usize::from(register)) {
            *place = value;
        }
    }

    pub(super) fn address(&self, place: Place) -> Option<u64> {
        match place {
            Place::Relative(base, distance) => Some(self.register(base)?.wrapping_add_signed(distance)),
            Place::Absolute(address) => Some(address),
            Place::Register(_) | Place::Unknown => None,
        }
    }

    /// The eight bytes at this address, if they are known and on the stack.
    pub(super) fn word_on_stack(&self, address: u64, memory: &Seen<'_>) -> Option<u64> {
        if memory.is_on_stack(address) { self.word(address, memory) } else { None }
    }

    /// The eight bytes at this address, if they are known.
    pub(super) fn word(&self, address: u64, memory: &Seen<'_>) -> Option<u64> {
        let end = address.checked_add(8)?;
        let mut written = self.written.iter().rev();
        if let Some(last) = written.find(|written| written.start < end && address < written.end) {
            return last.word.filter(|_| (last.start, last.end) == (address, end));
        }
        memory.word(address)
    }

    /// Carries out an instruction. False if the path cannot be followed any further.
    pub(super) fn step(&mut self, operation: &Operation, effect: Effect, memory: &Seen<'_>) -> bool {
        let (rsp, rbp) = (self.register(RSP), self.register(RBP));
        if let Some((place, size, source)) = operation.write {
            let value = match (source, place) {
                (Source::Plus(distance), Place::Register(own)) => {
                    self.register(own).map(|value| value.wrapping_add_signed(distance))
                }
                _ => self.value(source, memory),
            };
            if let Place::Register(register) = place {
                self.set(register, value);
            } else if let Some(address) = self.address(place) {
                let word = value.filter(|_| size == 8);
                self.written.push(Written { start: address, end: address.saturating_add(size), word });
            }
        }
        for register in (0..16).filter(|register| operation.lost >> register & 1 == 1) {
            self.set(register, None);
        }
        // Copies go to memory that has not been seen before, as far as this matters: a stale guard
        // may not count, so nothing on the stack does.
        if operation.copies {
            self.written.push(Written { start: 0, end: u64::MAX, word: None });
        }
        let after =
            |pointer: Option<u64>, distance: i64| pointer.map(|value| value.wrapping_add_signed(distance));
        match effect {
            Effect::AddToStack(distance) => self.set(RSP, after(rsp, distance)),
            Effect::Align(to) => self.set(RSP, rsp.map(|rsp| rsp & to.wrapping_neg())),
            Effect::SetFrame(distance) => self.set(RBP, after(rsp, distance)),
            Effect::StackFromFrame(distance) => self.set(RSP, after(rbp, distance)),
            Effect::PopFrame => {
                self.set(RBP, None);
                self.set(RSP, after(rsp, 8));
            }
            Effect::Leave => {
                self.set(RBP, None);
                self.set(RSP, after(rbp, 8));
            }
            Effect::Unclear => self.set(RSP, None),
            Effect::None | Effect::Call(_) | Effect::Jump(_) | Effect::Branch(_) | Effect::End => {}
        }
        self.written.len() < MAX_WRITES
    }
}
