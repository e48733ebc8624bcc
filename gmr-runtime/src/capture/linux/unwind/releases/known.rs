//! What is known of code, for all frames of a report: what does not depend on registers is found once.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::instruction::{Code, Effect, Target};
use super::super::operands::{self, Atomic, Operation};
use super::super::prologue;
use super::code::{Arguments, is_compared, is_return, range, read};
use super::filled::may_fill;
use super::path::Elsewhere;
use crate::sys::hash::NumberMap;

/// How many instructions are followed in all, for one report.
const MAX_ALL_STEPS: usize = 500_000;
/// How many instructions are kept: two megabytes.
const MAX_INSTRUCTIONS: usize = 16 << 10;

/// What is known of code, and how much more may be followed. Threads of a pool have the same frames,
/// so what does not depend on their registers is found once.
pub(in super::super) struct Releases {
    /// Instructions by their addresses, as far as they are kept.
    instructions: NumberMap<Option<Instruction>>,
    /// The code of functions, by their first address. `None` if it cannot be read.
    code: NumberMap<Option<Rc<[u8]>>>,
    summaries: NumberMap<Option<Summary>>,
    /// Which functions may fill an object, by their first address.
    filling: NumberMap<bool>,
    /// What may have been passed to the call before a return address. `None` if that is not known.
    pub(super) arguments: NumberMap<Option<Arguments>>,
    /// Where calls and jumps end up, by the address of the code or of the slot that they name.
    destinations: NumberMap<Target>,
    pub(super) elsewhere: Rc<RefCell<Elsewhere>>,
    pub(super) steps_left: usize,
}

/// What the code of a function contains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    /// Whether it can return.
    pub(super) returns: bool,
    pub(super) acquires: bool,
    pub(super) releases: bool,
}

/// The length of an instruction, what it does to the stack and the flow of control, and what else.
pub(super) type Instruction = (usize, Effect, Operation);

/// The function that an address is in.
pub(in super::super) type FunctionOf<'a> = dyn FnMut(u64) -> Option<(u64, u64)> + 'a;

impl Releases {
    pub(in super::super) fn new() -> Self {
        Self {
            instructions: NumberMap::default(),
            code: NumberMap::default(),
            summaries: NumberMap::default(),
            filling: NumberMap::default(),
            arguments: NumberMap::default(),
            destinations: NumberMap::default(),
            elsewhere: Rc::default(),
            steps_left: MAX_ALL_STEPS,
        }
    }

    /// Whether the function that begins at `start` has an instruction that releases a lock.
    pub(in super::super) fn are_in(&mut self, function: (u64, u64)) -> bool {
        self.summary(function).is_some_and(|summary| summary.releases)
    }

    /// The instruction at an offset of this code.
    pub(super) fn instruction(&mut self, code: &Code<'_>, offset: usize) -> Option<Instruction> {
        let address = code.start.wrapping_add(offset as u64);
        if let Some(known) = self.instructions.get(address) {
            return *known;
        }
        let instruction = operands::operation(code, offset);
        if self.instructions.values().len() < MAX_INSTRUCTIONS {
            self.instructions.insert(address, instruction);
        }
        instruction
    }

    /// The code of a function.
    pub(super) fn code_of(&mut self, function: (u64, u64)) -> Option<Rc<[u8]>> {
        self.code.entry(function.0, || read(function).map(Rc::from)).clone()
    }

    pub(super) fn summary(&mut self, function: (u64, u64)) -> Option<Summary> {
        if let Some(known) = self.summaries.get(function.0) {
            return *known;
        }
        let bytes = self.code_of(function);
        let summary = bytes.and_then(|bytes| self.summarize(&Code { start: function.0, bytes: &bytes }));
        self.summaries.insert(function.0, summary);
        summary
    }

    fn summarize(&mut self, code: &Code<'_>) -> Option<Summary> {
        let mut summary = Summary { returns: false, acquires: false, releases: false };
        let mut offset = 0;
        while offset < code.bytes.len() {
            self.steps_left = self.steps_left.checked_sub(1)?;
            let (length, effect, operation) = operands::operation(code, offset)?;
            summary.returns |= match effect {
                Effect::End => is_return(code, offset),
                Effect::Jump(Target::Code(to)) => !range(code).contains(&to),
                Effect::Jump(_) => true,
                _ => false,
            };
            match operation.atomic {
                Some(Atomic::CompareExchange) => summary.acquires = true,
                Some(Atomic::Exchange(register)) => {
                    summary.releases |= is_compared(code, offset + length, register);
                }
                Some(Atomic::Add(_)) => summary.releases = true,
                None => {}
            }
            offset += length;
        }
        Some(summary)
    }

    /// Whether this function may write to more than the first words of the object whose address it is
    /// given first.
    pub(super) fn may_fill(&mut self, function: (u64, u64)) -> bool {
        if let Some(known) = self.filling.get(function.0) {
            return *known;
        }
        let bytes = self.code_of(function);
        let fills = bytes.is_none_or(|bytes| may_fill(&Code { start: function.0, bytes: &bytes }));
        self.filling.insert(function.0, fills);
        fills
    }

    pub(super) fn destination(&mut self, target: Target) -> Target {
        match target {
            Target::Code(address) | Target::Slot(address) => {
                *self.destinations.entry(address, || prologue::destination(target))
            }
            Target::Unknown => target,
        }
    }
}
