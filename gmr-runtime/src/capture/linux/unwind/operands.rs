//! What `x86_64` instructions do to registers and memory, as far as it takes to follow a pointer
//! through the code of a function: which register or memory each writes, and from what.
//!
//! What is not understood counts as a write of an unknown value.

use super::instruction::{Code, Effect};
use super::x86_64::decode;

/// The numbers of registers in instructions.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RSP: u8 = 4;
pub(super) const RBP: u8 = 5;
pub(super) const RSI: u8 = 6;
pub(super) const RDI: u8 = 7;

/// The registers that a function need not preserve for its caller.
pub(super) const SCRATCH: u16 =
    1 << RAX | 1 << RCX | 1 << RDX | 1 << RSI | 1 << RDI | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11;

/// An operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Register(u8),
    /// At a register and a distance.
    Relative(u8, i64),
    /// At this address.
    Absolute(u64),
    /// In memory, at an address that depends on more than that.
    Unknown,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The eight bytes there.
    Word(Place),
    /// The address of this operand.
    AddressOf(Place),
    Constant(u64),
    /// The register's own value and this.
    Plus(i64),
    Unknown,
}

/// Operations on the words of locks, and what tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atomic {
    /// `xchg` of four bytes with this register.
    Exchange(u8),
    /// `lock cmpxchg` of four bytes.
    CompareExchange,
    /// `lock xadd` of four bytes with this register.
    Add(u8),
}

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    /// What it writes, how many bytes, and from what.
    pub(super) write: Option<(Place, u64, Source)>,
    /// A bit for each other register whose value is lost.
    pub(super) lost: u16,
    /// Whether it writes to memory at an unknown address, as copies do.
    pub(super) copies: bool,
    /// The operation on the word at `write`, if it is one that locks use.
    pub(super) atomic: Option<Atomic>,
    /// The register and the number that it compares.
    pub(super) compares: Option<(u8, i64)>,
}

const NOTHING: Operation = Operation { write: None, lost: 0, copies: false, atomic: None, compares: None };

/// Everything may have changed.
const UNKNOWN: Operation = Operation { lost: !(1 << RSP), copies: true, ..NOTHING };

/// Decodes the instruction that begins at `offset` of this code.
pub(super) fn operation(code: &Code<'_>, offset: usize) -> Option<(usize, Effect, Operation)> {
    let (length, effect) = decode(code, offset)?;
    let next = code.start.wrapping_add((offset + length) as u64);
    let bytes = code.bytes.get(offset..offset + length)?;
    Some((length, effect, parse(bytes, next).unwrap_or(UNKNOWN)))
}

#[allow(clippy::struct_excessive_bools, reason = "an instruction has any of them")]
struct Prefixes {
    /// The bits of a REX prefix.
    rex: u8,
    operand16: bool,
    /// A segment, or addresses of 32 bits.
    is_unusual: bool,
    locks: bool,
    repeats: bool,
}

impl Prefixes {
    fn is_wide(&self) -> bool {
        self.rex & 8 != 0
    }

    fn size(&self) -> u64 {
        match (self.is_wide(), self.operand16) {
            (true, _) => 8,
            (false, true) => 2,
            (false, false) => 4,
        }
    }

    fn is_of_four_bytes(&self) -> bool {
        self.size() == 4 && !self.is_unusual
    }
}

