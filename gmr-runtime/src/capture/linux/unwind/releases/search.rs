//! Follows all paths from a frame, with the values of its registers and of its stack, to a release of
//! one lock.

use std::ops::Range;
use std::rc::Rc;

use super::super::instruction::{Code, Effect, Target};
use super::super::memory::Memory;
use super::super::operands::{Atomic, Operation, RDI, RDX, RSI, RSP, SCRATCH};
use super::code::{ARGUMENTS, arguments_before, is_compared, is_return, range, register_called};
use super::known::{FunctionOf, Releases, Summary};
use super::path::{Path, Seen};
use super::visited::Visited;
use crate::capture::linux::arch::Registers;
use crate::capture::{Guard, Purpose, PurposeOf, Wanted};

/// The DWARF numbers of the registers, by their numbers in instructions.
const DWARF: [usize; 16] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

/// How many instructions are followed for one frame and one lock.
const MAX_STEPS: usize = 4_000;
/// How many words of an object that is dropped are searched for a guard.
const MAX_OBJECT: u64 = 16;
/// How deep objects with guards may be nested.
const MAX_DEPTH: usize = 3;

/// A release that lies on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Release {
    /// Whether all paths from the frame to the end of its function release the lock.
    pub(in super::super) on_all_paths: bool,
}

/// A frame, and the function that it is in.
pub(in super::super) struct Frame<'a> {
    pub(in super::super) function: (u64, u64),
    /// Where it goes on.
    pub(in super::super) address: u64,
    pub(in super::super) registers: &'a Registers,
    /// The end of its part of the stack.
    pub(in super::super) end: u64,
    /// The first address of the function that it has called, if that is known.
    pub(in super::super) called: Option<u64>,
}

impl Releases {
    /// Searches for a release of the lock. `pending` is set if the thread waits for this very lock:
    /// the first release that is found then belongs to that, and it is cleared.
    pub(in super::super) fn search(
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
            has_released: false,
            given: Vec::new(),
        };
        let elsewhere = Rc::clone(&self.elsewhere);
        let memory = Seen { stack, elsewhere: &elsewhere };
        let given =
            arguments.iter().filter_map(|&(register, source)| Some((register, path.value(source, &memory)?)));
        let given: Vec<(u8, u64)> = given.collect();
        let own_part = path.register(RSP).unwrap_or(frame.end)..frame.end;
        let mut search = Search {
            releases: self,
            code: &code,
            wanted,
            memory: &memory,
            own_part,
            function_of,
            purpose_of,
            paths: Vec::new(),
            released: Vec::new(),
            visited: Visited::none(code.bytes.len()),
            first: Way::Straight,
            depth: 0,
            is_found: false,
            has_other_end: false,
            has_met_pending: false,
        };
        for (register, address) in given {
            search.give(&mut path, register, address, frame.called);
        }
        search.paths.push(path);
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

/// Where a path goes on at a branch.
#[derive(PartialEq, Eq)]
enum Way {
    Straight,
    Branch,
}

struct Search<'a, 's, 'f, 'p> {
    releases: &'a mut Releases,
    code: &'a Code<'a>,
    wanted: Wanted,
    memory: &'a Seen<'s>,
    /// The part of the stack that is the frame's.
    own_part: Range<u64>,
    function_of: &'a mut FunctionOf<'f>,
    purpose_of: &'a mut PurposeOf<'p>,
    /// Those that are still to be followed.
    paths: Vec<Path>,
    /// Those on which the lock has just been released.
    released: Vec<Path>,
    visited: Visited,
    /// Which way of a branch is followed first.
    first: Way,
    /// How many functions that drop objects it is in.
    depth: usize,
    is_found: bool,
    /// Whether a path leads to the end of the function, or cannot be followed, without a release.
    has_other_end: bool,
    has_met_pending: bool,
}

impl Search<'_, '_, '_, '_> {
    fn run(&mut self) {
        let begin = self.paths.clone();
        self.follow_all();
        // Where paths meet, only the first one is followed, whatever the others would find: it must
        // not matter which one that is.
        if self.is_certain() {
            self.released.clear();
            self.first = Way::Branch;
            self.begin_with(begin);
        }
        // A lock that can be released once more, without being acquired, has been released in a
        // loop, on a condition that may have been true before.
        if self.is_certain() {
            let released = std::mem::take(&mut self.released);
            self.begin_with(released);
        }
    }

