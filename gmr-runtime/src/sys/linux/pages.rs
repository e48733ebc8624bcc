//! Which pages of this process's memory can be read without waiting for a userfaultfd or a server.
//!
//! A page that is not in memory has to be fetched before it can be read. If a userfaultfd or the
//! server of a mapped file has to provide it, that can take forever, and only the end of the
//! process interrupts the thread that reads. A page that is in memory is read at once. One that is
//! swapped out is fetched by the kernel itself.
//!
//! The answer holds for the moment at which it is given. After that, the kernel can reclaim a page
//! if memory is short, and the program can drop it (`madvise`). Then the next read may wait after
//! all.

#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::proc;
use super::{descriptor_table, sandbox};

/// How many pages are looked up at a time. Most lookups are for one or two.
const CHUNK: usize = 64;

/// The kernel's table of the pages of this process.
pub(crate) struct Pagemap(OwnedFd);

impl Pagemap {
    fn open() -> io::Result<Self> {
        proc::open("thread-self/pagemap").map(File::into).map(Self)
    }

    /// From a descriptor of `/proc/thread-self/pagemap`.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// How many bytes from `address` on, up to `length`, are in pages that are in memory or swapped
    /// out. `None` if the table cannot be read.
    pub(crate) fn ready(&self, address: u64, length: usize) -> Option<usize> {
        let size = size();
        let end = address.saturating_add(length as u64);
        let page = self.find::<CHUNK>(address / size..end.div_ceil(size), |is_ready| !is_ready)?;
        Some(bytes(address, page * size, length))
    }

    /// The first of these pages of which `is_wanted` holds, given whether it is in memory or
    /// swapped out; the end if there is none. Looks at this many pages at a time. `None` if the
    /// table cannot be read.
    fn find<const CHUNK: usize>(&self, pages: Range<u64>, is_wanted: impl Fn(bool) -> bool) -> Option<u64> {
        /// The two highest bits of a page's entry: that it is in memory, and that it is swapped
        /// out.
        const READY: u64 = 3 << 62;
        let mut page = pages.start;
        let mut entries = [[0; 8]; CHUNK];
        while page < pages.end {
            let count = usize::try_from(pages.end - page).unwrap_or(CHUNK).min(CHUNK);
            let wanted = &mut entries[..count];
            let filled = rustix::io::pread(self.0.as_fd(), wanted.as_flattened_mut(), page * 8).ok()?;
            // Above the addresses that a process can have, there are no entries.
            wanted[filled / 8..].fill([0; 8]);
            let mut ready = wanted.iter().map(|entry| u64::from_ne_bytes(*entry) & READY != 0);
            match ready.position(&is_wanted) {
                Some(found) => return Some(page + found as u64),
                None => page += count as u64,
            }
        }
        Some(pages.end)
    }
}

thread_local! {
    /// Open only on threads whose descriptors the program does not share.
    static PAGEMAP: OnceCell<Option<Pagemap>> = const { OnceCell::new() };
}

/// How many bytes from `address` on, up to `length`, can be read without such a wait.
pub(crate) fn ready(address: u64, length: usize) -> usize {
    by_pagemap(|pagemap| pagemap.ready(address, length)).unwrap_or_else(|| resident(address, length))
}

/// The first address from `address` up to `end` in a page that can be read without such a wait, or
/// `end`. `address` itself if this is not known.
pub(crate) fn next_ready(address: u64, end: u64) -> u64 {
    /// A table that is looked through has an entry for each page, and most are the same.
    const CHUNK: usize = 512;
    let size = size();
    let pages = address / size..end.div_ceil(size);
    let page = by_pagemap(|pagemap| pagemap.find::<CHUNK>(pages, |is_ready| is_ready));
    page.map_or(address, |page| (page * size).max(address).min(end))
}

/// Asks the table of this thread. `None` if it has none, or the table cannot be read.
fn by_pagemap<R>(ask: impl FnOnce(&Pagemap) -> Option<R>) -> Option<R> {
    if !descriptor_table::is_separate() {
        return None;
    }
    PAGEMAP.try_with(|map| ask(map.get_or_init(|| Pagemap::open().ok()).as_ref()?)).ok().flatten()
}

/// Like [`ready`], but without a file and without initialising anything: it may be called in a
/// signal handler. It makes one system call for each 64 pages, which changes nothing but `errno`. A
/// page that is swapped out counts as one that has to be fetched. Each page of a file that the
/// process may not write to counts as in memory, because the kernel says nothing about such files.
/// If the call fails for another reason than unmapped pages, every page counts as in memory.
pub(crate) fn resident(address: u64, length: usize) -> usize {
    let size = size();
    let end = address.saturating_add(length as u64);
    let mut at = address - address % size;
    let mut states = [UNMAPPED; CHUNK];
    while at < end {
        let pages = usize::try_from((end - at).div_ceil(size)).unwrap_or(CHUNK).min(CHUNK);
        if !look(at, pages, &mut states) {
            return length;
        }
        let ready = states[..pages].iter().take_while(|state| is_in_memory(**state)).count();
        at = at.saturating_add(ready as u64 * size);
        if ready < pages {
            break;
        }
    }
    bytes(address, at, length)
}