/// The register and the operand that a `ModRM` byte names, and how many bytes it takes.
fn operands(bytes: &[u8], prefixes: &Prefixes, next: u64) -> Option<(u8, Place, usize)> {
    let &byte = bytes.first()?;
    let (mode, low) = (byte >> 6, byte & 7);
    let register = byte >> 3 & 7 | (prefixes.rex & 4) << 1;
    if mode == 3 {
        return Some((register, Place::Register(low | (prefixes.rex & 1) << 3), 1));
    }
    let mut at = 1;
    let mut base = Some(low | (prefixes.rex & 1) << 3);
    let mut has_index = false;
    if low == 4 {
        let &sib = bytes.get(at)?;
        at += 1;
        has_index = sib >> 3 & 7 | (prefixes.rex & 2) << 2 != 4;
        base = (sib & 7 != 5 || mode != 0).then_some(sib & 7 | (prefixes.rex & 1) << 3);
    }
    let is_relative = low == 5 && mode == 0;
    let size = match mode {
        1 => 1,
        2 => 4,
        _ if is_relative || base.is_none() => 4,
        _ => 0,
    };
    let displacement = number(bytes.get(at..at + size)?);
    let place = match base {
        _ if has_index || prefixes.is_unusual => Place::Unknown,
        _ if is_relative => Place::Absolute(next.wrapping_add_signed(displacement)),
        Some(base) => Place::Relative(base, displacement),
        None => Place::Absolute(displacement.cast_unsigned()),
    };
    Some((register, place, at + size))
}

/// A signed number of up to eight bytes.
fn number(bytes: &[u8]) -> i64 {
    let mut all = [if bytes.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 }; 8];
    if let Some(low) = all.get_mut(..bytes.len()) {
        low.copy_from_slice(bytes);
    }
    i64::from_le_bytes(all)
}

fn writes(place: Place, size: u64) -> Operation {
    Operation { write: Some((place, size, Source::Unknown)), ..NOTHING }
}

fn loses(registers: &[u8]) -> Operation {
    Operation { lost: registers.iter().fold(0, |lost, register| lost | 1 << register), ..NOTHING }
}

fn sets(register: u8, source: Source) -> Operation {
    Operation { write: Some((Place::Register(register), 8, source)), ..NOTHING }
}

/// Parses the bytes of one instruction. `None` if it is not understood.
fn parse(bytes: &[u8], next: u64) -> Option<Operation> {
    let mut prefixes = Prefixes { rex: 0, operand16: false, is_unusual: false, locks: false, repeats: false };
    let mut rest = bytes;
    let opcode = loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            0x66 => prefixes.operand16 = true,
            0x64 | 0x65 | 0x67 => prefixes.is_unusual = true,
            0xf0 => prefixes.locks = true,
            0xf2 | 0xf3 => prefixes.repeats = true,
            0x26 | 0x2e | 0x36 | 0x3e => {}
            0x40..=0x4f => prefixes.rex = byte,
            opcode => break opcode,
        }
    };
    match opcode {
        0x0f => {
            let (&opcode, rest) = rest.split_first()?;
            two_bytes(opcode, rest, &prefixes, next)
        }
        _ => one_byte(opcode, rest, &prefixes, next),
    }
}

