//! Unwinds a copy of a stack: from registers to return addresses, by the rules in the unwind tables
//! of the modules. It has no unsafe code.
//!
//! Where there is no rule, or it cannot be applied, the stack ends with a reason. A frame is never
//! guessed.

#[cfg(any(target_arch = "aarch64", test))]
mod aarch64;
mod at_crash;
mod expression;
mod instruction;
#[cfg(target_arch = "x86_64")]
mod locks;
mod memory;
#[cfg(target_arch = "x86_64")]
mod operands;
mod prologue;
#[cfg(target_arch = "x86_64")]
mod releases;
mod rule;
mod rules;
mod tables;
#[cfg(any(target_arch = "x86_64", test))]
mod x86_64;

use crate::sys::hash::HashSet;
use std::sync::{Arc, Mutex};

pub(super) use self::at_crash::{CrashUnwinder, Stacks, follows_call};
use self::instruction::Target;
#[cfg(target_arch = "x86_64")]
pub(super) use self::locks::{LockSearch, Suspect};
pub(super) use self::memory::Piece;
use self::memory::{Failure, Memory};
use self::rule::{Context, NoRule, Rule, Step};
use self::rules::{Called, Rules};
use self::tables::Tables;
use super::arch::{self, FRAME_POINTER, Registers, STACK_POINTER};
use crate::capture::{Address, Trace};
use crate::sys::Module;

/// A stack with more frames than this is truncated: an endless recursion.
const MAX_FRAMES: usize = 200_000;
/// How often a stack may continue below its earlier position: on the stack that a signal handler or
/// a coroutine was entered from.
const MAX_TURNS: usize = 64;
/// How many rules are kept for the next report. A process has some thousand; one that generates
/// code all the time would have more and more.
const MAX_KEPT: usize = 1 << 14;

/// What unwinding needs of the modules. The workers of a capture share it.
pub(super) struct Shared {
    tables: Tables,
    /// Which value of [`Kept`] the rules belong to; `None` if they are not to be kept.
    generation: Option<u64>,
}

/// The rules found by earlier captures, which are valid while nothing is loaded or unloaded.
struct Kept {
    generation: u64,
    modules: Vec<Module>,
    /// One set for each unwinder that is not in use.
    rules: Vec<Rules>,
}

/// Only `try_lock` is used: in a forked child, a thread of the parent may hold the lock forever.
static KEPT: Mutex<Kept> = Mutex::new(Kept { generation: 0, modules: Vec::new(), rules: Vec::new() });

impl Shared {
    /// With the rules that were found earlier, if the modules are still the same.
    pub(super) fn new(modules: &[Module]) -> Arc<Self> {
        let generation = KEPT.try_lock().ok().map(|mut kept| {
            if kept.modules != modules {
                kept.generation += 1;
                kept.modules = modules.to_vec();
                kept.rules.clear();
            }
            kept.generation
        });
        Arc::new(Self { tables: Tables::new(modules), generation })
    }

    /// Without rules that were found earlier: for images that are not loaded.
    #[cfg(any(test, feature = "__fuzz"))]
    fn forgetful(modules: &[Module]) -> Arc<Self> {
        Arc::new(Self { tables: Tables::new(modules), generation: None })
    }

    /// Calls `look` with the kept rules, if there are any that belong to these modules.
    fn with_kept<T>(&self, look: impl FnOnce(&mut Vec<Rules>) -> T) -> Option<T> {
        let mut kept = KEPT.try_lock().ok().filter(|kept| Some(kept.generation) == self.generation)?;
        Some(look(&mut kept.rules))
    }
}

/// Unwinds stacks, one after the other.
pub(super) struct Unwinder {
    shared: Arc<Shared>,
    rules: Rules,
    context: Context,
    /// All stacks so far. Threads with the same stack, such as those of a pool, share one.
    seen: HashSet<Arc<[Address]>>,
    /// The stack that is being unwound.
    frames: Vec<Address>,
    /// The registers of its frames, if they are wanted, and of how many of them.
    registers: Option<(Vec<Registers>, usize)>,
}

/// The result of unwinding.
#[derive(Debug)]
pub(super) enum Unwound {
    /// Unwound to the thread's first function, or to where there is no rule.
    Ended(Trace),
    /// Unwound until this stack address was needed, which is in none of the pieces. The trace has
    /// the frames that are certain.
    Incomplete(Trace, u64),
    /// Unwound until a register was needed that is unknown; or it was recovered, but the stack does
    /// not end at the thread's first function, so that this could not be verified. The trace has
    /// the frames that are certain, and says so.
    Uncertain(Trace),
}

