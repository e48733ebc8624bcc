//! Finds a word in the variables (`.data` and `.bss`) of the program, to look at it again later.
//!
//! It only reads, through the kernel: no address that it is called with can make it crash.

use super::{maps, memory};

/// How much is searched. A program with more variables has large tables, and what is looked for may
/// be behind them.
const MAX_SEARCHED: u64 = 32 << 20;
/// How much is copied at a time.
const CHUNK: usize = 64 << 10;

/// The address of the only variable of the program, or of a shared std, that has this value. `None`
/// if there is none, or if there are several.
pub(crate) fn find_word(word: u64) -> Option<u64> {
    let executable = std::fs::read_link("/proc/self/exe").ok()?;
    let executable = executable.to_str()?;
    // A segment's last part, which begins with zeros, has no file and follows the others.
    let (mut end_of_module, mut areas) = (0, Vec::new());
    let _: Option<()> = maps::find(|region| {
        let is_of_module = region.path == executable
            || region.path.contains("/libstd-")
            || region.range.start == end_of_module;
        if is_of_module && (region.file.is_some() || region.path.is_empty()) {
            end_of_module = region.range.end;
            if region.writable {
                areas.push(region.range);
            }
        }
        None
    });
    let (mut found, mut left, mut buffer) = (None, MAX_SEARCHED, vec![0; CHUNK]);
    for area in areas {
        let mut at = area.start;
        while at < area.end && left > 0 {
            let wanted = usize::try_from(area.end - at).unwrap_or(CHUNK).min(CHUNK);
            let copied = memory::read(at, &mut buffer[..wanted]);
            for (index, bytes) in buffer[..copied].as_chunks::<8>().0.iter().enumerate() {
                if u64::from_ne_bytes(*bytes) == word && found.replace(at + index as u64 * 8).is_some() {
                    return None;
                }
            }
            at += wanted as u64;
            left = left.saturating_sub(wanted as u64);
        }
    }
    found
}

/// The word at an address, if there is memory.
pub(crate) fn word_at(address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (memory::read(address, &mut bytes) == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn a_variable_is_found_by_its_value() {
        static VARIABLE: AtomicU64 = AtomicU64::new(0);
        static OTHER: AtomicU64 = AtomicU64::new(0);
        // A value that is nowhere else, and not in this function either.
        let value = 0x5ca1_ab1e_0000_0000 | u64::from(std::process::id());
        assert_eq!(find_word(value), None);
        VARIABLE.store(value, Ordering::Relaxed);
        let address = find_word(value);
        assert_eq!(address, Some(VARIABLE.as_ptr() as u64));
        assert_eq!(address.and_then(word_at), Some(value));
        OTHER.store(value, Ordering::Relaxed);
        assert_eq!(find_word(value), None, "there are two");
    }
}
