//! Evaluates the DWARF expressions of unwind rules, in a bounded number of operations.

use gimli::{Encoding, EndianSlice, EvaluationResult, NativeEndian, UnitOffset, Value};

use super::memory::{Failure, Memory};
use crate::capture::linux::arch::Registers;

/// How many operations an expression may take. Those of compilers and of the C library take up to
/// ten; more count as an endless loop.
const MAX_OPERATIONS: u32 = 100;

/// An expression, with what is needed to evaluate it after its table is gone.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) bytes: Box<[u8]>,
    pub(super) encoding: Encoding,
    /// What to add to an address in its file to get the address in memory.
    pub(super) bias: u64,
}

impl Expression {
    /// The value, given the registers of the frame. `initial` is what is on the expression's stack
    /// at first: the CFA if it is the rule of a register.
    pub(super) fn evaluate(
        &self,
        initial: Option<u64>,
        registers: &Registers,
        memory: &Memory<'_>,
    ) -> Result<u64, Failure> {
        let bytes = EndianSlice::new(&self.bytes, NativeEndian);
        let mut evaluation = gimli::Expression(bytes).evaluation(self.encoding);
        evaluation.set_max_iterations(MAX_OPERATIONS);
        if let Some(value) = initial {
            evaluation.set_initial_value(value);
        }
        let mut result = evaluation.evaluate();
        loop {
            result = match result.map_err(|_| Failure::Unsupported)? {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size, space: None, base_type: UnitOffset(0) } => {
                    evaluation.resume_with_memory(Value::Generic(memory.unsigned(address, size)?))
                }
                EvaluationResult::RequiresRegister { register, base_type: UnitOffset(0) } => {
                    let register = usize::from(register.0);
                    let value = registers.get(register).ok_or(Failure::Unknown(register))?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                EvaluationResult::RequiresRelocatedAddress(address) => {
                    evaluation.resume_with_relocated_address(address.wrapping_add(self.bias))
                }
                _ => return Err(Failure::Unsupported),
            };
        }
        let value = evaluation.value_result().ok_or(Failure::Unsupported)?;
        value.to_u64(u64::MAX).map_err(|_| Failure::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use gimli::{Format, constants};

    use super::*;
    use crate::capture::linux::arch::STACK_POINTER;

    fn evaluate(bytes: &[u8], initial: Option<u64>) -> Result<u64, Failure> {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let expression = Expression { bytes: bytes.into(), encoding, bias: 0x1000 };
        let stack: Vec<u8> =
            [7_u64, 0x1122_3344_5566_7788].iter().flat_map(|word| word.to_ne_bytes()).collect();
        expression.evaluate(initial, &Registers::at_rest(1, 0x7000), &Memory::new(&[(0x7000, &stack)]))
    }

    #[test]
    fn registers_and_the_stack_are_read() {
        let sp = constants::DW_OP_breg0.0 + u8::try_from(STACK_POINTER).unwrap();
        let deref = constants::DW_OP_deref.0;
        assert_eq!(evaluate(&[sp, 8], None), Ok(0x7008));
        assert_eq!(evaluate(&[sp, 8, deref], None), Ok(0x1122_3344_5566_7788));
        assert_eq!(evaluate(&[sp, 0, deref, constants::DW_OP_plus.0], Some(1)), Ok(8));
        assert_eq!(evaluate(&[sp, 8, constants::DW_OP_deref_size.0, 2], None), Ok(0x7788));
        assert_eq!(evaluate(&[sp, 16, deref], None), Err(Failure::Missing(0x7010)));
        let rbx_or_x3 = constants::DW_OP_breg0.0 + 3;
        assert_eq!(evaluate(&[rbx_or_x3, 0], None), Err(Failure::Unknown(3)));
    }

    #[test]
    fn an_address_is_relocated() {
        let bytes = [&[constants::DW_OP_addr.0][..], &0x20_u64.to_ne_bytes()].concat();
        assert_eq!(evaluate(&bytes, None), Ok(0x1020));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        // An endless loop, an empty stack, a division by zero, a register as a location, garbage.
        for bytes in [&[0x2f, 0xfd, 0xff][..], &[], &[0x31, 0x30, 0x1b], &[0x50], &[0xff, 0xff]] {
            assert_eq!(evaluate(bytes, None), Err(Failure::Unsupported), "{bytes:x?}");
        }
    }
}
