//! MD5 (RFC 1321): the checksum of source files in DWARF 5. It tells whether a file is the one
//! compiled; nothing depends on its being secure.

/// Rotations, by round and by operation within a group of four.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The MD5 of these bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        add(&mut state, block);
    }
    // The end: a one bit, zeroes, and the length in bits.
    let mut end = [0; 128];
    end[..rest.len()].copy_from_slice(rest);
    end[rest.len()] = 0x80;
    let length = if rest.len() < 56 { 64 } else { 128 };
    let bits = (bytes.len() as u64).wrapping_mul(8);
    end[length - 8..length].copy_from_slice(&bits.to_le_bytes());
    for block in end[..length].as_chunks::<64>().0 {
        add(&mut state, block);
    }
    let mut sum = [0; 16];
    for (bytes, word) in sum.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    sum
}

fn add(state: &mut [u32; 4], block: &[u8; 64]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for step in 0..64 {
        let (mixed, word) = match step / 16 {
            0 => (b & c | !b & d, step),
            1 => (b & d | c & !d, 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        let word = u32::from_le_bytes(block.as_chunks::<4>().0[word % 16]);
        let sum = a.wrapping_add(mixed).wrapping_add(constant(step)).wrapping_add(word);
        let rotated = sum.rotate_left(SHIFTS[step / 16][step % 4]);
        (a, b, c, d) = (d, b.wrapping_add(rotated), b, c);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

/// 2^32 times the sine of the step's number, without its sign and fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn constant(step: usize) -> u32 {
    (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_rfc() {
        let sum = |text: &str| {
            md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
        };
        assert_eq!(sum(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(sum("a"), "0cc175b9c0f1b6a831c399e269772661");
        assert_eq!(sum("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        let digits = "1234567890".repeat(8);
        assert_eq!(sum(&digits), "57edf4a22be3c955ac49da2e2107b67a");
        // Around the length at which the end needs a block of its own; by coreutils.
        assert_eq!(sum(&"x".repeat(55)), "04364420e25c512fd958a70738aa8f72");
        assert_eq!(sum(&"x".repeat(56)), "668a72d5ba17f08e62dabcafad6db14b");
    }
}
