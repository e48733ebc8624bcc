//! Claims on what only one copy of gmr in a process may do at a time: make a report, and write one
//! to standard error.
//!
//! A process can have several copies of gmr, because a plugin brings its own, or two versions are
//! linked. A signal reaches all of them, and they share no variables. So a claim must be something
//! that belongs to the process and has a name that all copies know. It is a mapping of one page at
//! a fixed address: with `MAP_FIXED_NOREPLACE`, `mmap` creates it, or fails if it exists, as `open`
//! with `O_EXCL` does for a file.
//!
//! - It needs no descriptor, no file, no `/proc` and no memory. Making one takes only `mmap`, which
//!   sandboxes have to allow.
//! - It has no contents on whose layout different versions would have to agree. It can be neither
//!   read nor written, so knowing its address is of no use to an attacker.
//! - The kernel removes it when the process ends or becomes another program, however it ends. A
//!   forked child does not inherit it (`MADV_DONTFORK`), so it never waits for a thread of its
//!   parent.
//! - An owner that is stuck loses its claim when the time of a waiting copy is up.
//!
//! A copy that waits has to look again every few milliseconds. It does so only while another copy
//! makes or writes a report. The alternatives are worse. A lock in shared memory that copies find
//! by its name in the address map (`memfd_create`) needs a layout on which all versions agree
//! forever, a rule for owners that have died or were forked, and a descriptor, and two copies can
//! create it at the same time. Executables export no symbols to libraries. Setting an environment
//! variable is a race with every function that reads one.
//!
//! If the addresses are in use, or the kernel refuses the mapping, there is no claim, and copies do
//! not wait for each other.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{copy, sleep};

/// What only one copy does at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// It makes a report.
    Report,
    /// It writes a report to standard error.
    Output,
}

/// Where the pages are: far from everything that the kernel, loaders and allocators place
/// themselves. The digits spell "gmr" in ASCII.
#[cfg(target_arch = "x86_64")]
const PLACE: usize = 0x676d_7200_0000;
/// As above, but within 39 bits: with small page tables, addresses have no more.
#[cfg(target_arch = "aarch64")]
const PLACE: usize = 0x67_6d72_0000;

/// The largest page size. There is an unmapped page of this size between two pages for claims.
const APART: usize = 64 << 10;
/// The smallest page size. The kernel rounds the length up if its pages are larger.
const LENGTH: usize = 4 << 10;

/// How often an address may be refused in a row at which nothing is mapped.
const ABSENT: u32 = 10;

/// How long to wait before looking again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

impl Purpose {
    /// The page of the claim, and the page of the copy that gets it next. Without the second one, a
    /// copy that makes one report after the other would never leave the first one to another copy.
    fn pages(self) -> [usize; 2] {
        let first = PLACE + self as usize * 4 * APART;
        [first, first + 2 * APART]
    }
}

/// A claim, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    _page: Page,
}

/// Waits until no other thread in this process has a claim for this purpose, and makes one. After
/// `timeout`, an owner counts as stuck, and loses its claim. `meanwhile` is called repeatedly
/// during the wait.
///
/// `None` if no claim can be made in this process.
pub(crate) fn claim(purpose: Purpose, timeout: Duration, mut meanwhile: impl FnMut()) -> Option<Claim> {
    claim_pages(purpose.pages(), timeout, &mut meanwhile)
}

fn claim_pages([page, next]: [usize; 2], timeout: Duration, meanwhile: &mut impl FnMut()) -> Option<Claim> {
    let next = Page::wait_for(next, timeout, meanwhile)?;
    let page = Page::wait_for(page, timeout, meanwhile)?;
    drop(next);
    Some(Claim { _page: page })
}

/// A page that this copy has mapped.
#[derive(Debug)]
struct Page(usize);

enum Refused {
    /// Another claim is there.
    Taken,
    /// Something else is there, or the kernel makes no such mapping.
    Unavailable,
}

