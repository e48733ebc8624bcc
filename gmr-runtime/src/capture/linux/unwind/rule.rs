//! One rule: how to get from a frame to its caller. It is compiled from the entry for its code to a
//! compact form, and applied to the registers of a frame.

use gimli::{BaseAddresses, CfaRule, EndianSlice, NativeEndian, Register, RegisterRule, UnwindSection};

use super::expression::Expression;
use super::memory::{Failure, Memory};
use crate::capture::linux::arch::{COUNT, Registers, STACK_POINTER};

pub(super) type Reader<'a> = EndianSlice<'a, NativeEndian>;
pub(super) type Context = gimli::UnwindContext<usize>;

/// The number of the stack pointer, in the type that rules use.
#[allow(clippy::cast_possible_truncation, reason = "there are 32 registers")]
const SP: u8 = STACK_POINTER as u8;

/// How far below the stack pointer the saved values of registers that are already restored may lie.
const RED_ZONE: u64 = 256;

/// Why there is no rule for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRule {
    /// The address is in no module.
    NoModule,
    /// The address is in a module, but in no entry of its tables.
    NoEntry,
    /// Its entry cannot be read.
    Damaged,
}

/// Where the caller's value of a register is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is lost.
    Undefined,
    /// It has not been changed.
    SameValue,
    /// In memory, at this distance from the CFA.
    Offset(i32),
    /// It is the CFA and this distance.
    ValOffset(i32),
    /// In another register.
    Register(u8),
    /// In memory, at the address that an expression has as its value.
    Expression(u32),
    /// The value of an expression.
    ValExpression(u32),
}

/// How to compute the CFA: the stack pointer of the caller after the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cfa {
    Offset(u8, i32),
    Expression(u32),
}

/// How to get from a frame to its caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    cfa: Cfa,
    return_address: How,
    /// The register that holds the return address, where the architecture has one.
    return_register: u8,
    /// How many changes there are, and where they begin in the list of all.
    changes: u8,
    first_change: u32,
    /// Whether this is the code that a signal handler returns to: its caller was interrupted.
    pub(super) is_signal_frame: bool,
    /// Whether a call ends with the byte at the address for which the rule was looked up.
    pub(super) ends_call: bool,
    /// The addresses of its entry: those of the function, or of a part of it.
    pub(super) function: (u64, u64),
}

impl Rule {
    /// Whether the tables say that this code has no caller.
    pub(super) fn is_first(&self) -> bool {
        self.return_address == How::Undefined
    }
}

/// What a rule says of the caller besides its registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Whether the CFA was computed from the stack pointer, so that the caller's stack is the same.
    pub(super) same_stack: bool,
    /// Whether a signal interrupted the caller, so that it is not at the end of a call.
    pub(super) is_interrupted: bool,
}

/// The variable parts of rules, which refer to them by number.
#[derive(Debug, Default)]
pub(super) struct Store {
    changes: Vec<(u8, How)>,
    expressions: Vec<Expression>,
    /// Whether it is for one rule at a time, and may not allocate.
    is_fixed: bool,
}

impl Store {
    /// For one rule at a time, without any expression. It allocates nothing from here on.
    pub(super) fn fixed() -> Self {
        // A rule has one change for each register at most.
        Self { changes: Vec::with_capacity(COUNT + 1), expressions: Vec::new(), is_fixed: true }
    }

    /// Compiles the rule for `address`, which counts from the start of the file, from the entry at
    /// this offset. `None` if the entry is for other addresses.
    pub(super) fn compile<'a, S: UnwindSection<Reader<'a>>>(
        &mut self,
        (section, bytes): (&S, &'a [u8]),
        bases: &BaseAddresses,
        offset: S::Offset,
        (address, bias): (u64, u64),
        context: &mut Context,
    ) -> Result<Option<Rule>, NoRule> {
        let entry =
            section.fde_from_offset(bases, offset, S::cie_from_offset).map_err(|_| NoRule::Damaged)?;
        if !entry.contains(address) {
            return Ok(None);
        }
        let encoding = entry.cie().encoding();
        let return_register = entry.cie().return_address_register();
        let row =
            entry.unwind_info_for_address(section, bases, context, address).map_err(|_| NoRule::Damaged)?;
        let (is_fixed, capacity) = (self.is_fixed, self.changes.capacity());
        if is_fixed {
            self.changes.clear();
        }
        let mut expression = |expression: &gimli::UnwindExpression<usize>| {
            if is_fixed {
                return None;
            }
            let end = expression.offset.checked_add(expression.length)?;
            let bytes = bytes.get(expression.offset..end)?.into();
            self.expressions.push(Expression { bytes, encoding, bias });
            u32::try_from(self.expressions.len() - 1).ok()
        };
        let mut how = |rule: &RegisterRule<usize>| {
            Some(match rule {
                RegisterRule::Undefined => How::Undefined,
                RegisterRule::SameValue => How::SameValue,
                RegisterRule::Offset(offset) => How::Offset(i32::try_from(*offset).ok()?),
                RegisterRule::ValOffset(offset) => How::ValOffset(i32::try_from(*offset).ok()?),
                RegisterRule::Register(register) => How::Register(followed(*register)?),
                RegisterRule::Expression(rule) => How::Expression(expression(rule)?),
                RegisterRule::ValExpression(rule) => How::ValExpression(expression(rule)?),
                RegisterRule::Architectural | RegisterRule::Constant(_) => return None,
            })
        };
        let return_address = match row.register(return_register) {
            Some(rule) => how(&rule),
            // By default, a register keeps its value. On x86_64, no register holds the return
            // address.
            None => followed(return_register).map(|_| How::SameValue),
        }
        .ok_or(NoRule::Damaged)?;
        let first_change = self.changes.len();
        for (register, rule) in row.registers() {
            if is_fixed && self.changes.len() == capacity {
                return Err(NoRule::Damaged);
            }
            if let (Some(register), true) = (followed(*register), *register != return_register) {
                // A register whose rule cannot be followed is lost.
                self.changes.push((register, how(rule).unwrap_or(How::Undefined)));
            }
        }
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => followed(*register)
                .zip(i32::try_from(*offset).ok())
                .map(|(register, offset)| Cfa::Offset(register, offset)),
            CfaRule::Expression(rule) => expression(rule).map(Cfa::Expression),
        }
        .ok_or(NoRule::Damaged)?;
        let start = entry.initial_address().wrapping_add(bias);
        Ok(Some(Rule {
            cfa,
            return_address,
            return_register: followed(return_register).unwrap_or(u8::MAX),
            changes: u8::try_from(self.changes.len() - first_change).map_err(|_| NoRule::Damaged)?,
            first_change: u32::try_from(first_change).map_err(|_| NoRule::Damaged)?,
            is_signal_frame: entry.is_signal_trampoline(),
            ends_call: false,
            function: (start, start.wrapping_add(entry.len())),
        }))
    }

