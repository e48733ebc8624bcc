//! Bytes that threads of the program overwrite and a report reads, without waiting on either side.
//! A reader that sees a change reads again. A writer that finds another writer gives up.
//!
//! This is a sequence lock whose data are atomics, so it needs no unsafe code. If a thread is
//! stopped while it writes, only what it was writing is lost.

use super::sync::atomic::{AtomicU64, Ordering, fence};

/// How often a report reads what changes while it is read.
#[cfg(not(all(test, gmr_loom)))]
const ATTEMPTS: usize = 100;
#[cfg(all(test, gmr_loom))]
const ATTEMPTS: usize = 1;

/// The bytes of a word.
pub(super) const WORD: usize = 8;

/// How often what belongs to it was changed, twice. Odd while it is being changed. It does not
/// overflow: at a change a nanosecond, that would take 292 years.
#[derive(Debug)]
pub(super) struct Version(AtomicU64);

/// A change, which ends when this is dropped.
pub(super) struct Change<'a> {
    version: &'a Version,
    ends: u64,
}

impl Version {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Begins a change. `None` while another one is in progress.
    #[inline]
    pub(super) fn change(&self) -> Option<Change<'_>> {
        let version = self.0.load(Ordering::Relaxed);
        let changing = version | 1;
        let begun = version != changing
            && self.0.compare_exchange(version, changing, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // The data must not be seen before the version is.
        fence(Ordering::Release);
        begun.then(|| Change { version: self, ends: version.wrapping_add(2) })
    }

    /// Ends a change of a thread that does not exist in this forked child. Returns whether there
    /// was one: what it has left may be a mixture.
    pub(super) fn end_lost_change(&self) -> bool {
        let version = self.0.load(Ordering::Relaxed);
        let is_changing = version & 1 != 0;
        if is_changing {
            self.0.store(version.wrapping_add(1), Ordering::Release);
        }
        is_changing
    }

    /// What `read` returns, if nothing has changed during the call. `None` if something always
    /// does.
    #[inline]
    pub(super) fn read<T>(&self, mut read: impl FnMut() -> T) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let before = self.0.load(Ordering::Acquire);
            if before & 1 == 0 {
                let value = read();
                // The version must not be read before the data are.
                fence(Ordering::Acquire);
                if self.0.load(Ordering::Relaxed) == before {
                    return Some(value);
                }
            }
            std::hint::spin_loop();
        }
        None
    }
}

impl Change<'_> {
    /// How many changes there have been when this one has ended.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.ends / 2
    }
}

impl Drop for Change<'_> {
    #[inline]
    fn drop(&mut self) {
        self.version.0.store(self.ends, Ordering::Release);
    }
}

/// Up to eight times `N` bytes.
#[derive(Debug)]
pub(super) struct Words<const N: usize>([AtomicU64; N]);

impl<const N: usize> Words<N> {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Stores bytes, beginning with the word at `first`. Those that have no room are left out.
    #[inline]
    pub(super) fn store(&self, first: usize, bytes: &[u8]) {
        let Some(words) = self.0.get(first..) else { return };
        let (whole, rest) = bytes.as_chunks::<WORD>();
        for (word, bytes) in words.iter().zip(whole) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        if let (false, Some(word)) = (rest.is_empty(), words.get(whole.len())) {
            // Not by a copy of the rest: reading it as a word right after it was written as bytes
            // would stall the processor for as long as everything else here takes.
            let last = match bytes.last_chunk::<WORD>() {
                Some(last) => u64::from_le_bytes(*last) >> (8 * (WORD - rest.len())),
                None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            };
            word.store(last, Ordering::Relaxed);
        }
    }

    /// Loads this many bytes, beginning with the word at `first`, as far as there are so many.
    #[inline]
    pub(super) fn load(&self, first: usize, length: usize) -> Vec<u8> {
        let words = self.0.iter().skip(first).take(length.div_ceil(WORD));
        let mut bytes: Vec<u8> = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }

    /// Copies the first words of others, as many as this many bytes take, to the place that begins
    /// with the word at `first`. Returns how many bytes had room.
    #[inline]
    pub(super) fn copy<const M: usize>(&self, first: usize, others: &Words<M>, length: usize) -> usize {
        let words = self.0.iter().skip(first).zip(&others.0).take(length.div_ceil(WORD));
        let copied = words.map(|(word, other)| word.store(other.load(Ordering::Relaxed), Ordering::Relaxed));
        length.min(copied.count() * WORD)
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_stored_at_words() {
        let words = Words::<4>::new();
        words.store(0, b"0123456789");
        assert_eq!(words.load(0, 10), b"0123456789");
        words.store(2, b"abc");
        assert_eq!(words.load(2, 3), b"abc");
        assert_eq!(words.load(0, 19), b"0123456789\0\0\0\0\0\0abc");
        // What has no room is left out.
        words.store(3, b"ABCDEFGHIJ");
        words.store(4, b"x");
        words.store(9, b"x");
        assert_eq!((words.load(3, 100), words.load(9, 1)), (b"ABCDEFGH".to_vec(), Vec::new()));
    }

    #[test]
    fn words_are_copied_as_far_as_there_is_room() {
        let (from, to) = (Words::<4>::new(), Words::<4>::new());
        from.store(0, b"0123456789");
        assert_eq!((to.copy(1, &from, 10), to.load(1, 10)), (10, b"0123456789".to_vec()));
        assert_eq!((to.copy(3, &from, 10), to.load(3, 8)), (8, b"01234567".to_vec()));
        assert_eq!(to.copy(4, &from, 10), 0);
    }

    #[test]
    fn one_change_at_a_time_and_no_value_from_the_middle_of_one() {
        let version = Version::new();
        let change = version.change().unwrap();
        assert!(version.change().is_none());
        assert_eq!(version.read(|| ()), None);
        let count = change.count();
        drop(change);
        assert_eq!(version.read(|| 7), Some(7));
        let mut changes = 0;
        let read = version.read(|| {
            changes += 1;
            if changes == 1 {
                assert_eq!(version.change().unwrap().count(), count + 1);
            }
            changes
        });
        assert_eq!(read, Some(2), "the first time, something has changed");
    }

    #[test]
    fn a_lost_change_is_ended() {
        let version = Version::new();
        assert!(!version.end_lost_change());
        // As for a thread that a forked child does not have.
        std::mem::forget(version.change());
        assert_eq!((version.read(|| ()), version.change().is_none()), (None, true));
        assert!(version.end_lost_change() && !version.end_lost_change());
        assert_eq!((version.read(|| ()), version.change().unwrap().count()), (Some(()), 2));
    }
}
