//! Whether the program is linked with a library whose presence changes what gmr may do.

#![allow(unsafe_code)]

/// Whether embassy's executor is linked: since its version 0.3, it needs a function of this name,
/// which the program or one of its own modules defines.
///
/// The linker answers, so that it also works in a stripped program: a weak symbol that is not
/// defined has the address 0.
#[cfg(not(miri))]
#[inline(never)]
pub(crate) fn has_embassy() -> bool {
    let pender: usize;
    // SAFETY: it loads an address from the table in which the linker and the loader put it, and
    // accesses nothing else.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(".weak __pender", "mov {pender}, qword ptr [rip + __pender@GOTPCREL]",
            pender = out(reg) pender, options(nostack, preserves_flags, pure, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(".weak __pender", "adrp {pender}, :got:__pender",
            "ldr {pender}, [{pender}, :got_lo12:__pender]",
            pender = out(reg) pender, options(nostack, preserves_flags, pure, readonly));
    }
    pender != 0
}

/// Miri runs no assembly.
#[cfg(miri)]
pub(crate) fn has_embassy() -> bool {
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn embassy_is_not_linked_into_the_tests() {
        assert!(!super::has_embassy());
    }
}
