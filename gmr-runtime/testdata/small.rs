//! Input for the tests of the ELF, DWARF and unwind-table readers; build.sh has the commands.
#![no_std]

use core::fmt::Write;

struct Buffer {
    bytes: [u8; 32],
    length: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes().take(32 - self.length.min(32)) {
            self.bytes[self.length & 31] = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[inline(always)]
fn mixed<T: Into<u64>>(values: impl Iterator<Item = T>) -> u64 {
    values.map(Into::into).fold(7, |all, one| all.rotate_left(5) ^ one)
}

#[unsafe(no_mangle)]
pub extern "C" fn entry(number: u32) -> u64 {
    let mut buffer = Buffer { bytes: [0; 32], length: 0 };
    let _ = buffer.write_str(if number > 7 { "many" } else { "few" });
    mixed(buffer.bytes.iter().copied()) ^ mixed([number, number / 3].into_iter())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