    fn is_certain(&self) -> bool {
        self.is_found && !self.has_other_end
    }

    fn begin_with(&mut self, paths: Vec<Path>) {
        self.paths = paths;
        self.visited = Visited::none(self.code.bytes.len());
        self.follow_all();
    }

    fn follow_all(&mut self) {
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
            self.end(path);
            return false;
        };
        let met = match (effect, operation.atomic) {
            (Effect::Call(target), _) => self.call(path, target),
            (Effect::Jump(target), _) if !self.is_within(target) => self.call(path, target),
            (_, Some(atomic)) => self.atomic(path, &operation, atomic, path.offset + length),
            _ => Met::Nothing,
        };
        let mut is_over = false;
        match met {
            Met::Release if path.pending => {
                path.pending = false;
                path.has_released_pending = true;
                self.has_met_pending = true;
            }
            Met::Release | Met::ReleaseOfOwn if path.has_released => {
                self.has_other_end = true;
                return false;
            }
            Met::Release | Met::ReleaseOfOwn => {
                self.is_found = true;
                path.has_released = true;
                is_over = true;
            }
            Met::Acquire => {
                self.end(path);
                return false;
            }
            Met::Never => return false,
            Met::Nothing => {}
        }
        let offset = path.offset;
        if !path.step(&operation, effect, self.memory) {
            self.end(path);
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
                Some(there) => {
                    let mut other = Path { offset: there, ..path.clone() };
                    if self.first == Way::Branch {
                        std::mem::swap(path, &mut other);
                    }
                    self.paths.push(other);
                }
                None => self.end(path),
            },
            Effect::Jump(Target::Code(to)) if self.is_within(Target::Code(to)) => {
                path.offset = self.code.offset_of(to).unwrap_or(path.offset);
            }
            Effect::Jump(_) => {
                self.end(path);
                return false;
            }
            Effect::End => {
                if is_return(self.code, offset) {
                    self.end(path);
                }
                return false;
            }
            _ => {}
        }
        if is_over {
            self.released.push(path.clone());
        }
        !is_over
    }

    /// Notes that a path leads to the end of the function, or cannot be followed any further.
    fn end(&mut self, path: &Path) {
        self.has_other_end |= !path.has_released;
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
            if let Some(address) = path.register(register) {
                self.give(path, register, address, Some(target));
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

    /// Forgets what is at an address that was passed to a function, in this register: it may have
    /// returned an object there, or changed one.
    fn give(&mut self, path: &mut Path, register: u8, address: u64, function: Option<u64>) {
        /// As many words as std's `lock` returns.
        const WORDS: u64 = 3;
        if address == self.wanted.address {
            return;
        }
        let least = address.saturating_add(8 * WORDS);
        // The object may be larger, and have a guard behind these words. How large it is, the code
        // does not tell, but that it ends with the frame.
        let is_lock = |at: u64| path.word_on_stack(at, self.memory) == Some(self.wanted.address);
        let mut beyond = ((least & !7)..self.own_part.end).step_by(8);
        let may_be_filled = register == RDI
            && self.own_part.contains(&address)
            && beyond.any(is_lock)
            && self.may_fill(function);
        let end = if may_be_filled { self.own_part.end } else { least };
        path.give(address, end);
    }

    /// Whether a function may write to more than the first words of the object whose address it is
    /// given first.
    fn may_fill(&mut self, function: Option<u64>) -> bool {
        let Some(function) = function else { return true };
        let range = (self.function_of)(function);
        range.is_none_or(|range| self.releases.may_fill(range))
            && matches!((self.purpose_of)(function), Purpose::Other | Purpose::SystemCall)
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
        let path = Path { offset: 0, registers, pending: false, has_released: false, ..path.clone() };
        let mut search = Search {
            releases: &mut *self.releases,
            code: &code,
            wanted: self.wanted,
            memory: self.memory,
            own_part: 0..0,
            function_of: &mut *self.function_of,
            purpose_of: &mut *self.purpose_of,
            paths: vec![path],
            released: Vec::new(),
            visited: Visited::none(code.bytes.len()),
            first: Way::Straight,
            depth: self.depth + 1,
            is_found: false,
            has_other_end: false,
            has_met_pending: false,
        };
        search.run();
        search.is_certain()
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