impl Unwound {
    pub(super) fn into_trace(self) -> Trace {
        match self {
            Self::Ended(trace) | Self::Incomplete(trace, _) | Self::Uncertain(trace) => trace,
        }
    }
}

/// Why a stack ends before the thread's first function.
pub(crate) enum End {
    NoRule(NoRule),
    Failed(Failure),
    /// It leads to this address, at which there is no code.
    NotCode(u64),
    /// It leads to this address, to which nothing returns: no call precedes it.
    NoCall(u64),
    /// It leads back to a frame that was passed.
    Cycle,
    TooLong,
}

impl Unwinder {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            rules: shared.with_kept(Vec::pop).flatten().unwrap_or_default(),
            context: Context::new(),
            seen: HashSet::default(),
            frames: Vec::new(),
            registers: None,
        }
    }

    /// The registers of each frame of a stack that is known to have these frames, or of the first
    /// `enough` ones. Those of the outer frames are missing if the copy ends before them, or has
    /// other ones.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn registers_of_frames(
        &mut self,
        registers: Registers,
        stack: Piece<'_>,
        frames: &[Address],
        enough: usize,
    ) -> Vec<Registers> {
        self.registers = Some((Vec::new(), enough));
        self.unwind(registers, &[stack]);
        let (mut registers, _) = self.registers.take().unwrap_or_default();
        registers.truncate(self.frames.iter().zip(frames).take_while(|(one, other)| one == other).count());
        registers
    }

    /// Unwinds one stack.
    pub(super) fn unwind(&mut self, registers: Registers, pieces: &[Piece<'_>]) -> Unwound {
        self.frames.clear();
        let at = self.innermost(registers.ip());
        let mut walk = Walk {
            memory: Memory::new(pieces),
            at,
            rule: self.rule(at),
            registers,
            recovered: Vec::new(),
            turns: Vec::new(),
        };
        let end = loop {
            self.frames.push(walk.at);
            if let Some((registers, enough)) = &mut self.registers {
                registers.push(walk.registers);
                // Recovered registers count only if the stack leads to its thread's first function.
                if registers.len() >= *enough && walk.recovered.is_empty() {
                    return Unwound::Ended(self.trace(None));
                }
            }
            match self.next(&mut walk) {
                Ok(true) if self.frames.len() < MAX_FRAMES => {}
                Ok(true) => break End::TooLong,
                Ok(false) => return Unwound::Ended(self.trace(None)),
                Err(end) => break end,
            }
        };
        if matches!(end, End::NoRule(NoRule::NoModule | NoRule::NoEntry))
            && self.are_verified(&walk.recovered)
        {
            walk.recovered.clear();
        }
        if let Some(first) = walk.recovered.first() {
            self.frames.truncate(*first);
        }
        match end {
            End::Failed(Failure::Missing(address)) => {
                Unwound::Incomplete(self.trace(Some(end.to_string())), address)
            }
            _ if !walk.recovered.is_empty() => {
                let unverified = End::Failed(Failure::Unknown(FRAME_POINTER));
                Unwound::Uncertain(self.trace(Some(unverified.to_string())))
            }
            End::Failed(Failure::Unknown(_)) if !registers.are_all_known() => {
                Unwound::Uncertain(self.trace(Some(end.to_string())))
            }
            _ => Unwound::Ended(self.trace(Some(end.to_string()))),
        }
    }

    /// The address of the innermost frame. After a system call it is that of the next instruction:
    /// where the call is the last instruction of its function, as in the C library's return from
    /// signal handlers, that may be in no function.
    fn innermost(&mut self, ip: u64) -> Address {
        let (exact, call) = (Address::Exact(ip), Address::Return(ip));
        // A thread at the beginning of a function has entered it.
        let is_behind_call = matches!(self.rule(exact), Err(NoRule::NoEntry))
            && self.rule(call).is_ok_and(|rule| rule.function.1 == ip)
            && rules::follows_system_call(ip);
        if is_behind_call { call } else { exact }
    }

    /// The rule for the code of a frame.
    fn rule(&mut self, at: Address) -> Result<Rule, NoRule> {
        self.rules.at(at.lookup(), &self.shared.tables, &mut self.context)
    }

    /// Goes on to the caller. False if there is none.
    fn next(&mut self, walk: &mut Walk<'_>) -> Result<bool, End> {
        let before = walk.registers.sp();
        let Some(Step { same_stack, is_interrupted }) = self.step(walk)? else { return Ok(false) };
        // Tables also say that the caller was interrupted where no signal was involved: where
        // coroutines begin, so that the caller is looked up by its exact address.
        if is_interrupted
            && let (Some(last), Address::Return(address)) = (self.frames.last_mut(), walk.at)
            && self.rules.returns_from_signal(address)
        {
            *last = Address::Signal(address);
        }
        let ip = arch::without_signature(walk.registers.ip(), self.shared.tables.highest_code());
        if ip == 0 {
            return Ok(false);
        }
        let after = walk.registers.sp();
        // A function that has stored nothing yet has the stack pointer of its caller where a call
        // stores nothing.
        let is_leaf = after == before && matches!(walk.at, Address::Exact(_));
        if after <= before && !is_leaf {
            let place = (ip, after);
            if let Some((_, frames)) = walk.turns.iter().find(|(turn, _)| *turn == place) {
                self.frames.truncate(*frames);
                return Err(End::Cycle);
            }
            if same_stack || walk.turns.len() == MAX_TURNS {
                return Err(End::Cycle);
            }
            walk.turns.push((place, self.frames.len()));
        }
        walk.registers.set_ip(ip);
        walk.at = if is_interrupted { Address::Exact(ip) } else { Address::Return(ip) };
        walk.rule = self.rule(walk.at);
        if matches!(walk.rule, Err(NoRule::NoModule)) && !self.rules.is_generated(walk.at.lookup()) {
            return Err(End::NotCode(ip));
        }
        if is_interrupted || self.rules.is_returned_to(ip, walk.rule, &self.shared.tables) {
            return Ok(true);
        }
        if !rules::ends_context(ip) {
            return Err(End::NoCall(ip));
        }
        // The context begins at this address: the code before it belongs to another function.
        self.frames.push(Address::Exact(ip));
        Ok(false)
    }

    /// Replaces the registers of a frame by those of its caller, by the rule for its code. `None`
    /// if it is the thread's first function.
    fn step(&mut self, walk: &mut Walk<'_>) -> Result<Option<Step>, End> {
        let (rule, lookup) = (walk.rule, walk.at.lookup());
        let has_own_rule = !arch::KERNEL_FRAME_FIRST && rule.is_ok_and(|rule| rule.is_signal_frame);
        if let Address::Return(address) = walk.at
            && !has_own_rule
            // Code without an entry of its own may follow a function that has one, which can end
            // with a call.
            && rule.map_or(true, |rule| {
                rule.is_signal_frame || !rule.ends_call || rule.function.1 == address
            })
            && self.rules.returns_from_signal(address)
        {
            walk.registers = arch::saved_by_signal(walk.registers.sp(), |address| walk.memory.word(address))
                .map_err(End::Failed)?;
            return Ok(Some(Step { same_stack: false, is_interrupted: true }));
        }
        let rule = match rule {
            Ok(rule) => rule,
            // musl has no entry for it.
            Err(NoRule::NoEntry) if self.shared.tables.is_entry(lookup) => return Ok(None),
            Err(no_rule) => {
                if let Some(step) = self.stub_step(walk) {
                    return Ok(Some(step));
                }
                let step = self.step_behind_clone(walk).map_err(End::Failed)?;
                let step = step.ok_or(End::NoRule(no_rule))?;
                walk.recovered.push(self.frames.len());
                return Ok(Some(step));
            }
        };
        match self.rules.apply(&rule, &mut walk.registers, &walk.memory) {
            Err(Failure::Unknown(FRAME_POINTER)) if walk.registers.get(FRAME_POINTER).is_none() => {
                let step = self.recovered_step(&rule, walk).map_err(End::Failed)?;
                walk.recovered.push(self.frames.len());
                Ok(Some(step))
            }
            step => step.map_err(End::Failed),
        }
    }

    /// The same for a thread that is blocked in a system call at which its function's entry ends.
    /// glibc's `clone` and `clone3` end it there, because what follows is run by two threads: the
    /// caller, which returns, and the new one, which has no caller. A thread that waits in the call
    /// is the caller. `None` if it is not certain that this is such code.
    fn step_behind_clone(&mut self, walk: &mut Walk<'_>) -> Result<Option<Step>, Failure> {
        let is_at_rest = self.frames.len() == 1 && !walk.registers.are_all_known();
        let ip = walk.registers.ip();
        let Some(call) = prologue::system_call_before(ip).filter(|_| is_at_rest) else { return Ok(None) };
        let rule = self.rules.at(call.wrapping_sub(1), &self.shared.tables, &mut self.context);
        let Some(rule) = rule.ok().filter(|rule| rule.function.1 == call && prologue::only_returns(ip))
        else {
            return Ok(None);
        };
        let mut registers = walk.registers;
        let step = self.rules.apply(&rule, &mut registers, &walk.memory)?;
        let step = step.filter(|_| self.called_from(&rule, registers.ip()) != Called::No);
        if step.is_some() {
            walk.registers = registers;
        }
        Ok(step)
    }

    /// The same in a stub of the procedure linkage table, for which some linkers write no entry
    /// (lld): the return address is on top of the stack, if there is a call of the stub before it.
    fn stub_step(&mut self, walk: &mut Walk<'_>) -> Option<Step> {
        let Address::Exact(ip) = walk.at else { return None };
        let sp = walk.registers.sp();
        let call = Address::Return(walk.memory.word(sp).ok()?);
        let caller = self.rules.at(call.lookup(), &self.shared.tables, &mut self.context).ok()?;
        let Some(Target::Code(start)) = prologue::call_at(caller.function, call.lookup()) else {
            return None;
        };
        prologue::is_in_stub(start, ip).then(|| {
            walk.registers.set_ip(call.value());
            walk.registers.set(STACK_POINTER, Some(sp + 8));
            Step { same_stack: true, is_interrupted: false }
        })
    }

    /// The same for a frame whose frame pointer is unknown, if the code of the function shows where
    /// it must be, and exactly one of its possible values can lead to a caller, which calls this
    /// function.
    fn recovered_step(&mut self, rule: &Rule, walk: &mut Walk<'_>) -> Result<Step, Failure> {
        let unknown = Failure::Unknown(FRAME_POINTER);
        let pointer = self.rules.frame_pointer(rule, walk.at.lookup()).ok_or(unknown)?;
        let mut found = None;
        for candidate in pointer.candidates(walk.registers.sp()) {
            let mut registers = walk.registers;
            registers.set(FRAME_POINTER, Some(candidate));
            let step = match self.rules.apply(rule, &mut registers, &walk.memory) {
                Ok(Some(step)) => step,
                Err(missing @ Failure::Missing(_)) => return Err(missing),
                _ => continue,
            };
            let address = arch::without_signature(registers.ip(), self.shared.tables.highest_code());
            // The caller may have entered this function in a way that its code does not show. Then
            // a stale address elsewhere in the frame is no reason to discard it.
            match self.called_from(rule, address) {
                Called::Certainly | Called::Possibly if found.is_none() => found = Some((registers, step)),
                Called::No if !self.rules.follows_call(address, &self.shared.tables) => {}
                _ => return Err(unknown),
            }
        }
        let (registers, step) = found.ok_or(unknown)?;
        walk.registers = registers;
        Ok(step)
    }

    /// Whether the function of `rule` can have been called before this return address.
    fn called_from(&mut self, rule: &Rule, address: u64) -> Called {
        let at = Address::Return(address);
        match self.rule(at) {
            // A signal handler.
            Ok(caller) if caller.is_signal_frame => Called::Possibly,
            Ok(caller) => {
                let place = (&caller, at.lookup());
                self.rules.calls(place, rule.function.0, &self.shared.tables, &mut self.context)
            }
            Err(_) => Called::No,
        }
    }

    /// Whether the code shows that the recovered frame pointers are right, although the stack ends
    /// at code without rules and does not lead to its thread's first function. Each function with a
    /// recovered frame pointer must be the target of the call that its frame returns to. The others
    /// must at least be possible targets.
    fn are_verified(&mut self, recovered: &[usize]) -> bool {
        let (Some(&first), Some(last)) = (recovered.first(), self.frames.len().checked_sub(1)) else {
            return false;
        };
        // The last frame is that of the code without rules, in which any call is possible. It is
        // not the caller of a function with a recovered frame pointer, because that caller has a
        // rule.
        (first..last).all(|caller| {
            let rule = self.rule(self.frames[caller - 1]);
            let called = match (rule, self.frames[caller]) {
                (Ok(rule), Address::Return(address)) => self.called_from(&rule, address),
                // What a signal has interrupted was not called.
                _ => Called::Possibly,
            };
            called == Called::Certainly || called == Called::Possibly && !recovered.contains(&caller)
        })
    }

    /// The frames found so far, as a trace.
    fn trace(&mut self, incomplete: Option<String>) -> Trace {
        if self.registers.is_some() {
            // Its caller knows the frames.
            return Trace::default();
        }
        let frames = if let Some(seen) = self.seen.get(&self.frames[..]) {
            Arc::clone(seen)
        } else {
            let frames: Arc<[Address]> = self.frames.as_slice().into();
            self.seen.insert(Arc::clone(&frames));
            frames
        };
        Trace { frames, incomplete, taken: None }
    }
}

