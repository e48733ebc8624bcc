//! Whether a lock can be released after a return address at all, whatever the registers are. Most
//! frames are ruled out by this.

use super::super::instruction::{Code, Effect, Target};
use super::super::operands::{self, Atomic};
use super::code::register_called;
use super::known::{FunctionOf, Releases};
use super::visited::Visited;

impl Releases {
    /// Whether the code that goes on at this return address, in this function, may release a lock at
    /// all: whether a search can find something, with some registers.
    pub(in super::super) fn are_possible(
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
}
