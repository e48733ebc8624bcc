//! As much of the aarch64 instruction set as it takes to follow the stack pointer through a
//! function.

use super::instruction::{Code, Effect, Target};

const SP: u32 = 31;
const FP: u32 = 29;

/// Decodes the instruction that begins at `offset` of this code. `None` if it is cut off.
pub(super) fn decode(code: &Code<'_>, offset: usize) -> Option<(usize, Effect)> {
    let word = u32::from_le_bytes(*code.bytes.get(offset..)?.first_chunk::<4>()?);
    Some((4, effect(word, code.start.wrapping_add(offset as u64))))
}

/// How far a loop that begins at `offset` moves the stack pointer from page to page, and the length
/// of its code. Such loops are not known here: a function that has one is not followed.
#[cfg(target_arch = "aarch64")]
pub(super) fn probing_loop(_code: &Code<'_>, _offset: usize) -> Option<(usize, Effect)> {
    None
}

/// The signed number in `bits` bits of the word from `low` on.
fn signed(word: u32, low: u32, bits: u32) -> i64 {
    i64::from((word << (32 - low - bits)).cast_signed() >> (32 - bits))
}

fn effect(word: u32, address: u64) -> Effect {
    let target = |low: u32, bits: u32| address.wrapping_add_signed(signed(word, low, bits) * 4);
    let (destination, base) = (word & 31, word >> 5 & 31);
    match word {
        // b, bl
        _ if word & 0xfc00_0000 == 0x1400_0000 => Effect::Jump(Target::Code(target(0, 26))),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Effect::Call(Target::Code(target(0, 26))),
        // b.cond and bc.cond, cbz and cbnz, tbz and tbnz
        _ if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 => {
            Effect::Branch(target(5, 19))
        }
        _ if word & 0x7e00_0000 == 0x3600_0000 => Effect::Branch(target(5, 14)),
        // br, blr, ret, with and without authentication
        _ if word & 0xfe00_0000 == 0xd600_0000 => match word >> 21 & 7 {
            0 => Effect::Jump(Target::Unknown),
            1 => Effect::Call(Target::Unknown),
            _ => Effect::End,
        },
        // brk, udf
        _ if word & 0xffe0_001f == 0xd420_0000 || word & 0xffff_0000 == 0 => Effect::End,
        // add, sub with an immediate
        _ if word & 0xbf80_0000 == 0x9100_0000 => {
            let immediate = i64::from(word >> 10 & 0xfff) << if word >> 22 & 1 == 1 { 12 } else { 0 };
            let immediate = if word >> 30 & 1 == 1 { -immediate } else { immediate };
            match (destination, base) {
                (SP, SP) => Effect::AddToStack(immediate),
                (FP, SP) => Effect::SetFrame(immediate),
                (SP, FP) => Effect::StackFromFrame(immediate),
                (SP, _) => Effect::Unclear,
                _ => Effect::None,
            }
        }
        // add, sub with an extended register; and, orr, eor with an immediate; addvl, addpl
        _ if word & 0xbfe0_0000 == 0x8b20_0000
            || word & 0x9f80_0000 == 0x9200_0000 && word >> 29 & 3 != 3
            || word & 0xffa0_f000 == 0x0420_5000 =>
        {
            if destination == SP {
                Effect::Unclear
            } else {
                Effect::None
            }
        }
        // Loads and stores of a pair.
        _ if word >> 27 & 7 == 0b101 && word >> 25 & 1 == 0 && base == SP => pair(word),
        // Loads and stores of one register, with a stack pointer that they change.
        _ if word >> 27 & 7 == 0b111
            && word & 0x0300_0000 == 0
            && word >> 21 & 1 == 0
            && word >> 10 & 1 == 1
            && base == SP =>
        {
            if loads_frame(word, &[destination]) {
                Effect::Leave
            } else {
                Effect::AddToStack(signed(word, 12, 9))
            }
        }
        // A load of the frame pointer.
        _ if word & 0xffc0_0000 == 0xf940_0000 && base == SP && destination == FP => Effect::Leave,
        _ => Effect::None,
    }
}

