//! For tests and fuzz targets only: damaged copies of real files, and a watchdog for code that
//! reads them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

/// Real files to damage: DWARF 5 from gcc, the same with compressed sections, and DWARF 4 from
/// rustc. `testdata/build.sh` made them.
pub(crate) const FILES: [&[u8]; 3] = [
    include_bytes!("../../testdata/small-c-none.so"),
    include_bytes!("../../testdata/small-c-zlib.so"),
    include_bytes!("../../testdata/small-rust.so"),
];

/// One way to damage bytes.
#[derive(Debug, Clone)]
enum Damage {
    /// Changes some bits of one byte.
    Flip(Index, u8),
    /// Overwrites up to eight bytes with the extreme values that lengths and offsets take.
    Extreme(Index, u64, usize),
    /// Zeroes a range.
    Zero(Index, usize),
    /// Copies a range to another place.
    Splice(Index, Index, usize),
    /// Cuts off the rest.
    Truncate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let extremes = [u64::MAX, i64::MAX as u64, 1 << 63, 0xffff_fff0, 0x7fff_ffff, 0x8080_8080_8080_8080, 1];
    prop_oneof![
        8 => (any::<Index>(), 1..=u8::MAX).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        4 => (any::<Index>(), proptest::sample::select(extremes.to_vec()), 1..=8_usize)
            .prop_map(|(at, value, length)| Damage::Extreme(at, value, length)),
        2 => (any::<Index>(), 1..64_usize).prop_map(|(at, length)| Damage::Zero(at, length)),
        2 => (any::<Index>(), any::<Index>(), 1..256_usize)
            .prop_map(|(from, to, length)| Damage::Splice(from, to, length)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

/// `original` after a few damages.
pub(crate) fn damaged(original: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(damage(), 1..12).prop_map(move |damages| {
        let mut bytes = original.to_vec();
        for damage in damages {
            if bytes.is_empty() {
                break;
            }
            apply(&mut bytes, &damage);
        }
        bytes
    })
}

/// One of the real files after a few damages.
pub(crate) fn damaged_file() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(FILES.to_vec()).prop_flat_map(damaged)
}

/// The same of a text, as the kernel's files are read.
pub(crate) fn damaged_text(original: &'static str) -> impl Strategy<Value = String> {
    damaged(original.as_bytes()).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len();
    match damage {
        Damage::Flip(at, bits) => bytes[at.index(length)] ^= bits,
        Damage::Extreme(at, value, count) => {
            let at = at.index(length);
            let end = length.min(at + count);
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        Damage::Zero(at, count) => {
            let at = at.index(length);
            bytes[at..length.min(at + count)].fill(0);
        }
        Damage::Splice(from, to, count) => {
            let (from, to) = (from.index(length), to.index(length));
            let count = *[*count, length - from, length - to].iter().min().expect("there are three");
            bytes.copy_within(from..from + count, to);
        }
        Damage::Truncate(at) => bytes.truncate(at.index(length)),
    }
}

/// Runs `read`, and panics if it panics or takes so long that it must be in an endless loop.
pub(crate) fn terminates<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || sender.send(read()));
    match receiver.recv_timeout(Duration::from_mins(1)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(reader.join().expect_err("it has sent nothing"))
        }
    }
}
