//! What single instructions of a function's code are, and the code before a return address. It knows
//! nothing of registers and paths.

use std::ops::Range;
use std::rc::Rc;

use super::super::instruction::{Code, Effect};
use super::super::operands::{self, Place, RDI, RDX, RSI, Source};
use crate::sys::linux::memory;

/// A function with more code is not followed.
const MAX_CODE: u64 = 64 << 10;

/// The registers that arguments are passed in, as far as the address of an object is among them
/// that the function returns or writes to.
pub(super) const ARGUMENTS: [u8; 3] = [RDI, RSI, RDX];

/// What may have been passed to a call, with its register.
pub(super) type Arguments = Rc<[(u8, Source)]>;

/// What may have been passed in [`ARGUMENTS`] to the call that returns to this offset. `None` if
/// the code before it cannot be read.
pub(super) fn arguments_before(code: &Code<'_>, end: usize) -> Option<Arguments> {
    let mut sources = Vec::new();
    let mut offset = 0;
    while offset < end {
        let (length, effect, operation) = operands::operation(code, offset)?;
        offset += length;
        match (effect, operation.write) {
            // What was passed to an earlier call is lost.
            (Effect::Call(_), _) if offset < end => sources.clear(),
            (_, Some((Place::Register(register), _, source))) if ARGUMENTS.contains(&register) => {
                sources.push((register, source));
            }
            _ => {}
        }
    }
    (offset == end).then(|| sources.into())
}

/// The register with the address that the instruction at this offset calls or jumps to.
pub(super) fn register_called(code: &Code<'_>, offset: usize) -> Option<u8> {
    match *code.bytes.get(offset..)? {
        [0x41, 0xff, to @ (0xd0..=0xd7 | 0xe0..=0xe7), ..] => Some(8 + (to & 7)),
        [0xff, to @ (0xd0..=0xd7 | 0xe0..=0xe7), ..] => Some(to & 7),
        _ => None,
    }
}

pub(super) fn range(code: &Code<'_>) -> Range<u64> {
    code.start..code.start.saturating_add(code.bytes.len() as u64)
}

/// Whether the instruction at this offset, which ends a path, is a return.
pub(super) fn is_return(code: &Code<'_>, offset: usize) -> bool {
    matches!(code.bytes.get(offset..), Some([0xc3 | 0xc2, ..] | [0xf2 | 0xf3, 0xc3, ..]))
}

/// Whether one of the next instructions compares the register with the number that a lock has while
/// threads wait for it: std then wakes one.
pub(super) fn is_compared(code: &Code<'_>, mut offset: usize, register: u8) -> bool {
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
pub(super) fn read((start, end): (u64, u64)) -> Option<Vec<u8>> {
    let length = end.checked_sub(start).filter(|&length| length <= MAX_CODE)?;
    memory::read_exact(start, usize::try_from(length).ok()?)
}
