//! The rules found so far, by the address of code, and what the code before an address says. All of
//! it is found once, and kept while no module is loaded or unloaded.

use std::collections::{HashMap, HashSet};

use super::instruction::Target;
use super::memory::{Failure, Memory};
use super::prologue::{self, FramePointer};
use super::rule::{Context, NoRule, Rule, Step, Store};
use super::tables::Tables;
use crate::capture::linux::arch::{self, Registers};
use crate::sys::linux::{maps, memory};

/// The rules found so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by_address: AddressMap,
    store: Store,
    /// How the frame pointer follows from the stack pointer, by the address of code.
    frame_pointers: HashMap<u64, Option<FramePointer>>,
    /// Whether the call before an address of code leads to the function that begins at another.
    calls: HashMap<(u64, u64), bool>,
    /// Whether the code at an address returns from a signal handler.
    returns_from_signal: HashMap<u64, bool>,
    /// Addresses of code that is in no module.
    generated: HashSet<u64>,
}

impl Rules {
    /// The rule for the code at this address.
    pub(super) fn at(
        &mut self,
        address: u64,
        tables: &Tables,
        context: &mut Context,
    ) -> Result<Rule, NoRule> {
        if let Some(rule) = self.by_address.get(address) {
            return rule;
        }
        let rule = tables.rule(address, context, &mut self.store);
        self.by_address.insert(address, rule);
        rule
    }

    /// How to compute the frame pointer from the stack pointer at this address of the function that
    /// `rule` is for, if its code shows that.
    pub(super) fn frame_pointer(&mut self, rule: &Rule, address: u64) -> Option<FramePointer> {
        let function = rule.function;
        *self.frame_pointers.entry(address).or_insert_with(|| prologue::frame_pointer(function, address))
    }

    /// Whether the instruction that ends after `address`, in the function that `rule` is for, calls
    /// the function that begins at `start`, or one that goes on there without a frame of its own.
    pub(super) fn calls(
        &mut self,
        (rule, address): (&Rule, u64),
        start: u64,
        tables: &Tables,
        context: &mut Context,
    ) -> bool {
        if let Some(known) = self.calls.get(&(address, start)) {
            return *known;
        }
        let calls = prologue::call_at(rule.function, address).is_some_and(|target| {
            let entered = match prologue::destination(target) {
                // The value of a register: the code does not show it.
                Target::Unknown => return true,
                Target::Slot(_) => return false,
                Target::Code(entered) => entered,
            };
            entered == start
                || self
                    .at(entered, tables, context)
                    .is_ok_and(|rule| prologue::may_jump_to(rule.function, start))
        });
        self.calls.insert((address, start), calls);
        calls
    }

    /// Whether the code at this address is what signal handlers return to: it makes the kernel
    /// restore the interrupted registers.
    pub(super) fn returns_from_signal(&mut self, address: u64) -> bool {
        let read =
            || memory::read_exact(address, arch::SIGRETURN.len()).is_some_and(|code| code == arch::SIGRETURN);
        *self.returns_from_signal.entry(address).or_insert_with(read)
    }

    /// Whether there may be code at this address, which is in no module: it was generated at run
    /// time.
    pub(super) fn is_generated(&mut self, address: u64) -> bool {
        // Only a positive answer is kept: code may be generated at any time.
        let is_code = self.generated.contains(&address) || maps::has_code(address) != Some(false);
        if is_code {
            self.generated.insert(address);
        }
        is_code
    }

    /// How many addresses have been looked up.
    pub(super) fn len(&self) -> usize {
        self.by_address.used
    }

    /// Applies a rule, as [`Store::apply`] does.
    pub(super) fn apply(
        &self,
        rule: &Rule,
        registers: &mut Registers,
        memory: &Memory<'_>,
    ) -> Result<Option<Step>, Failure> {
        self.store.apply(rule, registers, memory)
    }
}

/// Whether the instruction before this address is a system call.
pub(super) fn follows_system_call(address: u64) -> bool {
    let start = address.checked_sub(arch::SYSTEM_CALL.len() as u64);
    let code = start.and_then(|start| memory::read_exact(start, arch::SYSTEM_CALL.len()));
    code.is_some_and(|code| code == arch::SYSTEM_CALL)
}

/// A table of rules by address: open addressing with linear probing, as every frame of every stack
/// is looked up in it.
#[derive(Debug, Default)]
struct AddressMap {
    /// A power of two of places, or none. Address 0 stands for an empty one: no code is there.
    places: Vec<(u64, Result<Rule, NoRule>)>,
    used: usize,
}

impl AddressMap {
    const EMPTY: (u64, Result<Rule, NoRule>) = (0, Err(NoRule::NoModule));

    fn get(&self, address: u64) -> Option<Result<Rule, NoRule>> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = hash(address) & mask;
        loop {
            match &self.places[place] {
                (0, _) => return None,
                (found, rule) if *found == address => return Some(*rule),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn insert(&mut self, address: u64, rule: Result<Rule, NoRule>) {
        if address == 0 {
            return;
        }
        if self.used * 2 >= self.places.len() {
            let doubled = (self.places.len() * 2).max(256);
            let old = std::mem::replace(&mut self.places, vec![Self::EMPTY; doubled]);
            for (address, rule) in old.into_iter().filter(|(address, _)| *address != 0) {
                self.put(address, rule);
            }
        }
        self.used += 1;
        self.put(address, rule);
    }

    fn put(&mut self, address: u64, rule: Result<Rule, NoRule>) {
        let mask = self.places.len() - 1;
        let mut place = hash(address) & mask;
        while self.places[place].0 != 0 {
            place = (place + 1) & mask;
        }
        self.places[place] = (address, rule);
    }
}

/// Spreads addresses over the table by a multiplication (Fibonacci hashing).
fn hash(address: u64) -> usize {
    usize::try_from(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).expect("32 bits remain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_rule() {
        let mut map = AddressMap::default();
        assert!(map.get(1).is_none());
        let kinds = [NoRule::NoModule, NoRule::NoEntry, NoRule::Damaged];
        for address in 1..5000_u64 {
            map.insert(address * 8, Err(kinds[(address % 3) as usize]));
        }
        for address in 1..5000_u64 {
            assert_eq!(map.get(address * 8).unwrap().unwrap_err(), kinds[(address % 3) as usize]);
            assert!(map.get(address * 8 + 1).is_none());
        }
        assert!(map.get(0).is_none());
    }
}