/// Whether there is memory at this address, even if it can't be read. Where the kernel does not
/// say, there may be: then the thread that fetches pages finds out. `msync` would say, but a filter
/// that does not allow `mincore` may not allow that either.
pub(crate) fn is_mapped(address: u64) -> bool {
    let mut states = [UNMAPPED; CHUNK];
    !look(address - address % size(), 1, &mut states) || states[0] != UNMAPPED
}

/// The kernel never sets this state: all bits but the lowest are reserved.
const UNMAPPED: u8 = 0xff;

fn is_in_memory(state: u8) -> bool {
    state != UNMAPPED && state & 1 == 1
}

/// Sets the states of this many pages; pages that are not mapped get `UNMAPPED`. False if the
/// kernel does not tell the states.
fn look(start: u64, pages: usize, states: &mut [u8; CHUNK]) -> bool {
    *states = [UNMAPPED; CHUNK];
    if sandbox::may_end_the_process() {
        return false;
    }
    let length = pages.min(CHUNK) * usize::try_from(size()).unwrap_or(0);
    // SAFETY: the kernel checks the addresses itself, and writes one byte for each page, of which
    // there are no more than `states` has.
    let result = unsafe { libc::mincore(start as *mut libc::c_void, length, states.as_mut_ptr()) };
    // It has written the states of the pages before one that is not mapped.
    result == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM)
}

/// How many bytes there are from `address` to `end`, `limit` at most.
fn bytes(address: u64, end: u64, limit: usize) -> usize {
    usize::try_from(end.saturating_sub(address)).unwrap_or(limit).min(limit)
}

/// The size of a page.
pub(crate) fn size() -> u64 {
    static SIZE: AtomicU64 = AtomicU64::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: it has no preconditions, and may be called in a signal handler.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = u64::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096);
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::MappedBuffer;
    use super::*;

    /// Of four pages, the first and the last are not in memory. Both the table and the system call
    /// say which pages are ready.
    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn pages_in_memory_are_told_from_others() {
        let page = usize::try_from(size()).unwrap();
        let mut buffer = MappedBuffer::new(4 * page).unwrap();
        buffer[page] = 1;
        buffer[3 * page - 1] = 1;
        let start = buffer.as_ptr() as u64;
        let pagemap = Pagemap::open().unwrap();
        if resident(start, 1) != 0 {
            return eprintln!("skipped: the kernel provides several pages at once here");
        }
        let ready = |at: usize, length: usize| {
            let address = start + at as u64;
            let both = [pagemap.ready(address, length).unwrap(), resident(address, length)];
            assert_eq!(both[0], both[1]);
            both[0]
        };
        assert_eq!([ready(0, 4 * page), ready(page - 1, 2), ready(3 * page, 1)], [0; 3]);
        assert_eq!(ready(page, 3 * page), 2 * page);
        assert_eq!(ready(page + 5, 2 * page), 2 * page - 5);
        assert_eq!(ready(2 * page - 1, 2), 2);
        assert_eq!(ready(page, 0), 0);
        assert!(is_mapped(start) && is_mapped(start + page as u64));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn where_nothing_is_mapped_nothing_is_ready() {
        let pagemap = Pagemap::open().unwrap();
        for address in [16, 1 << 63, u64::MAX - 7] {
            assert_eq!((pagemap.ready(address, 8), resident(address, 8)), (Some(0), 0), "{address:#x}");
            assert!(!is_mapped(address));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn many_pages_are_looked_up() {
        let page = usize::try_from(size()).unwrap();
        let length = (2 * CHUNK + 3) * page;
        let mut buffer = MappedBuffer::new(length + page).unwrap();
        buffer[..length].fill(1);
        let start = buffer.as_ptr() as u64;
        let by_map = Pagemap::open().unwrap().ready(start, length + page);
        assert_eq!((by_map, resident(start, length + page)), (Some(length), length));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn pages_that_were_never_used_are_passed_over() {
        let page = usize::try_from(size()).unwrap();
        let mut buffer = MappedBuffer::new(1000 * page).unwrap();
        buffer[900 * page] = 1;
        let start = buffer.as_ptr() as u64;
        if resident(start + 890 * page as u64, 1) != 0 {
            return eprintln!("skipped: the kernel provides several pages at once here");
        }
        let at = |index: usize| start + (index * page) as u64;
        let next = |from: u64, to: u64| super::super::with_files(move || next_ready(from, to));
        assert_eq!(next(start, at(1000)), at(900));
        assert_eq!(next(at(900) + 7, at(1000)), at(900) + 7);
        assert_eq!(next(start + 5, at(900)), at(900));
        assert_eq!(next(at(901), at(1000) - 3), at(1000) - 3);
    }
}
