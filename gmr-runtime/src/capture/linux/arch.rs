//! The supported architectures: where a signal's context keeps the registers, and which unwinder
//! takes them. Both modules have the same items.

#![allow(unsafe_code)]

/// The registers that unwinding starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Registers {
    /// The instruction pointer.
    pub(super) ip: u64,
    /// The stack pointer.
    pub(super) sp: u64,
    /// The frame pointer: `rbp`, `x29`.
    pub(super) fp: u64,
    /// The link register; 0 where there is none.
    pub(super) lr: u64,
}

/// Offsets of saved registers in a signal frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offsets {
    ip: u64,
    sp: u64,
    fp: u64,
    lr: Option<u64>,
}

/// The registers of the code that a signal handler interrupted, from the signal frame at `frame`.
/// The kernel writes it for the return from the handler (`rt_sigframe` in the kernel's
/// `arch/*/include` and `kernel/signal.c`); its layout is part of the kernel's stable interface.
pub(super) fn saved_by_signal(frame: u64, mut read: impl FnMut(u64) -> Result<u64, ()>) -> Option<Registers> {
    let mut at = |offset: u64| read(frame.checked_add(offset)?).ok();
    let Offsets { ip, sp, fp, lr } = INTERRUPTED;
    Some(Registers { ip: at(ip)?, sp: at(sp)?, fp: at(fp)?, lr: lr.map_or(Some(0), at)? })
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use super::{Offsets, Registers};

    pub(crate) type Unwinder<D> = framehop::x86_64::UnwinderX86_64<D>;
    pub(crate) type Cache = framehop::x86_64::CacheX86_64;
    type UnwindRegisters = framehop::x86_64::UnwindRegsX86_64;

    pub(crate) fn for_unwinder(registers: Registers, _max_code_address: u64) -> UnwindRegisters {
        UnwindRegisters::new(registers.ip, registers.sp, registers.fp)
    }

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
        Registers {
            ip: registers[libc::REG_RIP as usize] as u64,
            sp: registers[libc::REG_RSP as usize] as u64,
            fp: registers[libc::REG_RBP as usize] as u64,
            lr: 0,
        }
    }

    /// Offsets of the interrupted registers from the stack pointer of the code that a handler
    /// returns to, where the `ucontext_t` begins.
    pub(crate) const INTERRUPTED: Offsets = Offsets { ip: 168, sp: 160, fp: 120, lr: None };
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use framehop::aarch64::PtrAuthMask;

    use super::{Offsets, Registers};

    pub(crate) type Unwinder<D> = framehop::aarch64::UnwinderAarch64<D>;
    pub(crate) type Cache = framehop::aarch64::CacheAarch64;
    type UnwindRegisters = framehop::aarch64::UnwindRegsAarch64;

    /// The highest known code address determines which bits of a return address are a signature
    /// (pointer authentication). Where no code is known, none are stripped.
    pub(crate) fn for_unwinder(registers: Registers, max_code_address: u64) -> UnwindRegisters {
        let mask = match max_code_address {
            0 => PtrAuthMask::new_no_strip(),
            highest => PtrAuthMask::from_max_known_address(highest),
        };
        UnwindRegisters::new_with_ptr_auth_mask(mask, registers.lr, registers.sp, registers.fp)
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
        Registers { ip: machine.pc, sp: machine.sp, fp: machine.regs[29], lr: machine.regs[30] }
    }

    /// Offsets of the interrupted registers from the stack pointer of the code that a handler
    /// returns to, where the `siginfo_t` of 128 bytes begins; the `ucontext_t` follows.
    pub(crate) const INTERRUPTED: Offsets = Offsets { ip: 568, sp: 560, fp: 544, lr: Some(552) };
}

use imp::INTERRUPTED;
pub(super) use imp::{Cache, Unwinder, for_unwinder, interrupted};

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    #[cfg(target_arch = "aarch64")]
    fn the_offsets_are_those_of_the_c_library() {
        let context = size_of::<libc::siginfo_t>();
        let machine = context + offset_of!(libc::ucontext_t, uc_mcontext);
        let register = |number: usize| (machine + offset_of!(libc::mcontext_t, regs) + 8 * number) as u64;
        let Offsets { ip, sp, fp, lr } = INTERRUPTED;
        assert_eq!(ip, (machine + offset_of!(libc::mcontext_t, pc)) as u64);
        assert_eq!(sp, (machine + offset_of!(libc::mcontext_t, sp)) as u64);
        assert_eq!(fp, register(29));
        assert_eq!(lr, Some(register(30)));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(clippy::cast_sign_loss, reason = "the indices are small and positive")]
    fn the_offsets_are_those_of_the_c_library() {
        let registers = offset_of!(libc::ucontext_t, uc_mcontext) as u64;
        let offset = |register: libc::c_int| registers + 8 * register as u64;
        let Offsets { ip, sp, fp, lr } = INTERRUPTED;
        assert_eq!(ip, offset(libc::REG_RIP));
        assert_eq!(sp, offset(libc::REG_RSP));
        assert_eq!(fp, offset(libc::REG_RBP));
        assert_eq!(lr, None);
    }
}