impl Drop for Unwinder {
    fn drop(&mut self) {
        let rules = std::mem::take(&mut self.rules);
        if rules.len() <= MAX_KEPT {
            self.shared.with_kept(|kept| kept.push(rules));
        }
    }
}

/// A stack on the way to its end.
struct Walk<'a> {
    memory: Memory<'a>,
    at: Address,
    rule: Result<Rule, NoRule>,
    registers: Registers,
    /// How many frames there were each time the frame pointer of the last one was recovered.
    recovered: Vec<usize>,
    /// Where the stack last continued below its earlier position: the caller's code and stack
    /// pointer, and how many frames there were.
    turns: Vec<((u64, u64), usize)>,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::NoRule(NoRule::NoModule) => f.write_str(
                "no unwind information for this code (generated at run time, or its library was just loaded or unloaded)",
            ),
            End::NoRule(NoRule::NoEntry) => {
                f.write_str("no unwind information for this code (its module has tables without an entry for it)")
            }
            End::NoRule(NoRule::Damaged) => {
                f.write_str("unwinding failed: the unwind tables of this code are damaged")
            }
            End::Failed(Failure::Missing(address)) => {
                write!(f, "unwinding failed: could not read stack memory at {address:#x}")
            }
            End::Failed(Failure::Unknown(register)) => {
                let name = arch::name(*register);
                write!(f, "unwinding failed: the rule for this code needs the value of {name}, which is lost")
            }
            End::Failed(Failure::Unsupported) => {
                f.write_str("unwinding failed: the rule for this code cannot be evaluated")
            }
            End::NotCode(address) => {
                write!(f, "unwinding failed: the stack leads to {address:#x}, where there is no code")
            }
            End::NoCall(address) => {
                write!(f, "unwinding failed: the stack leads to {address:#x}, which follows no call")
            }
            End::Cycle => f.write_str("unwinding failed: the stack leads back to itself"),
            End::TooLong => write!(f, "truncated after {MAX_FRAMES} frames"),
        }
    }
}

