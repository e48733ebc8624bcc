//! Unwinds a stack inside the handler of a fatal signal: by the same rules as [`Unwinder`], but
//! with the tables where they are in memory, one rule at a time, and without allocating.
//!
//! It looks nothing up in files, recovers no register, and evaluates no expression. So a stack may
//! end earlier than in a report, and says why. A frame is never guessed.
//!
//! [`Unwinder`]: super::Unwinder

use gimli::BaseAddresses;

use super::memory::{Failure, Memory};
use super::prologue::{LONGEST_CALL, ends_with_call};
use super::rule::{Context, NoRule, Rule, Step, Store};
use super::tables::{eh_frame, eh_frame_start, entry_by_header};
use super::{End, MAX_TURNS};
use crate::capture::Address;
use crate::capture::linux::arch::{self, Registers};
use crate::sys::linux::crash_modules::{self, CrashModule, CrashModules};

/// How many frames are walked. Of an endless recursion, the innermost ones tell what recurs.
const MAX_FRAMES: usize = 128;

/// What the unwinder needs, allocated beforehand.
pub(crate) struct CrashUnwinder {
    context: Context,
    store: Store,
}

/// Reads the images and the stacks of a process that crashes.
pub(crate) trait Stacks {
    /// The bytes of an image at these addresses in memory, which belong to a module that is mapped.
    fn image(&self, start: u64, length: usize) -> Option<&[u8]>;

    /// Makes the memory at this address a piece of the stack. False if it can't be read.
    fn add(&mut self, address: u64) -> bool;

    /// The pieces so far.
    fn pieces(&self) -> [super::Piece<'_>; 2];
}

impl CrashUnwinder {
    pub(crate) fn new() -> Self {
        Self { context: Context::new(), store: Store::fixed() }
    }

    /// Calls `each` with every frame, until that returns false. Returns why the stack ends before
    /// the thread's first function; `None` if it does not, or `each` has ended it.
    pub(crate) fn walk(
        &mut self,
        registers: &mut Registers,
        modules: &CrashModules,
        stacks: &mut dyn Stacks,
        each: &mut dyn FnMut(Address) -> bool,
    ) -> Option<End> {
        let mut at = Address::Exact(registers.ip());
        let mut rule = self.rule(at, modules, stacks);
        let mut turns = 0;
        for _ in 0..MAX_FRAMES {
            if !each(at) {
                return None;
            }
            let before = registers.sp();
            let step = match self.step(at, rule, registers, stacks) {
                Ok(Some(step)) => step,
                Ok(None) => return None,
                Err(end) => return Some(end),
            };
            let ip = arch::without_signature(registers.ip(), modules.highest_code());
            if ip == 0 {
                return None;
            }
            registers.set_ip(ip);
            let after = registers.sp();
            let is_leaf = after == before && matches!(at, Address::Exact(_));
            if after <= before && !is_leaf {
                turns += 1;
                if step.same_stack || turns > MAX_TURNS {
                    return Some(End::Cycle);
                }
            }
            at = if step.is_interrupted { Address::Exact(ip) } else { Address::Return(ip) };
            if !modules.has_code(at.lookup()) {
                return Some(End::NotCode(ip));
            }
            rule = self.rule(at, modules, stacks);
            let is_known = rule.is_ok_and(|rule| rule.is_signal_frame || rule.is_first());
            if !step.is_interrupted && !is_known && !returns_from_signal(ip) && !follows_call(ip, modules) {
                return Some(End::NoCall(ip));
            }
        }
        Some(End::TooLong)
    }

    fn rule(&mut self, at: Address, modules: &CrashModules, stacks: &dyn Stacks) -> Result<Rule, NoRule> {
        let module = modules.find(at.lookup()).ok_or(NoRule::NoModule)?;
        self.compile(at.lookup(), module, stacks)
    }

    fn compile(&mut self, address: u64, module: &CrashModule, stacks: &dyn Stacks) -> Result<Rule, NoRule> {
        let image = |start: u64, end: u64| {
            let length = usize::try_from(end.checked_sub(start)?).ok()?;
            stacks.image(start.wrapping_add(module.bias), length)
        };
        let range = &module.eh_frame_hdr;
        let header = image(range.start, range.end).ok_or(NoRule::NoEntry)?;
        let start = eh_frame_start(header, range.start).ok_or(NoRule::NoEntry)?;
        let bytes = image(start, module.eh_frame_limit).ok_or(NoRule::NoEntry)?;
        let place = (address.wrapping_sub(module.bias), module.bias);
        let offset = entry_by_header((header, range.start), start, place.0).ok_or(NoRule::NoEntry)?;
        let bases = BaseAddresses::default().set_eh_frame(start);
        let section = eh_frame(bytes);
        let rule = self.store.compile((&section, bytes), &bases, offset.into(), place, &mut self.context);
        rule?.ok_or(NoRule::NoEntry)
    }

    /// Replaces the registers by those of the caller. `None` if there is none.
    fn step(
        &self,
        at: Address,
        rule: Result<Rule, NoRule>,
        registers: &mut Registers,
        stacks: &mut dyn Stacks,
    ) -> Result<Option<Step>, End> {
        let mut result = self.try_step(at, rule, registers, stacks);
        // The registers and the return address of a frame can be on different pages.
        for _ in 0..4 {
            match result {
                Err(End::Failed(Failure::Missing(address))) if stacks.add(address) => {}
                result => return result,
            }
            result = self.try_step(at, rule, registers, stacks);
        }
        result
    }

    fn try_step(
        &self,
        at: Address,
        rule: Result<Rule, NoRule>,
        registers: &mut Registers,
        stacks: &dyn Stacks,
    ) -> Result<Option<Step>, End> {
        let pieces = stacks.pieces();
        let memory = Memory::new(&pieces);
        if let Address::Return(address) = at
            && returns_from_signal(address)
        {
            *registers = arch::saved_by_signal(registers.sp(), |at| memory.word(at)).map_err(End::Failed)?;
            return Ok(Some(Step { same_stack: false, is_interrupted: true }));
        }
        self.store.apply(&rule.map_err(End::NoRule)?, registers, &memory).map_err(End::Failed)
    }
}

/// Whether the code at this address is what signal handlers return to.
fn returns_from_signal(address: u64) -> bool {
    let mut code = [0; 16];
    let length = crash_modules::read(address, &mut code);
    arch::SIGRETURNS.iter().any(|known| code[..length].starts_with(known))
}

/// Whether a call that leads to code ends before this address.
pub(crate) fn follows_call(address: u64, modules: &CrashModules) -> bool {
    let mut code = [0; LONGEST_CALL];
    // Code does not begin so close to a boundary that less than this is before it.
    let length = address.checked_sub(LONGEST_CALL as u64).map_or(0, |at| crash_modules::read(at, &mut code));
    length == LONGEST_CALL && ends_with_call(address, &code, |target| modules.has_code(target))
}
