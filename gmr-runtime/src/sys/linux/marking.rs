//! Marks this process as one that has gmr, for the command `gmr`, which must not send a signal to
//! any other process: SIGUSR2 ends a process that has no handler for it.
//!
//! The mark is the name of a mapping: a memory file of no length that is mapped without access,
//! whose descriptor is closed at once. `/proc/PID/maps` shows the name.
//!
//! - It states what is true of this process now, which a note in the image or a static variable
//!   could not: that gmr is installed, for which signal, and the service's name and version, which
//!   the program may know at run time only. When gmr is uninstalled it is unmapped, and a forked
//!   child, which has no reporter, does not inherit it (`MADV_DONTFORK`). The kernel removes it
//!   however the process ends.
//! - To read it, one needs no more than to see the process's mappings: the same user or root. To
//!   read memory, or the target of a mapping, one needs the right to trace the process, which many
//!   systems refuse to the same user (Yama). It can be read through any mount and PID namespace,
//!   from a static executable as well, and where the process can write no file.
//! - It takes no memory: no page is ever there, and the address is of no use to an attacker. No
//!   descriptor stays open, and no thread or lock is needed.
//! - Each copy of gmr in a process makes its own.
//! - `memfd_create` is allowed where `process_vm_readv` is, without which there are no reports:
//!   both are in systemd's `@ipc`, and in Docker's profile. If it is refused, the process has no
//!   mark, and everything else works.
//!
//! Naming anonymous memory (`PR_SET_VMA_ANON_NAME`) would need no file, but many kernels can't do
//! it.
//!
//! Anybody can make such a mapping. It is a hint for an operator, and proves nothing.

#![allow(unsafe_code)]

use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use super::super::mark::Mark;
use super::super::memory_file;
use super::with_files;

/// The kernel rounds it up to a page.
const LENGTH: usize = 1;

/// The mark, until it is dropped.
#[derive(Debug)]
pub(crate) struct Marking {
    base: usize,
    /// A forked child has this value, but not the mapping.
    pid: u32,
}

/// Marks this process. `None` if the kernel refuses it.
pub(crate) fn mark(mark: &Mark) -> Option<Marking> {
    let name = mark.text();
    // Not for a moment in the table of the program, which might close the descriptor.
    with_files(|| create(&name))
}

fn create(name: &str) -> Option<Marking> {
    let file = memory_file::create(name).ok()?;
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice affects no other memory.
    let base = unsafe { libc::mmap(null_mut(), LENGTH, libc::PROT_NONE, flags, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return None;
    }
    for advice in [libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
        // SAFETY: this is the mapping that was made above. It has no contents.
        unsafe { libc::madvise(base, LENGTH, advice) };
    }
    Some(Marking { base: base.addr(), pid: std::process::id() })
}

impl Drop for Marking {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            // SAFETY: this is the mapping that was made by this process. Nothing refers to its
            // contents: there are none.
            unsafe { libc::munmap(self.base as *mut _, LENGTH) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_mark_is_there_until_it_is_dropped() {
        let service = Some("a service of this test".to_owned());
        let expected = Mark { signal: Some(12), service, ..Mark::default() };
        let line = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().find(|line| line.contains(&expected.text())).map(str::to_owned)
        };
        assert_eq!(line(), None);
        let marking = mark(&expected).unwrap();
        let shown = line().unwrap();
        assert!(shown.contains(" ---s "), "{shown}");
        drop(marking);
        assert_eq!(line(), None);
    }
}
