//! Whether the code that a frame returns to will release a lock, without having acquired it first.
//! If so, the thread holds the lock.
//!
//! From a frame's return address, all paths through its function are followed, with the values of
//! its registers and of its stack. A release is an instruction that std's locks have in their
//! `unlock`, with the lock's address as its operand; or a call that drops a guard of the lock. A
//! path ends where the lock is acquired or may be, and where nothing is known of what follows.
//!
//! What a stack has left over from before is not a guard: a function can return one to a place that
//! had another one. So whatever is passed to a function is not known after the call, nor is what is
//! passed to the call that the frame is in.

mod path;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use self::path::{Elsewhere, Path, Seen};
use super::instruction::{Code, Effect, Target};
use super::memory::Memory;
use super::operands::{self, Atomic, Operation, Place, RDI, RDX, RSI, RSP, SCRATCH, Source};
use super::prologue;
use crate::capture::linux::arch::Registers;
use crate::capture::{Guard, Purpose, PurposeOf, Wanted};
use crate::sys::hash::NumberMap;
use crate::sys::linux::memory;

/// The DWARF numbers of the registers, by their numbers in instructions.
const DWARF: [usize; 16] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

/// How many instructions are followed for one frame and one lock.
const MAX_STEPS: usize = 4_000;
/// How many instructions are followed in all, for one report.
const MAX_ALL_STEPS: usize = 500_000;
/// How many instructions are kept: two megabytes.
const MAX_INSTRUCTIONS: usize = 16 << 10;
/// A function with more code is not followed.
const MAX_CODE: u64 = 64 << 10;
/// How many words of an object that is dropped are searched for a guard.
const MAX_OBJECT: u64 = 16;
/// How deep objects with guards may be nested.
const MAX_DEPTH: usize = 3;

/// The registers that arguments are passed in, as far as the address of an object is among them
/// that the function returns or writes to.
const ARGUMENTS: [u8; 3] = [RDI, RSI, RDX];

/// A release that lies on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Release {
    /// Whether all paths from the frame to the end of its function release the lock.
    pub(super) on_all_paths: bool,
}

/// A frame, and the function that it is in.
pub(super) struct Frame<'a> {
    pub(super) function: (u64, u64),
    /// Where it goes on.
    pub(super) address: u64,
    pub(super) registers: &'a Registers,
}

/// What is known of code, and how much more may be followed. Threads of a pool have the same frames,
/// so what does not depend on their registers is found once.
pub(super) struct Releases {
    /// Instructions by their addresses, as far as they are kept.
    instructions: NumberMap<Option<Instruction>>,
    /// The code of functions, by their first address. `None` if it cannot be read.
    code: NumberMap<Option<Rc<[u8]>>>,
    summaries: NumberMap<Option<Summary>>,
    /// What may have been passed to the call before a return address. `None` if that is not known.
    arguments: NumberMap<Option<Rc<[Source]>>>,
    /// Whether a release can follow a return address, whatever the registers are.
    possible: NumberMap<bool>,
    /// Where calls and jumps end up, by the address of the code or of the slot that they name.
    destinations: NumberMap<Target>,
    elsewhere: Rc<RefCell<Elsewhere>>,
    steps_left: usize,
}

/// What the code of a function contains.
#[derive(Debug, Clone, Copy)]
struct Summary {
    /// Whether it can return.
    returns: bool,
    acquires: bool,
    releases: bool,
}

/// The length of an instruction, what it does to the stack and the flow of control, and what else.
type Instruction = (usize, Effect, Operation);

/// The function that an address is in.
pub(super) type FunctionOf<'a> = dyn FnMut(u64) -> Option<(u64, u64)> + 'a;

impl Releases {
    pub(super) fn new() -> Self {
        Self {
            instructions: NumberMap::default(),
            code: NumberMap::default(),
            summaries: NumberMap::default(),
            arguments: NumberMap::default(),
            possible: NumberMap::default(),
            destinations: NumberMap::default(),
            elsewhere: Rc::default(),
            steps_left: MAX_ALL_STEPS,
        }
    }

    /// Whether the function that begins at `start` has an instruction that releases a lock.
    pub(super) fn are_in(&mut self, function: (u64, u64)) -> bool {
        self.summary(function).is_some_and(|summary| summary.releases)
    }

