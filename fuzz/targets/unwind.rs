//! The unwinder with any registers, stack and image: it neither panics nor takes long.
//!
//! An input is three registers of eight bytes, four code addresses of two, the number of words on
//! the stack in one byte, those words of eight bytes, and the image.

#![no_main]

use gmr_runtime::__fuzz::unwind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((registers, rest)) = words::<24>(input) else { return };
    let Some((code, rest)) = rest.split_first_chunk::<8>() else { return };
    let Some((&length, rest)) = rest.split_first() else { return };
    let Some((stack, image)) = rest.split_at_checked(8 * usize::from(length)) else { return };
    let code: Vec<u64> =
        code.chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]).into()).collect();
    let stack: Vec<u64> = stack.chunks_exact(8).map(word).collect();
    unwind(image, &code, [registers[0], registers[1], registers[2]], &stack);
});

fn words<const LENGTH: usize>(input: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let (bytes, rest) = input.split_first_chunk::<LENGTH>()?;
    Some((bytes.chunks_exact(8).map(word).collect(), rest))
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a word has eight bytes"))
}
