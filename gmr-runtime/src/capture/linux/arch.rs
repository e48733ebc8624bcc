//! The supported architectures: their registers by DWARF number, and where the kernel saves those
//! of code that a signal interrupts. Both modules have the same items.

#![allow(unsafe_code)]

pub(super) use imp::{
    COUNT, FRAME_POINTER, KERNEL_FRAME_FIRST, SIGRETURNS, STACK_POINTER, SYSTEM_CALL, ends_context,
    interrupted, name, without_signature,
};
use imp::{INTERRUPTED, PRESERVED};

/// The registers of a frame, by their DWARF numbers. Each one is known or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    ip: u64,
    /// The entry of an unknown register has no meaning.
    values: [u64; COUNT],
    /// A bit for each known one.
    known: u64,
}

impl Registers {
    /// All of them, as the kernel saves them for a signal handler.
    pub(super) const fn all(ip: u64, values: [u64; COUNT]) -> Self {
        Self { ip, values, known: u64::MAX >> (64 - COUNT) }
    }

    /// The registers that the kernel shows of a blocked thread. All others are unknown.
    pub(super) fn at_rest(ip: u64, sp: u64) -> Self {
        let mut registers = Self { ip, values: [0; COUNT], known: 0 };
        registers.set(STACK_POINTER, Some(sp));
        registers
    }

    /// The instruction pointer.
    pub(super) fn ip(&self) -> u64 {
        self.ip
    }

    pub(super) fn set_ip(&mut self, ip: u64) {
        self.ip = ip;
    }

    /// The stack pointer, which is always known.
    pub(super) fn sp(&self) -> u64 {
        self.values[STACK_POINTER]
    }

    /// The values of all registers; those that are unknown mean nothing.
    pub(super) fn values(&self) -> &[u64; COUNT] {
        &self.values
    }

    /// Whether no register is unknown.
    pub(super) fn are_all_known(&self) -> bool {
        self.known == u64::MAX >> (64 - COUNT)
    }

    /// Marks the registers that a function need not preserve for its caller as unknown.
    pub(super) fn forget_scratch(&mut self) {
        self.known &= PRESERVED;
    }

    /// The value of a register, if it is known.
    pub(super) fn get(&self, register: usize) -> Option<u64> {
        let value = *self.values.get(register)?;
        (self.known >> register & 1 == 1).then_some(value)
    }

    /// Sets a register, or marks it as unknown. Registers that are not followed, such as those of
    /// vector units, are ignored.
    pub(super) fn set(&mut self, register: usize, value: Option<u64>) {
        let Some(place) = self.values.get_mut(register) else { return };
        *place = value.unwrap_or(0);
        self.known = self.known & !(1 << register) | u64::from(value.is_some()) << register;
    }
}

/// Where a signal frame holds the saved registers: offsets from the stack pointer of the code that
/// a handler returns to.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignalFrame {
    ip: u64,
    registers: [u64; COUNT],
}

/// The registers of the code that a signal handler interrupted, from the signal frame at `frame`.
/// The kernel writes it for the return from the handler (`rt_sigframe` in the kernel's
/// `arch/*/include` and `kernel/signal.c`); its layout is part of the kernel's stable interface.
///
/// # Errors
/// If `read` returns one: that memory was not copied.
pub(super) fn saved_by_signal<E>(
    frame: u64,
    mut read: impl FnMut(u64) -> Result<u64, E>,
) -> Result<Registers, E> {
    let mut at = |offset: u64| read(frame.wrapping_add(offset));
    let mut values = [0; COUNT];
    for (value, offset) in values.iter_mut().zip(INTERRUPTED.registers) {
        *value = at(offset)?;
    }
    Ok(Registers::all(at(INTERRUPTED.ip)?, values))
}

