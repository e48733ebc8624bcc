//! As much of the `x86_64` instruction set as it takes to follow the stack pointer through a
//! function: the length of each instruction, and what it does to `rsp`, `rbp` and the flow of
//! control.

use super::instruction::{Code, Effect, Target};

/// Decodes the instruction that begins at `offset` of this code. `None` if it is invalid or cut
/// off.
pub(super) fn decode(code: &Code<'_>, offset: usize) -> Option<(usize, Effect)> {
    let bytes = code.bytes.get(offset..)?;
    let bytes = &bytes[..bytes.len().min(15)];
    let mut decoder = Decoder { bytes, at: 0, rex: 0, operand16: false, address32: false };
    let effect = decoder.instruction(code.start.wrapping_add(offset as u64))?;
    Some((decoder.at, effect))
}

/// How far a loop that begins at `offset` moves the stack pointer, and the length of its code.
/// Compilers write it into functions with large frames: it touches each page, so that the guard
/// page is not skipped. `offset` is that of the instruction that computes where the loop ends.
#[cfg(target_arch = "x86_64")]
pub(super) fn probing_loop(code: &Code<'_>, offset: usize) -> Option<(usize, Effect)> {
    const PAGE: u32 = 4096;
    // lea r11, [rsp - distance]
    let rest = code.bytes.get(offset..)?.strip_prefix(&[0x4c, 0x8d, 0x9c, 0x24])?;
    let (distance, rest) = rest.split_first_chunk::<4>()?;
    let distance = i32::from_le_bytes(*distance);
    if distance >= 0 || !distance.unsigned_abs().is_multiple_of(PAGE) {
        return None;
    }
    // sub rsp, 4096
    let rest = rest.strip_prefix(&[0x48, 0x81, 0xec, 0, 0x10, 0, 0])?;
    // mov qword [rsp], 0; or qword [rsp], 0
    let touches: [&[u8]; 2] = [&[0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0], &[0x48, 0x83, 0x0c, 0x24, 0]];
    let (touch, rest) = touches.iter().find_map(|touch| Some((touch.len(), rest.strip_prefix(*touch)?)))?;
    // cmp rsp, r11; jne to the second instruction
    let rest = rest.strip_prefix(&[0x4c, 0x39, 0xdc, 0x75])?;
    let back = i8::try_from(touch + 12).ok()?;
    (rest.first()?.cast_signed() == -back).then_some((8 + 7 + touch + 5, Effect::AddToStack(distance.into())))
}

/// What an instruction with an operand that can be the stack pointer does.
fn unclear_if(changes_stack: bool) -> Effect {
    if changes_stack { Effect::Unclear } else { Effect::None }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    rex: u8,
    operand16: bool,
    address32: bool,
}

/// The fields of a `ModRM` byte, with the bits of the prefixes.
#[derive(Debug, Clone, Copy)]
struct ModRm {
    mode: u8,
    /// The field that extends the opcode.
    extension: u8,
    register: u8,
    /// The register if `mode` is 3, or else the base of an address without an index.
    base: Option<u8>,
    displacement: i64,
    /// The address is relative to the next instruction.
    is_relative: bool,
}

const RSP: u8 = 4;
const RBP: u8 = 5;

impl ModRm {
    fn is_register(self) -> bool {
        self.mode == 3
    }

    /// Whether the operand is this register.
    fn is(self, register: u8) -> bool {
        self.is_register() && self.base == Some(register)
    }
}