#[allow(clippy::too_many_lines, clippy::match_same_arms, reason = "one match over all opcodes")]
fn one_byte(opcode: u8, rest: &[u8], prefixes: &Prefixes, next: u64) -> Option<Operation> {
    let modrm = || operands(rest, prefixes, next);
    let size = if opcode & 1 == 0 { 1 } else { prefixes.size() };
    let last_of = |register: u8| register | (prefixes.rex & 1) << 3;
    Some(match opcode {
        0x38..=0x3d | 0x84 | 0x85 | 0xa8 | 0xa9 => NOTHING,
        0x00..=0x37 => match opcode & 7 {
            4 | 5 => loses(&[RAX]),
            direction => {
                let (register, place, _) = modrm()?;
                let is_zero = matches!(opcode, 0x30..=0x33) && place == Place::Register(register);
                match direction {
                    _ if is_zero => sets(register, Source::Constant(0)),
                    0 | 1 => writes(place, size),
                    _ => loses(&[register]),
                }
            }
        },
        // The value on the stack is that of a register, which is not followed.
        0x50..=0x57 | 0x68 | 0x6a => writes(Place::Relative(RSP, -8), 8),
        0x58..=0x5f => loses(&[last_of(opcode & 7)]),
        0x63 | 0x69 | 0x6b => loses(&[modrm()?.0]),
        0x80 | 0x81 | 0x83 => {
            let (_, place, length) = modrm()?;
            let extension = rest.first()? >> 3 & 7;
            let immediate = number(rest.get(length..)?);
            match (place, extension) {
                (Place::Register(register), 7) if opcode != 0x80 => {
                    Operation { compares: Some((register, immediate)), ..NOTHING }
                }
                (_, 7) => NOTHING,
                (Place::Register(register), 0) if prefixes.is_wide() => {
                    sets(register, Source::Plus(immediate))
                }
                (Place::Register(register), 5) if prefixes.is_wide() => {
                    sets(register, Source::Plus(immediate.wrapping_neg()))
                }
                _ => writes(place, size),
            }
        }
        0x86 | 0x87 => {
            let (register, place, _) = modrm()?;
            let atomic =
                (opcode == 0x87 && prefixes.is_of_four_bytes() && !matches!(place, Place::Register(_)))
                    .then_some(Atomic::Exchange(register));
            Operation { lost: 1 << register, atomic, ..writes(place, size) }
        }
        0x88 => writes(modrm()?.1, 1),
        0x89 => match modrm()? {
            (register, Place::Register(to), _) if prefixes.is_wide() => {
                sets(to, Source::Word(Place::Register(register)))
            }
            (register, place, _) => {
                let source =
                    if size == 8 { Source::Word(Place::Register(register)) } else { Source::Unknown };
                Operation { write: Some((place, size, source)), ..NOTHING }
            }
        },
        0x8a => loses(&[modrm()?.0]),
        0x8b => {
            let (register, place, _) = modrm()?;
            if prefixes.is_wide() { sets(register, Source::Word(place)) } else { loses(&[register]) }
        }
        0x8c | 0x8e | 0x8f => writes(modrm()?.1, 8),
        0x8d => {
            let (register, place, _) = modrm()?;
            if prefixes.is_wide() { sets(register, Source::AddressOf(place)) } else { loses(&[register]) }
        }
        0x90 | 0x9b..=0x9f | 0xf5 | 0xf8..=0xfd => NOTHING,
        0x91..=0x97 => loses(&[RAX, last_of(opcode & 7)]),
        0x98 => loses(&[RAX]),
        0x99 => loses(&[RDX]),
        0xa4..=0xa7 | 0xaa..=0xaf => Operation { copies: true, ..loses(&[RAX, RCX, RSI, RDI]) },
        0xb0..=0xb7 => loses(&[last_of(opcode & 7)]),
        0xb8..=0xbf if prefixes.is_wide() => {
            sets(last_of(opcode & 7), Source::Constant(number(rest.get(..8)?).cast_unsigned()))
        }
        // Into the low half; the high one becomes 0.
        0xb8..=0xbf if !prefixes.operand16 => {
            let low = u32::from_le_bytes(*rest.first_chunk::<4>()?);
            sets(last_of(opcode & 7), Source::Constant(low.into()))
        }
        0xc0 | 0xc1 | 0xd0..=0xd3 => writes(modrm()?.1, size),
        0xc6 | 0xc7 => match modrm()? {
            (_, Place::Register(register), length) if prefixes.is_wide() => {
                sets(register, Source::Constant(number(rest.get(length..)?).cast_unsigned()))
            }
            (_, place, _) => writes(place, size),
        },
        // Calls, jumps, branches and ends are known by their effects.
        0x70..=0x7f | 0xc2 | 0xc3 | 0xc9 | 0xcc | 0xe0..=0xe3 | 0xe8..=0xeb | 0xf4 => NOTHING,
        0xd8..=0xdf => writes(modrm()?.1, 16),
        0xf6 | 0xf7 => match rest.first()? >> 3 & 7 {
            0 | 1 => NOTHING,
            2 | 3 => writes(modrm()?.1, size),
            _ => loses(&[RAX, RDX]),
        },
        0xfe | 0xff => match rest.first()? >> 3 & 7 {
            0 | 1 => writes(modrm()?.1, size),
            6 => writes(Place::Relative(RSP, -8), 8),
            _ => NOTHING,
        },
        _ => return None,
    })
}

