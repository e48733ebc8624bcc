//! Finds a word in the variables (`.data` and `.bss`) of the program, to look at it again later.
//!
//! It only reads, through the kernel: no address that it is called with can make it crash.
//!
//! Pages that are not in memory are not searched: a word that was just stored is in none of them.

use super::modules::Modules;
use super::{memory, pages};

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
    // The address map does not show where the variables end. Other memory may follow them without a
    // gap, and then it is in the same region as `.bss`, which has no file either.
    let modules = Modules::load_where(|path| path == executable || path.contains("/libstd-"));
    let areas = modules.all().iter().flat_map(|module| &module.variables);
    let (mut found, mut left, mut buffer) = (None, MAX_SEARCHED, vec![0; CHUNK]);
    for area in areas {
        let mut at = area.start.next_multiple_of(8);
        while at < area.end && left > 0 {
            // Most of a large `.bss` has never been used. It is not searched, and does not count.
            at = pages::next_ready(at, area.end);
            let wanted = usize::try_from(area.end - at).unwrap_or(CHUNK).min(CHUNK);
            let copied = memory::read_ready(at, &mut buffer[..wanted], None);
            for (index, bytes) in buffer[..copied].as_chunks::<8>().0.iter().enumerate() {
                if u64::from_ne_bytes(*bytes) == word && found.replace(at + index as u64 * 8).is_some() {
                    return None;
                }
            }
            // Skips a page that can't be read.
            let skipped = if copied == 0 { pages::size() - at % pages::size() } else { 0 };
            let passed = copied as u64 + skipped;
            at += passed;
            left = left.saturating_sub(passed);
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

    /// Finds it as gmr does: on a thread that can read the table of pages.
    fn find(word: u64) -> Option<u64> {
        crate::sys::with_files(|| find_word(word))
    }

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn a_variable_is_found_by_its_value() {
        static VARIABLE: AtomicU64 = AtomicU64::new(0);
        static OTHER: AtomicU64 = AtomicU64::new(0);
        // A value that is nowhere else, and not in this function either.
        let value = 0x5ca1_ab1e_0000_0000 | u64::from(std::process::id());
        assert_eq!(find(value), None);
        VARIABLE.store(value, Ordering::Relaxed);
        let address = find(value);
        assert_eq!(address, Some(VARIABLE.as_ptr() as u64));
        assert_eq!(address.and_then(word_at), Some(value));
        OTHER.store(value, Ordering::Relaxed);
        assert_eq!(find(value), None, "there are two");
    }

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn what_was_never_used_is_passed_over() {
        const LENGTH: usize = (64 << 20) / 8;
        static ARENA: [AtomicU64; LENGTH] = [const { AtomicU64::new(0) }; LENGTH];
        assert!(size_of_val(&ARENA) as u64 > MAX_SEARCHED);
        let value = 0x0b5c_07ed_0000_0000 | u64::from(std::process::id());
        ARENA[LENGTH - 1].store(value, Ordering::Relaxed);
        assert_eq!(find(value), Some(ARENA[LENGTH - 1].as_ptr() as u64));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    #[allow(unsafe_code)]
    fn what_follows_the_variables_is_not_searched() {
        static VARIABLE: AtomicU64 = AtomicU64::new(0);
        let own = (&raw const VARIABLE).addr() as u64;
        let modules = Modules::load();
        let all = modules.all().iter().flat_map(|module| &module.variables);
        let end = all.filter(|range| range.contains(&own)).map(|range| range.end).next().unwrap();
        let end = usize::try_from(end).unwrap().next_multiple_of(4 << 10);
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let place = std::ptr::without_provenance_mut(end);
        // SAFETY: the new mapping replaces no other one.
        let mapped = unsafe { libc::mmap(place, 8, access, kind | libc::MAP_FIXED_NOREPLACE, -1, 0) };
        let value = 0x0ddb_a11e_0000_0000 | u64::from(std::process::id());
        // Otherwise, other memory already follows the variables.
        if mapped == place {
            // SAFETY: the mapping is writable, long enough and aligned, and nothing else refers to
            // it.
            unsafe { mapped.cast::<u64>().write(value) };
            assert_eq!(word_at(end as u64), Some(value));
        }
        assert_eq!(find(value), None);
        VARIABLE.store(value, Ordering::Relaxed);
        assert_eq!(find(value), Some(own));
        if mapped == place {
            // SAFETY: it was mapped above, and nothing refers to it.
            unsafe { libc::munmap(mapped, 8) };
        }
    }
}
