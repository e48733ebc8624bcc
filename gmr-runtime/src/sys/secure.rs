//! Whether whoever started the process has fewer rights than the process itself.

#![allow(unsafe_code)]

/// Whether this is a program with the set-user-ID bit, a capability of its file, or the like: its
/// environment is that of somebody who may not do what it may.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: it reads a value that the kernel gave the process at its start; 0 if there is none.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