#[allow(clippy::match_same_arms, reason = "opcodes that belong together are in one arm")]
fn two_bytes(opcode: u8, rest: &[u8], prefixes: &Prefixes, next: u64) -> Option<Operation> {
    let modrm = || operands(rest, prefixes, next);
    let size = if opcode & 1 == 0 { 1 } else { prefixes.size() };
    Some(match opcode {
        0x0b | 0x0d | 0x18..=0x1f | 0x77 | 0x80..=0x8f | 0xa3 | 0xae => NOTHING,
        0x05 => loses(&[RAX, RCX, 11]),
        0x31 => loses(&[RAX, RDX]),
        0xa2 => loses(&[RAX, 3, RCX, RDX]),
        0x2c | 0x2d | 0x40..=0x50 | 0xaf | 0xb6..=0xb8 | 0xbc..=0xbf | 0xc5 | 0xd7 => loses(&[modrm()?.0]),
        // Vector registers to memory.
        0x11 | 0x13 | 0x17 | 0x29 | 0x2b | 0x7f | 0xd6 | 0xe7 => match modrm()?.1 {
            Place::Register(_) => NOTHING,
            place => writes(place, 16),
        },
        0x7e if prefixes.repeats => NOTHING,
        0x7e | 0x90..=0x9f => writes(modrm()?.1, 8),
        0xb1 => {
            let (_, place, _) = modrm()?;
            let atomic = (prefixes.locks && prefixes.is_of_four_bytes()).then_some(Atomic::CompareExchange);
            Operation { lost: 1 << RAX, atomic, ..writes(place, size) }
        }
        0xb0 => Operation { lost: 1 << RAX, ..writes(modrm()?.1, 1) },
        0xc0 | 0xc1 => {
            let (register, place, _) = modrm()?;
            let atomic = (opcode == 0xc1 && prefixes.locks && prefixes.is_of_four_bytes())
                .then_some(Atomic::Add(register));
            Operation { lost: 1 << register, atomic, ..writes(place, size) }
        }
        0xba if rest.first()? >> 3 & 7 == 4 => NOTHING,
        0xa4 | 0xa5 | 0xab..=0xad | 0xb3 | 0xba | 0xbb => writes(modrm()?.1, 8),
        0xc7 => Operation { lost: 1 << RAX | 1 << RDX, ..writes(modrm()?.1, 16) },
        0xc8..=0xcf => loses(&[opcode & 7 | (prefixes.rex & 1) << 3]),
        // The other ones work on vector registers.
        0x10
        | 0x12
        | 0x14..=0x16
        | 0x28
        | 0x2a
        | 0x2e
        | 0x2f
        | 0x51..=0x76
        | 0x7c
        | 0x7d
        | 0xc2
        | 0xc4
        | 0xc6
        | 0xd0..=0xff => NOTHING,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Operation {
        let (length, _, operation) = operation(&Code { start: 0x1000, bytes }, 0).unwrap();
        assert_eq!(length, bytes.len(), "{bytes:x?}");
        operation
    }

    #[test]
    fn pointers_are_followed_from_place_to_place() {
        use Place::{Absolute, Register, Relative};
        for (bytes, to, source) in [
            (&[0x48, 0x89, 0xfb][..], Register(3), Source::Word(Register(RDI))), // mov rbx, rdi
            (&[0x4c, 0x8b, 0x74, 0x24, 0x10], Register(14), Source::Word(Relative(RSP, 16))), // mov r14, [rsp + 16]
            (&[0x48, 0x8d, 0x7c, 0x24, 0x28], Register(RDI), Source::AddressOf(Relative(RSP, 40))), // lea rdi, [rsp + 40]
            (&[0x48, 0x8d, 0x3d, 1, 0, 0, 0], Register(RDI), Source::AddressOf(Absolute(0x1008))), // lea rdi, [rip + 1]
            (&[0x48, 0x89, 0x44, 0x24, 8], Relative(RSP, 8), Source::Word(Register(RAX))), // mov [rsp + 8], rax
            (&[0x31, 0xc0], Register(RAX), Source::Constant(0)),                           // xor eax, eax
            (&[0xbf, 0x78, 0x56, 0x34, 0x92], Register(RDI), Source::Constant(0x9234_5678)), // mov edi, imm32
            (&[0x48, 0x83, 0xc7, 0x10], Register(RDI), Source::Plus(16)),                  // add rdi, 16
            (&[0x88, 0x4c, 0x24, 7], Relative(RSP, 7), Source::Unknown), // mov [rsp + 7], cl
        ] {
            let (place, _, from) = parsed(bytes).write.unwrap();
            assert_eq!((place, from), (to, source), "{bytes:x?}");
        }
        assert_eq!(parsed(&[0x48, 0x8b, 0x04, 0xcf]).write.unwrap().2, Source::Word(Place::Unknown)); // with an index
        // mov rax, fs:[0]
        let of_thread = parsed(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]);
        assert_eq!(of_thread.write.unwrap().2, Source::Word(Place::Unknown));
    }

    #[test]
    fn the_operations_of_locks_are_recognized() {
        for (bytes, place, atomic) in [
            (&[0x87, 0x03][..], Place::Relative(3, 0), Some(Atomic::Exchange(RAX))), // xchg [rbx], eax
            (&[0x41, 0x87, 0x4e, 0x18], Place::Relative(14, 24), Some(Atomic::Exchange(RCX))),
            (&[0x87, 0x05, 2, 0, 0, 0], Place::Absolute(0x1008), Some(Atomic::Exchange(RAX))),
            (&[0xf0, 0x0f, 0xb1, 0x0b], Place::Relative(3, 0), Some(Atomic::CompareExchange)),
            (&[0xf0, 0x0f, 0xc1, 0x03], Place::Relative(3, 0), Some(Atomic::Add(RAX))),
            // Of eight bytes, of one, and of two registers.
            (&[0x48, 0x87, 0x03], Place::Relative(3, 0), None),
            (&[0xf0, 0x48, 0x0f, 0xc1, 0x03], Place::Relative(3, 0), None),
            (&[0x86, 0x03], Place::Relative(3, 0), None),
            (&[0x87, 0xc3], Place::Register(3), None),
        ] {
            let parsed = parsed(bytes);
            assert_eq!((parsed.write.unwrap().0, parsed.atomic), (place, atomic), "{bytes:x?}");
        }
        assert_eq!(parsed(&[0x83, 0xf8, 2]).compares, Some((RAX, 2))); // cmp eax, 2
    }

    #[test]
    fn registers_that_are_written_are_lost() {
        assert_eq!(parsed(&[0x8b, 0x1f]).lost, 1 << 3); // mov ebx, [rdi]
        assert_eq!(parsed(&[0x0f, 0xb6, 0xdb]).lost, 1 << 3); // movzx ebx, bl
        assert_eq!(parsed(&[0x5b]).lost, 1 << 3); // pop rbx
        assert_eq!(parsed(&[0x0f, 0x28, 0xd8]).lost, 0); // movaps xmm3, xmm0
        // Not understood: vmovdqa ymm0, [rsp + 32].
        assert_eq!(parsed(&[0xc5, 0xfd, 0x6f, 0x44, 0x24, 0x20]), UNKNOWN);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..16)) {
            operation(&Code { start: u64::MAX - 3, bytes: &bytes }, 0);
            parse(&bytes, 7);
        }
    }
}