    /// Applies a rule to the registers of a frame: they become those of its caller. `None` if it
    /// has none: it is the first function of its thread.
    ///
    /// # Errors
    /// If the rule cannot be applied. The registers are as before.
    pub(super) fn apply(
        &self,
        rule: &Rule,
        registers: &mut Registers,
        memory: &Memory<'_>,
    ) -> Result<Option<Step>, Failure> {
        let frame = *registers;
        let result = self.step(rule, &frame, registers, memory);
        if result.is_err() {
            *registers = frame;
        }
        result
    }

    fn step(
        &self,
        rule: &Rule,
        registers: &Registers,
        caller: &mut Registers,
        memory: &Memory<'_>,
    ) -> Result<Option<Step>, Failure> {
        if rule.is_first() {
            return Ok(None);
        }
        let cfa = match rule.cfa {
            Cfa::Offset(register, offset) => {
                let register = usize::from(register);
                registers.get(register).ok_or(Failure::Unknown(register))?.wrapping_add_signed(offset.into())
            }
            Cfa::Expression(index) => self.expression(index)?.evaluate(None, registers, memory)?,
        };
        // The function has taken its own return address off the stack: the first one of a thread,
        // which the kernel has given another stack than its caller's (musl's `__clone`).
        let is_gone = rule.return_address == How::Offset(-8) && rule.cfa == Cfa::Offset(SP, 0);
        if cfg!(target_arch = "x86_64") && is_gone {
            return Ok(None);
        }
        let value = |register: usize, how: How| {
            let known = |register: usize| registers.get(register).ok_or(Failure::Unknown(register));
            match how {
                How::Undefined => Err(Failure::Unknown(register)),
                How::SameValue => known(register),
                How::Offset(offset) => memory.word(cfa.wrapping_add_signed(offset.into())),
                How::ValOffset(offset) => Ok(cfa.wrapping_add_signed(offset.into())),
                How::Register(other) => known(other.into()),
                How::Expression(index) => {
                    memory.word(self.expression(index)?.evaluate(Some(cfa), registers, memory)?)
                }
                How::ValExpression(index) => self.expression(index)?.evaluate(Some(cfa), registers, memory),
            }
        };
        let ip = value(rule.return_register.into(), rule.return_address)?;
        caller.forget_scratch();
        caller.set_ip(ip);
        caller.set(STACK_POINTER, Some(cfa));
        let first = rule.first_change as usize;
        for &(register, how) in &self.changes[first..first + usize::from(rule.changes)] {
            let register = usize::from(register);
            caller.set(
                register,
                match value(register, how) {
                    Ok(value) => Some(value),
                    // Already loaded again, at the end of the function: rules may not say so.
                    Err(Failure::Missing(address)) if registers.sp().wrapping_sub(address) <= RED_ZONE => {
                        None
                    }
                    Err(missing @ Failure::Missing(_)) => return Err(missing),
                    Err(Failure::Unknown(_) | Failure::Unsupported) => None,
                },
            );
        }
        // Where the rule is for the stack pointer itself, its value cannot be a guess either.
        if caller.get(STACK_POINTER).is_none() {
            return Err(Failure::Unknown(STACK_POINTER));
        }
        let same_stack =
            matches!(rule.cfa, Cfa::Offset(register, _) if usize::from(register) == STACK_POINTER);
        Ok(Some(Step { same_stack, is_interrupted: rule.is_signal_frame }))
    }

    fn expression(&self, index: u32) -> Result<&Expression, Failure> {
        self.expressions.get(index as usize).ok_or(Failure::Unsupported)
    }
}

/// The number of a register, if it is one that is followed.
fn followed(register: Register) -> Option<u8> {
    (usize::from(register.0) < COUNT).then(|| u8::try_from(register.0).ok())?
}
