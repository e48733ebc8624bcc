//! The stacks on which the handler of fatal signals runs.

#![allow(unsafe_code)]

use std::arch::asm;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use super::super::pages;

/// How large each of them is. A report takes up to 40 KiB of it, in a debug build.
const SIZE: usize = 256 << 10;

/// Both stacks: one for the report, and one for the handler of a second signal meanwhile.
#[derive(Debug)]
pub(super) struct Stacks {
    first: *mut u8,
    second: *mut u8,
}

impl Stacks {
    /// Maps them, each behind a page that cannot be accessed.
    pub(super) fn map() -> io::Result<Self> {
        Ok(Self { first: map()?, second: map()? })
    }

    /// Runs a function on the first stack.
    ///
    /// # Safety
    /// No other thread may do so at the same time, and the function must not unwind.
    pub(super) unsafe fn run(&self, function: extern "C" fn()) {
        // SAFETY: the stack belongs to this thread until the function returns, as the caller makes
        // sure. Its end is aligned as calls need it. The stack pointer is kept in a register that a
        // function preserves, and is as before after the call.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "xchg rsp, r12",
                "call {function}",
                "mov rsp, r12",
                function = in(reg) function,
                inout("r12") self.first.add(SIZE) => _,
                clobber_abi("C"),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "mov x20, sp",
                "mov sp, {stack}",
                "blr {function}",
                "mov sp, x20",
                stack = in(reg) self.first.add(SIZE),
                function = in(reg) function,
                out("x20") _,
                clobber_abi("C"),
            );
        }
    }

    /// From now on, signals of this thread are handled on the second stack. Returns what the thread
    /// had before; `None` if that cannot be changed.
    pub(super) fn begin_nested(&self) -> Option<libc::stack_t> {
        let second = libc::stack_t { ss_sp: self.second.cast(), ss_flags: 0, ss_size: SIZE };
        let mut former = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: the stack is mapped for as long as the process lives, and only the thread that
        // makes the report uses it.
        let result = unsafe { libc::sigaltstack(&raw const second, former.as_mut_ptr()) };
        // SAFETY: all-zero is a valid value, too.
        (result == 0).then(|| unsafe { former.assume_init() })
    }

    /// Sets what the thread had before.
    pub(super) fn end_nested(former: &libc::stack_t) {
        let flags = former.ss_flags & libc::SS_DISABLE;
        let former = libc::stack_t { ss_flags: flags, ..*former };
        // SAFETY: it is what the thread had before, and the handler that runs on it is further out.
        unsafe { libc::sigaltstack(&raw const former, null_mut()) };
    }
}

fn map() -> io::Result<*mut u8> {
    let guard = usize::try_from(pages::size()).unwrap_or(4096);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new private mapping at an address of the kernel's choice affects no other memory.
    let base = unsafe { libc::mmap(null_mut(), guard + SIZE, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is the first page of the mapping, which nothing uses. If it fails, there is no
    // guard.
    unsafe {
        libc::mprotect(base, guard, libc::PROT_NONE);
        Ok(base.cast::<u8>().add(guard))
    }
}