    /// The instruction at an offset of this code.
    fn instruction(&mut self, code: &Code<'_>, offset: usize) -> Option<Instruction> {
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
    fn code_of(&mut self, function: (u64, u64)) -> Option<Rc<[u8]>> {
        self.code.entry(function.0, || read(function).map(Rc::from)).clone()
    }

    fn summary(&mut self, function: (u64, u64)) -> Option<Summary> {
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

    fn destination(&mut self, target: Target) -> Target {
        match target {
            Target::Code(address) | Target::Slot(address) => {
                *self.destinations.entry(address, || prologue::destination(target))
            }
            Target::Unknown => target,
        }
    }

    /// Whether the code that goes on at this return address, in this function, may release a lock at
    /// all: whether a search can find something, with some registers.
    pub(super) fn are_possible(
        &mut self,
        address: u64,
        function: (u64, u64),
        function_of: &mut FunctionOf<'_>,
    ) -> bool {
        if let Some(known) = self.possible.get(address) {
            return *known;
        }
        let is_possible = self.leads_to_release(address, function, function_of);
        self.possible.insert(address, is_possible);
        is_possible
    }

    fn leads_to_release(
        &mut self,
        address: u64,
        function: (u64, u64),
        function_of: &mut FunctionOf<'_>,
    ) -> bool {
        let Some(bytes) = self.code_of(function) else { return false };
        let code = Code { start: function.0, bytes: &bytes };
        let mut paths: Vec<usize> = code.offset_of(address).into_iter().collect();
        let mut visited = Visited::none(code.bytes.len());
        while let Some(mut offset) = paths.pop() {
            while visited.insert(offset, false) {
                let Some(steps_left) = self.steps_left.checked_sub(1) else { return true };
                self.steps_left = steps_left;
                let Some((length, effect, operation)) = operands::operation(&code, offset) else { break };
                if matches!(operation.atomic, Some(Atomic::Exchange(_) | Atomic::Add(_))) {
                    return true;
                }
                let (Effect::Call(target) | Effect::Jump(target)) = effect else {
                    match effect {
                        Effect::End => break,
                        Effect::Branch(to) => paths.extend(code.offset_of(to)),
                        _ => {}
                    }
                    offset += length;
                    continue;
                };
                if let (Effect::Jump(_), Target::Code(to)) = (effect, target)
                    && let Some(there) = code.offset_of(to)
                {
                    offset = there;
                    continue;
                }
                match self.destination(target) {
                    // After one that does not return, nothing follows.
                    Target::Code(called) => {
                        let summary = function_of(called).and_then(|called| self.summary(called));
                        if summary.is_none_or(|summary| summary.returns) {
                            return true;
                        }
                    }
                    // Of other calls it is not known whether they acquire the lock.
                    _ if register_called(&code, offset).is_some() => return true,
                    _ => {}
                }
                break;
            }
        }
        false
    }

    /// Searches for a release of the lock. `pending` is set if the thread waits for this very lock:
    /// the first release that is found then belongs to that, and it is cleared.
    pub(super) fn search(
        &mut self,
        frame: &Frame<'_>,
        wanted: Wanted,
        pending: &mut bool,
        stack: &Memory<'_>,
        (function_of, purpose_of): (&mut FunctionOf<'_>, &mut PurposeOf<'_>),
    ) -> Option<Release> {
        let bytes = self.code_of(frame.function)?;
        let code = Code { start: frame.function.0, bytes: &bytes };
        let start = usize::try_from(frame.address.checked_sub(code.start)?).ok()?;
        let arguments = self.arguments.entry(frame.address, || arguments_before(&code, start)).clone()?;
        let registers = DWARF.map(|register| frame.registers.get(register));
        let mut path = Path {
            offset: start,
            registers,
            written: Vec::new(),
            pending: *pending,
            has_released_pending: false,
            given: Vec::new(),
        };
        let elsewhere = Rc::clone(&self.elsewhere);
        let memory = Seen { stack, elsewhere: &elsewhere };
        for &source in &*arguments {
            if let Some(address) = path.value(source, &memory).filter(|address| *address != wanted.address) {
                path.give(address);
            }
        }
        let mut search = Search {
            releases: self,
            code: &code,
            wanted,
            memory: &memory,
            function_of,
            purpose_of,
            paths: vec![path],
            visited: Visited::none(code.bytes.len()),
            depth: 0,
            is_found: false,
            has_other_end: false,
            has_met_pending: false,
        };
        search.run();
        let Search { is_found, has_other_end, has_met_pending, .. } = search;
        *pending &= !has_met_pending;
        is_found.then_some(Release { on_all_paths: !has_other_end })
    }
}

/// What a path comes to.
enum Met {
    Nothing,
    /// The lock is released. This can be the lock that the thread waits for.
    Release,
    /// A guard is dropped that the thread has already.
    ReleaseOfOwn,
    /// The lock is acquired, or may be.
    Acquire,
    /// A call that does not return.
    Never,
}

struct Search<'a, 's, 'f, 'p> {
    releases: &'a mut Releases,
    code: &'a Code<'a>,
    wanted: Wanted,
    memory: &'a Seen<'s>,
    function_of: &'a mut FunctionOf<'f>,
    purpose_of: &'a mut PurposeOf<'p>,
    /// Those that are still to be followed.
    paths: Vec<Path>,
    visited: Visited,
    /// How many functions that drop objects it is in.
    depth: usize,
    is_found: bool,
    /// Whether a path leads to the end of the function, or cannot be followed, without a release.
    has_other_end: bool,
    has_met_pending: bool,
}

/// Where paths have been, one place for each byte of the code: with a release pending, and without.
struct Visited(Vec<[bool; 2]>);

impl Visited {
    fn none(length: usize) -> Self {
        Self(vec![[false; 2]; length + 1])
    }

    /// False if a path has been there, or if it is beyond the code.
    fn insert(&mut self, offset: usize, pending: bool) -> bool {
        let place = self.0.get_mut(offset).map(|place| &mut place[usize::from(pending)]);
        place.is_some_and(|was_there| !std::mem::replace(was_there, true))
    }
}

impl Search<'_, '_, '_, '_> {
    fn run(&mut self) {
        let mut steps = 0;
        while let Some(mut path) = self.paths.pop() {
            while self.visited.insert(path.offset, path.pending) {
                steps += 1;
                let is_over = steps > MAX_STEPS || self.releases.steps_left == 0;
                if is_over || !self.follow(&mut path) {
                    self.has_other_end |= is_over;
                    break;
                }
                self.releases.steps_left -= 1;
            }
        }
    }

    /// Follows a path by one instruction. False if it ends.
    fn follow(&mut self, path: &mut Path) -> bool {
        let Some((length, effect, operation)) = self.releases.instruction(self.code, path.offset) else {
            self.has_other_end = true;
            return false;
        };
        let met = match (effect, operation.atomic) {
            (Effect::Call(target), _) => self.call(path, target),
            (Effect::Jump(target), _) if !self.is_within(target) => self.call(path, target),
            (_, Some(atomic)) => self.atomic(path, &operation, atomic, path.offset + length),
            _ => Met::Nothing,
        };
        match met {
            Met::Release if path.pending => {
                path.pending = false;
                path.has_released_pending = true;
                self.has_met_pending = true;
            }
            Met::Release | Met::ReleaseOfOwn => {
                self.is_found = true;
                return false;
            }
            Met::Acquire => {
                self.has_other_end = true;
                return false;
            }
            Met::Never => return false,
            Met::Nothing => {}
        }
        let offset = path.offset;
        if !path.step(&operation, effect, self.memory) {
            self.has_other_end = true;
            return false;
        }
        path.offset += length;
        match effect {
            Effect::Call(_) => {
                for register in (0..16).filter(|register| SCRATCH >> register & 1 == 1) {
                    path.set(register, None);
                }
            }
            Effect::Branch(to) => match self.code.offset_of(to) {
                Some(there) => self.paths.push(Path { offset: there, ..path.clone() }),
                None => self.has_other_end = true,
            },
            Effect::Jump(Target::Code(to)) if self.is_within(Target::Code(to)) => {
                path.offset = self.code.offset_of(to).unwrap_or(path.offset);
            }
            Effect::Jump(_) => {
                self.has_other_end = true;
                return false;
            }
            Effect::End => {
                self.has_other_end |= is_return(self.code, offset);
                return false;
            }
            _ => {}
        }
        true
    }

    fn is_within(&self, target: Target) -> bool {
        matches!(target, Target::Code(to) if range(self.code).contains(&to))
    }

    /// What a call or a jump to another function does.
    fn call(&mut self, path: &mut Path, target: Target) -> Met {
        /// The system call `futex`, and the operation to wake threads, below its flags.
        const FUTEX: u64 = 202;
        const OPERATION: u64 = 0x7f;
        const WAKE: u64 = 1;
        // A function that is not known may acquire the lock.
        let target = match self.releases.destination(target) {
            Target::Code(target) => target,
            // Debug builds load the addresses of functions in other crates before they call them.
            _ => match register_called(self.code, path.offset).and_then(|register| path.register(register)) {
                Some(target) => target,
                None => return Met::Acquire,
            },
        };
        let lock = self.wanted.address;
        let object = path.register(RDI);
        // Where std's `wake` is inlined.
        if object == Some(FUTEX) && path.register(RSI) == Some(lock) {
            let wakes = path.register(RDX).is_some_and(|operation| operation & OPERATION == WAKE);
            if wakes && (self.purpose_of)(target) == Purpose::SystemCall {
                return Met::Nothing;
            }
        }
        let is_known = object.is_none_or(|object| !path.given.contains(&object));
        let is_lock = object == Some(lock) || path.register(RSI) == Some(lock);
        let word = |address: u64| path.word(address, self.memory);
        // What is dropped: a guard, a box with a guard, or a struct with one.
        let has_guard = object.filter(|_| is_known).is_some_and(|object| {
            let mut words = (0..MAX_OBJECT).map_while(|index| object.checked_add(8 * index));
            words.any(|address| path.word_on_stack(address, self.memory) == Some(lock))
                || [Some(object), object.checked_add(8)]
                    .into_iter()
                    .flatten()
                    .any(|at| word(at) == Some(lock))
                || word(object).and_then(word) == Some(lock)
        });
        if is_lock || has_guard {
            match (self.purpose_of)(target) {
                Purpose::Unlock if is_lock => return Met::Release,
                Purpose::DropGuard(guard) if is_known && self.is_of_lock(path, guard) => {
                    return Met::ReleaseOfOwn;
                }
                Purpose::Drop if has_guard && self.drops_guard(path, target) => return Met::Release,
                Purpose::Acquire if is_lock => return Met::Acquire,
                Purpose::Look | Purpose::Wake => return Met::Nothing,
                _ => {}
            }
        }
        if path.has_released_pending
            && !matches!((self.purpose_of)(target), Purpose::Drop | Purpose::Look | Purpose::Wake)
        {
            let returns = (self.function_of)(target).and_then(|function| self.releases.summary(function));
            return if returns.is_some_and(|summary| !summary.returns) { Met::Never } else { Met::Acquire };
        }
        for register in ARGUMENTS {
            if let Some(address) = path.register(register).filter(|address| *address != lock) {
                path.give(address);
            }
        }
        let summary = (self.function_of)(target).and_then(|function| self.releases.summary(function));
        match summary {
            Some(Summary { returns: false, .. }) => Met::Never,
            // A function that returns a guard.
            Some(Summary { acquires: true, releases: false, .. })
                if (self.purpose_of)(target) != Purpose::Wake =>
            {
                Met::Acquire
            }
            _ => Met::Nothing,
        }
    }

    /// Whether the guard that a function is given is of the lock.
    fn is_of_lock(&self, path: &Path, guard: Guard) -> bool {
        let found = if guard.by_value {
            path.register(if guard.word == 0 { RDI } else { RSI })
        } else {
            let object = path.register(RDI);
            let at = object.and_then(|object| object.checked_add(8 * u64::from(guard.word)));
            at.and_then(|at| path.word(at, self.memory))
        };
        found == Some(self.wanted.address)
    }

    /// Whether the code that drops an object drops a guard of the lock in it.
    fn drops_guard(&mut self, path: &Path, target: u64) -> bool {
        let function = (self.function_of)(target).filter(|_| self.depth < MAX_DEPTH);
        let Some(bytes) = function.and_then(|function| self.releases.code_of(function)) else { return false };
        let code = Code { start: target, bytes: &bytes };
        let mut registers = path.registers;
        if let Some(rsp) = registers.get_mut(usize::from(RSP)) {
            *rsp = rsp.map(|rsp| rsp.wrapping_sub(8));
        }
        let path = Path { offset: 0, registers, pending: false, ..path.clone() };
        let mut search = Search {
            releases: &mut *self.releases,
            code: &code,
            wanted: self.wanted,
            memory: self.memory,
            function_of: &mut *self.function_of,
            purpose_of: &mut *self.purpose_of,
            paths: vec![path],
            visited: Visited::none(code.bytes.len()),
            depth: self.depth + 1,
            is_found: false,
            has_other_end: false,
            has_met_pending: false,
        };
        search.run();
        search.is_found && !search.has_other_end
    }

    /// What an operation does that locks use.
    fn atomic(&self, path: &Path, operation: &Operation, atomic: Atomic, next: usize) -> Met {
        /// What the word of a lock is changed by when a reader or a writer releases it.
        const UNLOCKS: [u64; 2] = [0xffff_ffff, 0xc000_0001];
        let Some((place, ..)) = operation.write else { return Met::Nothing };
        let address = path.address(place);
        let is_lock = address == Some(self.wanted.address);
        match atomic {
            Atomic::CompareExchange if is_lock || address.is_none() => Met::Acquire,
            Atomic::Exchange(register) if is_lock && is_compared(self.code, next, register) => Met::Release,
            Atomic::Add(register) if is_lock && self.wanted.is_shared => {
                let added = path.register(register).map(|value| value & u64::from(u32::MAX));
                if added.is_some_and(|added| UNLOCKS.contains(&added)) { Met::Release } else { Met::Nothing }
            }
            _ => Met::Nothing,
        }
    }
}

/// What may have been passed in [`ARGUMENTS`] to the call that returns to this offset. `None` if
/// the code before it cannot be read.
fn arguments_before(code: &Code<'_>, end: usize) -> Option<Rc<[Source]>> {
    let mut sources = Vec::new();
    let mut offset = 0;
    while offset < end {
        let (length, effect, operation) = operands::operation(code, offset)?;
        offset += length;
        match (effect, operation.write) {
            // What was passed to an earlier call is lost.
            (Effect::Call(_), _) if offset < end => sources.clear(),
            (_, Some((Place::Register(register), _, source))) if ARGUMENTS.contains(&register) => {
                sources.push(source);
            }
            _ => {}
        }
    }
    (offset == end).then(|| sources.into())
}

/// The register with the address that the instruction at this offset calls or jumps to.
fn register_called(code: &Code<'_>, offset: usize) -> Option<u8> {
    match *code.bytes.get(offset..)? {
        [0x41, 0xff, to @ (0xd0..=0xd7 | 0xe0..=0xe7), ..] => Some(8 + (to & 7)),
        [0xff, to @ (0xd0..=0xd7 | 0xe0..=0xe7), ..] => Some(to & 7),
        _ => None,
    }
}

fn range(code: &Code<'_>) -> Range<u64> {
    code.start..code.start.saturating_add(code.bytes.len() as u64)
}

/// Whether the instruction at this offset, which ends a path, is a return.
fn is_return(code: &Code<'_>, offset: usize) -> bool {
    matches!(code.bytes.get(offset..), Some([0xc3 | 0xc2, ..] | [0xf2 | 0xf3, 0xc3, ..]))
}

/// Whether one of the next instructions compares the register with the number that a lock has while
/// threads wait for it: std then wakes one.
fn is_compared(code: &Code<'_>, mut offset: usize, register: u8) -> bool {
    const CONTENDED: i64 = 2;
    for _ in 0..3 {
        let Some((length, effect, operation)) = operands::operation(code, offset) else { return false };
        if operation.compares == Some((register, CONTENDED)) {
            return true;
        }
        if effect != Effect::None {
            return false;
        }
        offset += length;
    }
    false
}

/// Reads the code of a function.
fn read((start, end): (u64, u64)) -> Option<Vec<u8>> {
    let length = end.checked_sub(start).filter(|&length| length <= MAX_CODE)?;
    memory::read_exact(start, usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests;