impl Decoder<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn signed8(&mut self) -> Option<i64> {
        self.byte().map(|byte| i64::from(byte.cast_signed()))
    }

    fn signed32(&mut self) -> Option<i64> {
        let bytes = self.bytes.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        Some(i32::from_le_bytes(*bytes).into())
    }

    /// An immediate of 16 bits with the operand size prefix, else of 32.
    fn immediate(&mut self) -> Option<i64> {
        if self.operand16 {
            let bytes = self.bytes.get(self.at..)?.first_chunk::<2>()?;
            self.at += 2;
            return Some(i16::from_le_bytes(*bytes).into());
        }
        self.signed32()
    }

    fn modrm(&mut self) -> Option<ModRm> {
        let byte = self.byte()?;
        let (mode, extension, low) = (byte >> 6, byte >> 3 & 7, byte & 7);
        let register = extension | (self.rex & 4) << 1;
        let mut base = Some(low | (self.rex & 1) << 3);
        let mut is_relative = false;
        let mut displacement = 0;
        let mut has_base = true;
        if mode != 3 {
            if low == 4 {
                let sib = self.byte()?;
                let index = sib >> 3 & 7 | (self.rex & 2) << 2;
                base = (index == 4).then_some(sib & 7 | (self.rex & 1) << 3);
                has_base = !(sib & 7 == 5 && mode == 0);
            } else if low == 5 && mode == 0 {
                is_relative = true;
                has_base = false;
            }
            if !has_base {
                base = None;
            }
            displacement = match mode {
                1 => self.signed8()?,
                0 if has_base => 0,
                _ => self.signed32()?,
            };
        }
        Some(ModRm { mode, extension, register, base, displacement, is_relative })
    }

    fn instruction(&mut self, address: u64) -> Option<Effect> {
        let opcode = loop {
            match self.byte()? {
                0x66 => self.operand16 = true,
                0x67 => self.address32 = true,
                0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
                rex @ 0x40..=0x4f => {
                    self.rex = rex;
                    match self.byte()? {
                        // A prefix after it makes it void. No compiler writes this.
                        0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => {
                            return None;
                        }
                        opcode => break opcode,
                    }
                }
                opcode => break opcode,
            }
        };
        match opcode {
            0x0f => self.two_byte(address),
            0xc5 => {
                self.skip(1)?;
                self.vector(1)
            }
            0xc4 => {
                let map = self.byte()? & 0x1f;
                self.skip(1)?;
                self.vector(map)
            }
            0x62 => {
                let map = self.byte()? & 7;
                self.skip(2)?;
                self.vector(map)
            }
            _ => self.one_byte(opcode, address),
        }
    }

    /// An instruction with a VEX or EVEX prefix. None of those that compilers write changes `rsp`.
    fn vector(&mut self, map: u8) -> Option<Effect> {
        let opcode = self.byte()?;
        // vzeroupper, vzeroall
        if map == 1 && opcode == 0x77 {
            return Some(Effect::None);
        }
        // VEX has extensions of the registers in its own bits; only the length is needed.
        self.modrm()?;
        match map {
            1 if matches!(opcode, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) => self.skip(1)?,
            1 | 2 | 5 | 6 => {}
            3 => self.skip(1)?,
            _ => return None,
        }
        Some(Effect::None)
    }

    fn target(&mut self, address: u64, distance: i64) -> u64 {
        address.wrapping_add(self.at as u64).wrapping_add_signed(distance)
    }

    fn two_byte(&mut self, address: u64) -> Option<Effect> {
        let opcode = self.byte()?;
        match opcode {
            // syscall, clts, sysret, invd, wbinvd, wrmsr to getsec, emms, push and pop of fs and gs
            // (below), cpuid, rsm, bswap
            0x05..=0x09 | 0x0e | 0x30..=0x35 | 0x37 | 0x77 | 0xa2 | 0xaa => Some(Effect::None),
            0xc8..=0xcf => Some(unclear_if(opcode & 7 | (self.rex & 1) << 3 == RSP)),
            0xa0 | 0xa8 => Some(Effect::AddToStack(-8)),
            0xa1 | 0xa9 => Some(Effect::AddToStack(8)),
            0x0b => Some(Effect::End),
            0x80..=0x8f => {
                let distance = self.signed32()?;
                Some(Effect::Branch(self.target(address, distance)))
            }
            0x38 => {
                self.skip(1)?;
                self.modrm()?;
                Some(Effect::None)
            }
            0x3a => {
                self.skip(1)?;
                self.modrm()?;
                self.skip(1)?;
                Some(Effect::None)
            }
            0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x39 | 0x3b..=0x3f | 0x7a | 0x7b | 0xa6 | 0xa7 => None,
            _ => {
                let modrm = self.modrm()?;
                if matches!(opcode, 0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6) {
                    self.skip(1)?;
                }
                // ud1, ud0
                if matches!(opcode, 0xb9 | 0xff) {
                    return Some(Effect::End);
                }
                let into_register = matches!(
                    opcode,
                    0x02 | 0x03 | 0x2c | 0x2d | 0x40..=0x4f | 0x50 | 0xaf | 0xb2 | 0xb4..=0xb8
                        | 0xbc..=0xbf | 0xc0 | 0xc1 | 0xc5 | 0xd7
                );
                let into_operand = matches!(
                    opcode,
                    0x7e | 0x90
                        ..=0x9f
                            | 0xa4
                            | 0xa5
                            | 0xab
                            | 0xac
                            | 0xad
                            | 0xb0
                            | 0xb1
                            | 0xb3
                            | 0xba
                            | 0xbb
                            | 0xc0
                            | 0xc1
                            | 0xc7
                );
                Some(unclear_if(into_register && modrm.register == RSP || into_operand && modrm.is(RSP)))
            }
        }
    }

    #[allow(clippy::too_many_lines, reason = "one match over all opcodes")]
    fn one_byte(&mut self, opcode: u8, address: u64) -> Option<Effect> {
        // Operations on bytes: without a REX prefix, register 4 is `ah` and not `spl`.
        let on_bytes = opcode & 1 == 0 && self.rex == 0;
        Some(match opcode {
            0x00..=0x3f => match opcode & 7 {
                0..=3 => {
                    let modrm = self.modrm()?;
                    let compares = opcode >> 3 == 7;
                    let changed = if opcode & 2 == 0 { modrm.is(RSP) } else { modrm.register == RSP };
                    unclear_if(changed && !compares && !on_bytes)
                }
                4 => {
                    self.skip(1)?;
                    Effect::None
                }
                5 => {
                    self.immediate()?;
                    Effect::None
                }
                // Prefixes are handled before; the other ones are invalid.
                _ => return None,
            },
            0x50..=0x57 => Effect::AddToStack(if self.operand16 { -2 } else { -8 }),
            0x58..=0x5f if self.operand16 => Effect::Unclear,
            0x58..=0x5f => match opcode & 7 | (self.rex & 1) << 3 {
                RSP => Effect::Unclear,
                RBP => Effect::PopFrame,
                _ => Effect::AddToStack(8),
            },
            0x63 => {
                let modrm = self.modrm()?;
                unclear_if(modrm.register == RSP)
            }
            0x68 => {
                self.immediate()?;
                Effect::AddToStack(-8)
            }
            0x6a => {
                self.skip(1)?;
                Effect::AddToStack(-8)
            }
            0x69 | 0x6b => {
                let modrm = self.modrm()?;
                if opcode == 0x69 {
                    self.immediate()?;
                } else {
                    self.skip(1)?;
                }
                unclear_if(modrm.register == RSP)
            }
            0x6c..=0x6f
            | 0x90
            | 0x98
            | 0x99
            | 0x9b
            | 0x9e
            | 0x9f
            | 0xa4..=0xa7
            | 0xaa..=0xaf
            | 0xec..=0xef
            | 0xd7
            | 0xf5
            | 0xf8..=0xfd => Effect::None,
            0x70..=0x7f | 0xe0..=0xe3 => {
                let distance = self.signed8()?;
                Effect::Branch(self.target(address, distance))
            }
            0x80 | 0x81 | 0x83 => {
                let modrm = self.modrm()?;
                let immediate = if opcode == 0x81 { self.immediate()? } else { self.signed8()? };
                let is_stack = modrm.is(RSP) && !on_bytes;
                match modrm.extension {
                    7 => Effect::None,
                    _ if !is_stack => Effect::None,
                    0 if self.is_wide() => Effect::AddToStack(immediate),
                    5 if self.is_wide() => Effect::AddToStack(-immediate),
                    4 if self.is_wide() && immediate < 0 && immediate.unsigned_abs().is_power_of_two() => {
                        Effect::Align(immediate.unsigned_abs())
                    }
                    _ => Effect::Unclear,
                }
            }
            0x84 | 0x85 | 0xd8..=0xdf => {
                self.modrm()?;
                Effect::None
            }
            0x86 | 0x87 => {
                let modrm = self.modrm()?;
                unclear_if((modrm.is(RSP) || modrm.register == RSP) && !on_bytes)
            }
            0x88..=0x8b => {
                let modrm = self.modrm()?;
                let (to, from) = if opcode & 2 == 0 {
                    (modrm.base, modrm.register)
                } else {
                    (Some(modrm.register), modrm.base.unwrap_or(0xff))
                };
                let between_registers = modrm.is_register() && self.is_wide();
                match (to, from) {
                    (Some(RBP), RSP) if between_registers => Effect::SetFrame(0),
                    (Some(RSP), RBP) if between_registers => Effect::StackFromFrame(0),
                    (Some(RSP), _) => unclear_if(!on_bytes && (modrm.is_register() || opcode & 2 != 0)),
                    _ => Effect::None,
                }
            }
            // From and to segment registers.
            0x8c | 0x8e => {
                let modrm = self.modrm()?;
                unclear_if(opcode == 0x8c && modrm.is(RSP))
            }
            0x8d => {
                let modrm = self.modrm()?;
                match (modrm.register, modrm.base) {
                    (RBP, Some(RSP)) if self.is_wide() => Effect::SetFrame(modrm.displacement),
                    (RSP, Some(RSP)) if self.is_wide() => Effect::AddToStack(modrm.displacement),
                    (RSP, Some(RBP)) if self.is_wide() => Effect::StackFromFrame(modrm.displacement),
                    (RSP, _) => Effect::Unclear,
                    _ => Effect::None,
                }
            }
            0x8f => {
                let modrm = self.modrm()?;
                if modrm.extension != 0 || modrm.is(RSP) {
                    return None;
                }
                Effect::AddToStack(8)
            }
            0x91..=0x97 => unclear_if(opcode & 7 | (self.rex & 1) << 3 == RSP),
            0x9c => Effect::AddToStack(-8),
            0x9d => Effect::AddToStack(8),
            0xa0..=0xa3 => {
                self.skip(if self.address32 { 4 } else { 8 })?;
                Effect::None
            }
            0xa8 | 0xb0..=0xb7 | 0xcd | 0xe4..=0xe7 => {
                self.skip(1)?;
                Effect::None
            }
            0xa9 => {
                self.immediate()?;
                Effect::None
            }
            0xb8..=0xbf => {
                if self.is_wide() {
                    self.skip(8)?;
                } else {
                    self.immediate()?;
                }
                unclear_if(opcode & 7 | (self.rex & 1) << 3 == RSP)
            }
            0xc0 | 0xc1 | 0xc6 | 0xc7 => {
                let modrm = self.modrm()?;
                // 7 is xbegin and xabort.
                if opcode >= 0xc6 && !matches!(modrm.extension, 0 | 7) {
                    return None;
                }
                if opcode == 0xc7 {
                    self.immediate()?;
                } else {
                    self.skip(1)?;
                }
                unclear_if(modrm.is(RSP) && !on_bytes)
            }
            0xd0..=0xd3 => {
                let modrm = self.modrm()?;
                unclear_if(modrm.is(RSP) && !on_bytes)
            }
            0xc2 => {
                self.skip(2)?;
                Effect::End
            }
            0xc3 | 0xcc | 0xf4 => Effect::End,
            0xc9 => Effect::Leave,
            // The operand size prefix does not change these; the C library's TLS code has it.
            0xe8 => {
                let distance = self.signed32()?;
                Effect::Call(Target::Code(self.target(address, distance)))
            }
            0xe9 => {
                let distance = self.signed32()?;
                Effect::Jump(Target::Code(self.target(address, distance)))
            }
            0xeb => {
                let distance = self.signed8()?;
                Effect::Jump(Target::Code(self.target(address, distance)))
            }
            0xf6 | 0xf7 => {
                let modrm = self.modrm()?;
                match modrm.extension {
                    0 | 1 if opcode == 0xf6 => self.skip(1)?,
                    0 | 1 => drop(self.immediate()?),
                    _ => {}
                }
                unclear_if(matches!(modrm.extension, 2 | 3) && modrm.is(RSP) && !on_bytes)
            }
            0xfe | 0xff => {
                let modrm = self.modrm()?;
                let target = if modrm.is_relative {
                    Target::Slot(self.target(address, modrm.displacement))
                } else {
                    Target::Unknown
                };
                match (opcode, modrm.extension) {
                    (_, 0 | 1) => unclear_if(modrm.is(RSP) && !on_bytes),
                    (0xff, 2) => Effect::Call(target),
                    (0xff, 4) => Effect::Jump(target),
                    (0xff, 6) => Effect::AddToStack(-8),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    /// Whether the operands have 64 bits.
    fn is_wide(&self) -> bool {
        self.rex & 8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<(usize, Effect)> {
        decode(&Code { start: 0x1000, bytes }, 0)
    }

    #[test]
    fn the_stack_pointer_and_the_frame_pointer_are_followed() {
        for (bytes, effect) in [
            (&[0x55][..], Effect::AddToStack(-8)),                       // push rbp
            (&[0x41, 0x57], Effect::AddToStack(-8)),                     // push r15
            (&[0x48, 0x89, 0xe5], Effect::SetFrame(0)),                  // mov rbp, rsp
            (&[0x48, 0x8b, 0xec], Effect::SetFrame(0)),                  // the same
            (&[0x48, 0x8d, 0x6c, 0x24, 0x20], Effect::SetFrame(32)),     // lea rbp, [rsp + 32]
            (&[0x48, 0x83, 0xec, 0x18], Effect::AddToStack(-24)),        // sub rsp, 24
            (&[0x48, 0x81, 0xec, 0, 1, 0, 0], Effect::AddToStack(-256)), // sub rsp, 256
            (&[0x48, 0x83, 0xec, 0x80], Effect::AddToStack(128)),        // sub rsp, -128
            (&[0x48, 0x83, 0xc4, 0x18], Effect::AddToStack(24)),         // add rsp, 24
            (&[0x48, 0x8d, 0x64, 0x24, 0xf8], Effect::AddToStack(-8)),   // lea rsp, [rsp - 8]
            (&[0x48, 0x8d, 0x65, 0xd8], Effect::StackFromFrame(-40)),    // lea rsp, [rbp - 40]
            (&[0x48, 0x89, 0xec], Effect::StackFromFrame(0)),            // mov rsp, rbp
            (&[0x48, 0x83, 0xe4, 0xc0], Effect::Align(64)),              // and rsp, -64
            (&[0x5d], Effect::PopFrame),                                 // pop rbp
            (&[0x41, 0x5d], Effect::AddToStack(8)),                      // pop r13
            (&[0xc9], Effect::Leave),                                    // leave
            (&[0x48, 0x29, 0xc4], Effect::Unclear),                      // sub rsp, rax
            (&[0x48, 0x89, 0xc4], Effect::Unclear),                      // mov rsp, rax
            (&[0x48, 0x94], Effect::Unclear),                            // xchg rsp, rax
            (&[0x49, 0x8d, 0x62, 0xf8], Effect::Unclear),                // lea rsp, [r10 - 8]
            (&[0x48, 0x89, 0x44, 0x24, 0x08], Effect::None),             // mov [rsp + 8], rax
            (&[0x4c, 0x89, 0xe4], Effect::Unclear),                      // mov rsp, r12
            (&[0x4d, 0x89, 0xe4], Effect::None),                         // mov r12, r12
            (&[0x48, 0x39, 0xdc], Effect::None),                         // cmp rsp, rbx
            (&[0x88, 0xc4], Effect::None),                               // mov ah, al
            (&[0x48, 0x83, 0xfc, 0x10], Effect::None),                   // cmp rsp, 16
            (&[0x68, 1, 2, 3, 4], Effect::AddToStack(-8)),               // push imm32
            (&[0xff, 0x75, 0xf8], Effect::AddToStack(-8)),               // push [rbp - 8]
        ] {
            assert_eq!(decoded(bytes), Some((bytes.len(), effect)), "{bytes:x?}");
        }
    }

    #[test]
    fn the_flow_of_control_is_followed() {
        for (bytes, effect) in [
            (&[0xe8, 1, 0, 0, 0][..], Effect::Call(Target::Code(0x1006))),
            (&[0x66, 0x66, 0x48, 0xe8, 1, 0, 0, 0], Effect::Call(Target::Code(0x1009))),
            (&[0xff, 0x15, 2, 0, 0, 0], Effect::Call(Target::Slot(0x1008))),
            (&[0xff, 0xd0], Effect::Call(Target::Unknown)),
            (&[0x41, 0xff, 0x54, 0x24, 0x18], Effect::Call(Target::Unknown)),
            (&[0xf2, 0xff, 0x25, 1, 0, 0, 0], Effect::Jump(Target::Slot(0x1008))),
            (&[0xe9, 0xfb, 0xff, 0xff, 0xff], Effect::Jump(Target::Code(0x1000))),
            (&[0xeb, 0xfe], Effect::Jump(Target::Code(0x1000))),
            (&[0x74, 0x10], Effect::Branch(0x1012)),
            (&[0x0f, 0x85, 0, 1, 0, 0], Effect::Branch(0x1106)),
            (&[0xc3], Effect::End),
            (&[0x0f, 0x0b], Effect::End),
            (&[0x0f, 0x05], Effect::None),
            (&[0xf3, 0x0f, 0x1e, 0xfa], Effect::None),
        ] {
            assert_eq!(decoded(bytes), Some((bytes.len(), effect)), "{bytes:x?}");
        }
    }

    #[test]
    fn instructions_are_as_long_as_they_are() {
        for bytes in [
            &[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8][..],      // movabs rax, imm64
            &[0x66, 0xc7, 0x45, 0xf0, 1, 2],                // mov word [rbp - 16], imm16
            &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0],    // mov rax, fs:[0]
            &[0xf6, 0xc1, 0x01],                            // test cl, 1
            &[0xf6, 0xd9],                                  // neg cl
            &[0xf7, 0x05, 0, 0, 0, 0, 1, 2, 3, 4],          // test dword [rip], imm32
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],             // nop
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], // a longer one
            &[0xf0, 0x0f, 0xb1, 0x37],                      // lock cmpxchg [rdi], esi
            &[0x66, 0x0f, 0x70, 0xc1, 0xee],                // pshufd
            &[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x08],          // palignr
            &[0x66, 0x0f, 0x38, 0x00, 0xc1],                // pshufb
            &[0xc5, 0xf8, 0x77],                            // vzeroupper
            &[0xc5, 0xfd, 0x6f, 0x44, 0x24, 0x20],          // vmovdqa ymm0, [rsp + 32]
            &[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 0x01],          // vextracti128
            &[0xc4, 0xe2, 0x7d, 0x18, 0x05, 0, 0, 0, 0],    // vbroadcastss
            &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x44, 0x24, 0x01], // vmovups zmm0, [rsp + 64]
            &[0x62, 0xf3, 0x7d, 0x48, 0x3b, 0xc1, 0x01],    // vextracti32x8
            &[0xd9, 0x7d, 0xfe],                            // fnstcw
        ] {
            let mut longer = bytes.to_vec();
            longer.extend([0x90; 16]);
            assert_eq!(decoded(&longer), Some((bytes.len(), Effect::None)), "{bytes:x?}");
            assert_eq!(decoded(&bytes[..bytes.len() - 1]), None, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        for bytes in [&[0x06][..], &[0x0f, 0x04], &[0x9a, 0, 0, 0, 0, 0, 0], &[0x66; 20], &[0xff, 0xff]] {
            assert_eq!(decoded(bytes), None, "{bytes:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20)) {
            let decoded = decode(&Code { start: u64::MAX - 3, bytes: &bytes }, 0);
            proptest::prop_assert!(decoded.is_none_or(|(length, _)| (1..=15).contains(&length) && length <= bytes.len()));
        }
    }
}