fn name_of(register: usize, name: fn(gimli::Register) -> Option<&'static str>) -> &'static str {
    u16::try_from(register).ok().and_then(|register| name(gimli::Register(register))).unwrap_or("a register")
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use super::{Registers, SignalFrame, name_of};

    /// `rax` to `r15`; the return address would be the next one.
    pub(crate) const COUNT: usize = 16;
    /// `rsp`
    pub(crate) const STACK_POINTER: usize = 7;
    /// `rbp`
    pub(crate) const FRAME_POINTER: usize = 6;
    /// `rbx`, `rbp`, `rsp`, `r12` to `r15`
    pub(super) const PRESERVED: u64 = 0xf0c8;

    /// `mov rax, 15; syscall`, the code of `__restore_rt` in the C libraries, and the shorter `mov
    /// eax, 15; syscall` of programs that set an `sa_restorer` of their own.
    pub(crate) const SIGRETURNS: [&[u8]; 2] =
        [&[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05], &[0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]];

    /// `syscall`
    pub(crate) const SYSTEM_CALL: [u8; 2] = [0x0f, 0x05];

    /// The tables of the C library say where the kernel saved all registers, so they are used if
    /// they are present.
    pub(crate) const KERNEL_FRAME_FIRST: bool = false;

    /// Whether this is the code of glibc that a function of `makecontext` returns to, and that no
    /// call precedes: `mov rsp, rbx; mov rdi, [rsp]`, which loads the address of the next context.
    pub(crate) fn ends_context(code: &[u8]) -> bool {
        const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
        code.strip_prefix(&ENDBR64).unwrap_or(code).starts_with(&[0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24])
    }

    /// The name of a register.
    pub(crate) fn name(register: usize) -> &'static str {
        name_of(register, gimli::X86_64::register_name)
    }

    /// A code address: nothing is added to it.
    pub(crate) fn without_signature(address: u64, _highest_code: u64) -> u64 {
        address
    }

    /// The place of each register in the kernel's order.
    pub(super) const IN_CONTEXT: [libc::c_int; COUNT] = [
        libc::REG_RAX,
        libc::REG_RDX,
        libc::REG_RCX,
        libc::REG_RBX,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_RBP,
        libc::REG_RSP,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];

    /// The registers of the interrupted code.
    ///
    /// # Safety
    /// `context` must be the third argument of a running `SA_SIGINFO` handler.
    #[allow(clippy::cast_sign_loss, reason = "libc declares registers as signed; the bits are the same")]
    pub(crate) unsafe fn interrupted(context: *const libc::c_void) -> Registers {
        let context: *const libc::ucontext_t = context.cast();
        // SAFETY: the kernel passes a pointer to an aligned `ucontext_t` that lives as long as the
        // handler runs. This only computes the address of a field within it, without making a
        // reference to the whole, of which the kernel may have left out a part (floating point).
        let registers = unsafe { &raw const (*context).uc_mcontext.gregs };
        // SAFETY: the array lies within the part of the structure that the kernel always fills in.
        let registers = unsafe { registers.read() };
        let register = |number: libc::c_int| registers[number as usize] as u64;
        Registers::all(register(libc::REG_RIP), IN_CONTEXT.map(register))
    }

    /// The `ucontext_t` begins at the stack pointer. Its registers, in the kernel's order: `r8` to
    /// `r15`, `rdi`, `rsi`, `rbp`, `rbx`, `rdx`, `rax`, `rcx`, `rsp`, `rip`.
    pub(crate) const INTERRUPTED: SignalFrame = SignalFrame {
        ip: 168,
        registers: [144, 136, 152, 128, 112, 104, 120, 160, 40, 48, 56, 64, 72, 80, 88, 96],
    };
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use super::{Registers, SignalFrame, name_of};

    /// `x0` to `x30`, and `sp`.
    pub(crate) const COUNT: usize = 32;
    pub(crate) const STACK_POINTER: usize = 31;
    /// `x29`
    pub(crate) const FRAME_POINTER: usize = 29;
    /// `x19` to `x29`, `sp`. The link register is that of the frame's own caller by now.
    pub(super) const PRESERVED: u64 = 0xbff8_0000;

    /// `mov x8, #139; svc #0`, the code of `__kernel_rt_sigreturn` in the vDSO, and the same with
    /// `w8`.
    pub(crate) const SIGRETURNS: [&[u8]; 2] = [
        &[0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4],
        &[0x68, 0x11, 0x80, 0x52, 0x01, 0x00, 0x00, 0xd4],
    ];

    /// `svc #0`
    pub(crate) const SYSTEM_CALL: [u8; 4] = [0x01, 0x00, 0x00, 0xd4];

    /// The tables of the vDSO lead from a signal handler to the caller of the code that it
    /// interrupted, and leave that code out.
    pub(crate) const KERNEL_FRAME_FIRST: bool = true;

    /// Whether this is the code of glibc that a function of `makecontext` returns to, and that no
    /// call precedes: `mov x0, x19`, which loads the address of the next context, and `cbnz x0`.
    pub(crate) fn ends_context(code: &[u8]) -> bool {
        matches!(code, [0xe0, 0x03, 0x13, 0xaa, first, _, _, 0xb5, ..] if first & 0x1f == 0)
    }

    /// The name of a register.
    pub(crate) fn name(register: usize) -> &'static str {
        name_of(register, gimli::AArch64::register_name)
    }

    /// A code address without the signature that pointer authentication adds in the bits above
    /// those of any address of code. Where no code is known, nothing is removed.
    pub(crate) fn without_signature(address: u64, highest_code: u64) -> u64 {
        match highest_code {
            0 => address,
            highest => address & u64::MAX >> highest.leading_zeros(),
        }
    }

    /// The registers of the interrupted code.
    ///
    /// # Safety
    /// `context` must be the third argument of a running `SA_SIGINFO` handler.
    pub(crate) unsafe fn interrupted(context: *const libc::c_void) -> Registers {
        let context: *const libc::ucontext_t = context.cast();
        // SAFETY: the kernel passes a pointer to a complete, aligned `ucontext_t` that lives as
        // long as the handler runs.
        let machine = unsafe { &(*context).uc_mcontext };
        let mut values = [machine.sp; COUNT];
        values[..31].copy_from_slice(&machine.regs);
        Registers::all(machine.pc, values)
    }

    /// The `siginfo_t` of 128 bytes begins at the stack pointer, and the `ucontext_t` follows. Its
    /// registers are `x0` to `x30`, `sp`, `pc`.
    pub(crate) const INTERRUPTED: SignalFrame = SignalFrame {
        ip: 568,
        registers: {
            let mut offsets = [312; COUNT];
            let mut register = 1;
            while register < COUNT {
                offsets[register] = offsets[register - 1] + 8;
                register += 1;
            }
            offsets
        },
    };
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    #[cfg(target_arch = "aarch64")]
    fn the_offsets_are_those_of_the_c_library() {
        let machine = size_of::<libc::siginfo_t>() + offset_of!(libc::ucontext_t, uc_mcontext);
        let register = |number: usize| (machine + offset_of!(libc::mcontext_t, regs) + 8 * number) as u64;
        for (number, &offset) in INTERRUPTED.registers[..31].iter().enumerate() {
            assert_eq!(offset, register(number));
        }
        assert_eq!(INTERRUPTED.ip, (machine + offset_of!(libc::mcontext_t, pc)) as u64);
        let sp = (machine + offset_of!(libc::mcontext_t, sp)) as u64;
        assert_eq!(INTERRUPTED.registers[STACK_POINTER], sp);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(clippy::cast_sign_loss, reason = "the indices are small and positive")]
    fn the_offsets_are_those_of_the_c_library() {
        let registers = offset_of!(libc::ucontext_t, uc_mcontext) as u64;
        let offset = |register: libc::c_int| registers + 8 * register as u64;
        assert_eq!(INTERRUPTED.ip, offset(libc::REG_RIP));
        assert_eq!(INTERRUPTED.registers, imp::IN_CONTEXT.map(offset));
    }

    #[test]
    fn a_register_is_known_or_unknown() {
        let mut registers = Registers::at_rest(1, 16);
        assert_eq!((registers.ip(), registers.sp()), (1, 16));
        assert_eq!(registers.get(STACK_POINTER), Some(16));
        assert_eq!(registers.get(FRAME_POINTER), None);
        registers.set(FRAME_POINTER, Some(32));
        registers.set(COUNT, Some(7));
        assert_eq!((registers.get(FRAME_POINTER), registers.get(COUNT)), (Some(32), None));
        registers.set(FRAME_POINTER, None);
        assert_eq!(registers, Registers::at_rest(1, 16));
        let all = Registers::all(1, [16; COUNT]);
        assert!((0..COUNT).all(|register| all.get(register) == Some(16)));
    }
}
