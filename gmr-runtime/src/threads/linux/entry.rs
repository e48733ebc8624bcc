//! By which instruction the threads of this process entered their system calls. It decides what a
//! call's number means, and nothing about the call itself.
//!
//! On `x86_64`, a program can also make the calls of 32-bit programs, by `int 0x80`. Their numbers
//! mean other calls: 29 is `pause` there, and `shmget` otherwise.

use crate::sys::linux::memory;

/// What is known, by the addresses at which calls return.
#[derive(Debug, Default)]
pub(super) struct Entries(Vec<(u64, bool)>);

/// `int 0x80`.
const INTERRUPT: [u8; 2] = [0xcd, 0x80];

impl Entries {
    /// Whether the system call that returns to `ip` is one of a 32-bit program. False where the
    /// instruction before `ip` cannot be read.
    pub(super) fn is_32_bit(&mut self, ip: u64) -> bool {
        /// A program makes most of its calls in a few functions of its C library.
        const MAX: usize = 64;
        if !cfg!(target_arch = "x86_64") {
            return false;
        }
        if let Some((_, known)) = self.0.iter().find(|(address, _)| *address == ip) {
            return *known;
        }
        let mut instruction = [0; INTERRUPT.len()];
        let copied = memory::read_ready(ip.wrapping_sub(INTERRUPT.len() as u64), &mut instruction, None);
        let is_32_bit = copied == INTERRUPT.len() && instruction == INTERRUPT;
        if self.0.len() < MAX {
            self.0.push((ip, is_32_bit));
        }
        is_32_bit
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_before_tells_the_table() {
        let code = [0x0f, 0x05, 0xcd, 0x80, 0x90_u8];
        let after = |count: usize| code.as_ptr() as u64 + count as u64;
        let mut entries = Entries::default();
        for _ in 0..2 {
            let found = [2, 3, 4, 5].map(|count| entries.is_32_bit(after(count)));
            assert_eq!(found, [false, false, true, false]);
        }
        assert_eq!(entries.0.len(), 4, "each is read once");
        assert!(!entries.is_32_bit(0) && !entries.is_32_bit(1), "there is no such memory");
    }
}
