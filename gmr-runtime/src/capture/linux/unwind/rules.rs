//! The rules found so far, by the address of code, and what the code before an address says. All of
//! it is found once, and kept while no module is loaded or unloaded.

use crate::sys::hash::{HashMap, HashSet, NumberMap};

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
    frame_pointers: NumberMap<Option<FramePointer>>,
    /// Whether the call before an address of code leads to the function that begins at another.
    calls: HashMap<(u64, u64), Called>,
    /// Whether the code at an address returns from a signal handler.
    returns_from_signal: NumberMap<bool>,
    /// Addresses of code that is in no module.
    generated: HashSet<u64>,
}

/// Whether a function can have been called from a place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    /// The call there leads to it.
    Certainly,
    /// The call there leads to an address that the code does not show.
    Possibly,
    /// There is no call, or it leads elsewhere.
    No,
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
        let mut rule = tables.rule(address, context, &mut self.store);
        if let Ok(rule) = &mut rule {
            rule.ends_call = self.follows_call(address.wrapping_add(1), tables);
        }
        self.by_address.insert(address, rule);
        rule
    }

    /// Whether a call ends before this address.
    pub(super) fn follows_call(&mut self, address: u64, tables: &Tables) -> bool {
        prologue::follows_call(address, |target| tables.cover(target) || self.is_generated(target))
    }

    /// Whether the stack can lead to this return address. `rule` is the rule for it. Either a call
    /// ends before the address, or the code there returns from a signal handler, or it is the first
    /// function according to its tables.
    pub(super) fn is_returned_to(
        &mut self,
        address: u64,
        rule: Result<Rule, NoRule>,
        tables: &Tables,
    ) -> bool {
        rule.is_ok_and(|rule| rule.ends_call || rule.is_signal_frame || rule.is_first())
            || self.returns_from_signal(address)
            // Only a positive answer is kept: a debugger may have replaced the call with a
            // breakpoint.
            || self.follows_call(address, tables)
    }

    /// How to compute the frame pointer from the stack pointer at this address of the function that
    /// `rule` is for, if its code shows that.
    pub(super) fn frame_pointer(&mut self, rule: &Rule, address: u64) -> Option<FramePointer> {
        let function = rule.function;
        *self.frame_pointers.entry(address, || prologue::frame_pointer(function, address))
    }

    /// Whether the instruction that ends after `address`, in the function that `rule` is for, calls
    /// the function that begins at `start`, or one that goes on there without a frame of its own.
    pub(super) fn calls(
        &mut self,
        (rule, address): (&Rule, u64),
        start: u64,
        tables: &Tables,
        context: &mut Context,
    ) -> Called {
        if let Some(known) = self.calls.get(&(address, start)) {
            return *known;
        }
        let called = match prologue::call_at(rule.function, address).map(prologue::destination) {
            // The value of a register.
            Some(Target::Unknown) => Called::Possibly,
            Some(Target::Code(entered)) if entered == start => Called::Certainly,
            Some(Target::Code(entered)) => match self.at(entered, tables, context) {
                Ok(rule) if prologue::may_jump_to(rule.function, start) => Called::Certainly,
                _ => Called::No,
            },
            Some(Target::Slot(_)) | None => Called::No,
        };
        self.calls.insert((address, start), called);
        called
    }

    /// Whether the code at this address is what signal handlers return to: it makes the kernel
    /// restore the interrupted registers.
    pub(super) fn returns_from_signal(&mut self, address: u64) -> bool {
        *self.returns_from_signal.entry(address, || {
            let code = Beginning::read(address);
            arch::SIGRETURNS.iter().any(|known| code.bytes().starts_with(known))
        })
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

/// Whether this is the code that a function of `makecontext` returns to.
pub(super) fn ends_context(address: u64) -> bool {
    arch::ends_context(Beginning::read(address).bytes())
}

/// The first bytes of the code at an address; fewer if the mapping ends earlier.
struct Beginning([u8; 16], usize);

impl Beginning {
    fn read(address: u64) -> Self {
        let mut code = [0; 16];
        let length = memory::read(address, &mut code);
        Self(code, length)
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
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