/// Whether an instruction loads the frame pointer.
fn loads_frame(word: u32, registers: &[u32]) -> bool {
    word >> 26 & 1 == 0 && word >> 22 & 1 == 1 && registers.contains(&FP)
}

fn pair(word: u32) -> Effect {
    if loads_frame(word, &[word & 31, word >> 10 & 31]) {
        return Effect::Leave;
    }
    let is_vector = word >> 26 & 1 == 1;
    let scale = match (word >> 30, is_vector) {
        (size, true) => 4 << size,
        (0b10, false) => 8,
        (_, false) => 4,
    };
    match word >> 23 & 3 {
        // After, before the access.
        0b01 | 0b11 => Effect::AddToStack(signed(word, 15, 7) * scale),
        _ => Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(word: u32) -> Effect {
        let bytes = word.to_le_bytes();
        decode(&Code { start: 0x1000, bytes: &bytes }, 0).unwrap().1
    }

    #[test]
    fn the_stack_pointer_and_the_frame_pointer_are_followed() {
        for (word, effect) in [
            (0xa9be_7bfd, Effect::AddToStack(-32)),     // stp x29, x30, [sp, #-32]!
            (0x9100_03fd, Effect::SetFrame(0)),         // mov x29, sp
            (0x9101_43fd, Effect::SetFrame(80)),        // add x29, sp, #80
            (0xd101_83ff, Effect::AddToStack(-96)),     // sub sp, sp, #96
            (0xd140_07ff, Effect::AddToStack(-4096)),   // sub sp, sp, #1, lsl #12
            (0x9101_83ff, Effect::AddToStack(96)),      // add sp, sp, #96
            (0x9100_03bf, Effect::StackFromFrame(0)),   // mov sp, x29
            (0xd100_43bf, Effect::StackFromFrame(-16)), // sub sp, x29, #16
            (0x927a_e53f, Effect::Unclear),             // and sp, x9, #0xffffffffffffffc0
            (0xcb29_63ff, Effect::Unclear),             // sub sp, sp, x9
            (0xf81f_0ffe, Effect::AddToStack(-16)),     // str x30, [sp, #-16]!
            (0xf841_07fe, Effect::AddToStack(16)),      // ldr x30, [sp], #16
            (0x6dbf_23e9, Effect::AddToStack(-16)),     // stp d9, d8, [sp, #-16]!
            (0xa8c2_7bfd, Effect::Leave),               // ldp x29, x30, [sp], #32
            (0xa945_7bfd, Effect::Leave),               // ldp x29, x30, [sp, #80]
            (0xa901_53f3, Effect::None),                // stp x19, x20, [sp, #16]
            (0xf940_03e0, Effect::None),                // ldr x0, [sp]
            (0x9100_43e0, Effect::None),                // add x0, sp, #16
        ] {
            assert_eq!(decoded(word), effect, "{word:x}");
        }
    }

    #[test]
    fn the_flow_of_control_is_followed() {
        for (word, effect) in [
            (0x9400_0002, Effect::Call(Target::Code(0x1008))), // bl
            (0x97ff_ffff, Effect::Call(Target::Code(0xffc))),
            (0xd63f_0100, Effect::Call(Target::Unknown)), // blr x8
            (0x1400_0002, Effect::Jump(Target::Code(0x1008))), // b
            (0xd61f_0100, Effect::Jump(Target::Unknown)), // br x8
            (0x5400_0040, Effect::Branch(0x1008)),        // b.eq
            (0xb400_0040, Effect::Branch(0x1008)),        // cbz x0
            (0x3600_0040, Effect::Branch(0x1008)),        // tbz w0, #0
            (0xd65f_03c0, Effect::End),                   // ret
            (0xd65f_0bff, Effect::End),                   // retaa
            (0xd420_0020, Effect::End),                   // brk #1
            (0xd400_0001, Effect::None),                  // svc #0
        ] {
            assert_eq!(decoded(word), effect, "{word:x}");
        }
    }
}