/// Copies an image into memory, with the same distances between its segments as in the file.
#[cfg(any(test, feature = "__fuzz"))]
fn loaded(image: &[u8]) -> Option<crate::sys::linux::mapping::MappedBytes> {
    crate::sys::linux::mapping::MappedBytes::filled(image.len(), |memory| {
        memory.copy_from_slice(image);
        true
    })
}

/// Loads an image, and unwinds from each of these code addresses: with all registers, and with none
/// but the stack pointer. Returns the number of frames.
///
/// The addresses count from the start of the image, and so do words of the stack up to 64 KiB. The
/// registers are stack pointer, frame pointer and link register; the other ones are 0.
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) fn unwind_bytes(image: &[u8], code: &[u64], [sp, fp, lr]: [u64; 3], stack: &[u64]) -> usize {
    let Some(image) = loaded(image) else { return 0 };
    let base = image.as_ptr() as u64;
    let word = |word: u64| if word < 1 << 16 { base + word } else { word };
    let stack: Vec<u8> = stack.iter().flat_map(|&bytes| word(bytes).to_ne_bytes()).collect();
    let Some(module) = Module::read(base, "image".to_owned()) else { return 0 };
    let mut unwinder = Unwinder::new(&Shared::forgetful(&[module]));
    let mut frames = 0;
    for ip in code.iter().map(|offset| base.wrapping_add(*offset)) {
        let mut all = Registers::all(ip, [0; arch::COUNT]);
        all.set(STACK_POINTER, Some(sp));
        all.set(FRAME_POINTER, Some(fp));
        if cfg!(target_arch = "aarch64") {
            all.set(30, Some(lr));
        }
        for registers in [all, Registers::at_rest(ip, sp)] {
            let trace = unwinder.unwind(registers, &[(sp, &stack)]).into_trace();
            assert!(trace.frames.len() <= MAX_FRAMES);
            frames += trace.frames.len();
        }
    }
    frames
}

#[cfg(test)]
mod tests;
