//! Whether a function may fill an object whose address it is given: write to more than its first
//! words. It knows nothing of locks, and nothing of the values of registers.

use super::super::instruction::{Code, Effect, Target};
use super::super::operands::{self, Place, RBP, RCX, RDI, RDX, RSI, RSP, SCRATCH, Source};

/// The first words: as many bytes as std's `lock` returns.
const FIRST: i64 = 24;

/// The registers that arguments are passed in.
const ARGUMENTS: u16 = 1 << RDI | 1 << RSI | 1 << RDX | 1 << RCX | 1 << 8 | 1 << 9;

/// Whether the code may write behind the first words of the object whose address it is given first,
/// or passes the object on. It is read from its beginning to its end.
pub(super) fn may_fill(code: &Code<'_>) -> bool {
    // A bit for each register that has the object's address, and the places on the stack that do. A
    // place that is written to again counts, as the code may have come there by another way.
    let (mut registers, mut places) = (1_u16 << RDI, Vec::<Place>::new());
    // Branches ahead, each with the registers that have the address there.
    let mut ways = Vec::<(u64, u16)>::new();
    let mut offset = 0;
    while offset < code.bytes.len() {
        let here = code.start + offset as u64;
        registers |= ways.iter().filter(|(to, _)| *to == here).fold(0, |all, (_, of)| all | of);
        let Some((length, effect, operation)) = operands::operation(code, offset) else { return true };
        let has = |register: u8| registers >> register & 1 == 1;
        let mut now = registers & !operation.lost;
        if let Some((place, size, source)) = operation.write {
            let is_object = match source {
                Source::Word(Place::Register(from)) => has(from),
                Source::Word(from) => places.contains(&from),
                // The address of a part of it.
                Source::AddressOf(Place::Relative(base, distance)) if has(base) && distance != 0 => {
                    return true;
                }
                Source::AddressOf(Place::Relative(base, _)) => has(base),
                Source::Plus(_) if matches!(place, Place::Register(own) if has(own)) => return true,
                _ => false,
            };
            match place {
                Place::Register(to) => now = now & !(1 << to) | u16::from(is_object) << to,
                Place::Relative(base, distance) if has(base) => {
                    if !(0..=FIRST).contains(&distance.saturating_add_unsigned(size)) {
                        return true;
                    }
                }
                Place::Relative(RSP | RBP, _) if is_object => places.push(place),
                Place::Relative(..) | Place::Absolute(_) => {
                    if is_object {
                        return true;
                    }
                }
                Place::Unknown => return true,
            }
        }
        if operation.copies {
            return true;
        }
        registers = now;
        match effect {
            Effect::Call(_) if registers & ARGUMENTS != 0 => return true,
            Effect::Call(_) => registers &= !SCRATCH,
            Effect::Branch(to) => ways.push((to, registers)),
            Effect::Jump(Target::Code(to)) if code.offset_of(to).is_some() => {
                ways.push((to, std::mem::take(&mut registers)));
            }
            // To another function, or to one of the places in a table.
            Effect::Jump(target) => {
                if target == Target::Unknown || registers & ARGUMENTS != 0 {
                    return true;
                }
                registers = 0;
            }
            Effect::End => registers = 0,
            _ => {}
        }
        offset += length;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills(bytes: &[u8]) -> bool {
        may_fill(&Code { start: 0x1000, bytes })
    }

    #[test]
    fn what_is_written_behind_the_first_words_fills_an_object() {
        // `mov [rdi + distance], rax; ret`
        assert!(!fills(&[0x48, 0x89, 0x47, 0x10, 0xc3]));
        assert!(fills(&[0x48, 0x89, 0x47, 0x18, 0xc3]));
        // By `rbx`, which has the address: `mov rbx, rdi`, and one that does not: `mov rbx, rsi`.
        assert!(fills(&[0x48, 0x89, 0xfb, 0x48, 0x89, 0x43, 0x18, 0xc3]));
        assert!(!fills(&[0x48, 0x89, 0xf3, 0x48, 0x89, 0x43, 0x18, 0xc3]));
        // By a place on the stack: `mov [rsp + 8], rdi; mov rax, [rsp + 8]; mov [rax + 24], rcx`.
        let saved = [0x48, 0x89, 0x7c, 0x24, 8, 0x48, 0x8b, 0x44, 0x24, 8, 0x48, 0x89, 0x48, 0x18, 0xc3];
        assert!(fills(&saved));
        // `lea rax, [rdi + 24]`, `add rdi, 24`, and what is not understood.
        assert!(fills(&[0x48, 0x8d, 0x47, 0x18, 0xc3]));
        assert!(fills(&[0x48, 0x83, 0xc7, 0x18, 0xc3]));
        assert!(fills(&[0xc5, 0xfd, 0x7f, 0x47, 0x20, 0xc3]));
    }

    #[test]
    fn what_passes_an_object_on_may_fill_it() {
        const CALL: [u8; 5] = [0xe8, 0, 0, 0x10, 0];
        assert!(fills(&[&CALL[..], &[0xc3]].concat()));
        // `xor edi, edi` before, and `mov rsi, rdi` before that.
        assert!(!fills(&[&[0x31, 0xff], &CALL[..], &[0xc3]].concat()));
        assert!(fills(&[&[0x48, 0x89, 0xfe, 0x31, 0xff], &CALL[..], &[0xc3]].concat()));
        // The call is after a branch past `xor edi, edi; ret`.
        assert!(fills(&[&[0x74, 3, 0x31, 0xff, 0xc3], &CALL[..], &[0xc3]].concat()));
        // To another function, and by a table.
        assert!(fills(&[0xe9, 0, 0, 0x10, 0]));
        assert!(fills(&[0x31, 0xff, 0xff, 0xe0]));
    }
}