impl Page {
    fn wait_for(address: usize, timeout: Duration, meanwhile: &mut impl FnMut()) -> Option<Self> {
        let mut until = Instant::now() + timeout;
        let mut pause = FIRST_PAUSE;
        let mut absent = 0;
        loop {
            match Self::map(address) {
                Ok(page) => return Some(page),
                Err(Refused::Unavailable) => return None,
                Err(Refused::Taken) if is_mapped(address) => absent = 0,
                // Its owner may just have given it up, but not each time: the kernel does not map
                // this address, although it is free.
                Err(Refused::Taken) => {
                    absent += 1;
                    if absent == ABSENT {
                        return None;
                    }
                }
            }
            if Instant::now() >= until {
                // The owner is stuck, or does not exist: a child inherits the page if the parent
                // was forked between the two calls in `map`.
                drop(Self(address));
                until += timeout;
                continue;
            }
            meanwhile();
            sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    fn map(address: usize) -> Result<Self, Refused> {
        let is_left = |left: &AtomicUsize| {
            left.compare_exchange(address, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        // A child has this memory, but not the mapping.
        if LEFT.iter().any(is_left) && is_mapped(address) {
            return Ok(Self(address));
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: a new mapping that replaces none affects no other memory.
        let base = unsafe { libc::mmap(address as *mut _, LENGTH, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(match io::Error::last_os_error().raw_os_error() {
                Some(libc::EEXIST) => why_taken(address),
                _ => Refused::Unavailable,
            });
        }
        let page = Self(base.addr());
        if page.0 != address {
            // Before Linux 4.17, the address is only a hint.
            return Err(why_taken(address));
        }
        // SAFETY: this is the mapping that was made above. A child does without it.
        unsafe { libc::madvise(base, LENGTH, libc::MADV_DONTFORK) };
        Ok(page)
    }
}

/// Tells a claim from another mapping at an address at which nothing could be mapped. Other
/// mappings are larger than a claim, or can be read.
fn why_taken(address: usize) -> Refused {
    let is_claim = copy::read(address as u64, &mut [0]) == 0
        && ![address - APART, address + APART].into_iter().any(is_mapped);
    if is_claim { Refused::Taken } else { Refused::Unavailable }
}

/// Whether there is a mapping.
fn is_mapped(address: usize) -> bool {
    // SAFETY: MS_ASYNC does nothing, and returns an error if there is no mapping.
    unsafe { libc::msync(address as *mut _, LENGTH, libc::MS_ASYNC) == 0 }
}

/// Pages of claims that this copy has given up, but that the kernel has not unmapped: a seccomp
/// filter can refuse that. The next claim of this copy takes them over. It would wait for itself
/// otherwise.
static LEFT: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this is a page that this copy has mapped, or that `why_taken` knows as a claim.
        // An owner that was stuck for so long that it lost its claim removes the next one's, which
        // costs the order of reports: claims are all that is mapped there. Nothing refers to its
        // contents: there are none.
        if unsafe { libc::munmap(self.0 as *mut _, LENGTH) } != 0 {
            let _ = LEFT
                .iter()
                .find(|left| left.compare_exchange(0, self.0, Ordering::AcqRel, Ordering::Relaxed).is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LATE: Duration = Duration::from_mins(1);
    const SOON: Duration = Duration::from_millis(20);

    /// Pages that no other test uses.
    fn pages(number: usize) -> [usize; 2] {
        Purpose::Report.pages().map(|page| page + number * (1 << 20))
    }

    fn claim_at(pages: [usize; 2], timeout: Duration) -> Option<Claim> {
        claim_pages(pages, timeout, &mut || ())
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn one_thread_at_a_time_has_a_claim() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let run = || {
            for _ in 0..200 {
                let claim = claim_at(pages(1), LATE).unwrap();
                assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
                thread::yield_now();
                assert_eq!(INSIDE.fetch_sub(1, Ordering::SeqCst), 1);
                drop(claim);
            }
        };
        thread::scope(|scope| drop([(); 3].map(|()| scope.spawn(run))));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn who_waits_is_next() {
        let [page, next] = pages(2);
        let first = claim_at([page, next], LATE).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| claim_at([page, next], LATE).unwrap());
            while !is_mapped(next) {
                assert!(!waits.is_finished(), "it has not waited");
                thread::yield_now();
            }
            // From here on, the thread that has the claim could not get it again before the waiting
            // one.
            drop(first);
            let second = waits.join().unwrap();
            assert!(is_mapped(page) && !is_mapped(next));
            drop(second);
            assert!(!is_mapped(page));
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn an_owner_that_is_stuck_loses_the_claim() {
        let stuck = claim_at(pages(3), LATE).unwrap();
        let since = Instant::now();
        assert!(claim_at(pages(3), SOON).is_some());
        assert!(since.elapsed() >= SOON);
        std::mem::forget(stuck);
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn work_goes_on_during_the_wait() {
        let mut first = claim_at(pages(5), LATE);
        let mut calls = 0;
        let second = claim_pages(pages(5), LATE, &mut || {
            calls += 1;
            if calls == 2 {
                first = None;
            }
        });
        assert!(second.is_some() && calls >= 2);
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn a_place_that_is_in_use_is_left_alone() {
        let [page, next] = pages(4);
        for (start, length, protection) in [
            // A large reservation.
            (page - 4 * APART, 16 * APART, libc::PROT_NONE),
            // A page that can be read.
            (next, LENGTH, libc::PROT_READ),
        ] {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: a new mapping that replaces none.
            let base = unsafe { libc::mmap(start as *mut _, length, protection, flags, -1, 0) };
            assert_eq!(base.addr(), start);
            let since = Instant::now();
            assert!(claim_at([page, next], LATE).is_none());
            assert!(since.elapsed() < LATE && is_mapped(start));
            // SAFETY: it was made above, and nothing uses it.
            unsafe { libc::munmap(base, length) };
        }
        assert!(claim_at([page, next], LATE).is_some());
    }
}
