//! Memory files: files without a path, that end with their last descriptor and mapping. It does not
//! know what they are for.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// Makes one with this name, which `/proc` shows. It can be sealed.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn create(name: &str) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3. Since then, a system can require it.
        Err(Errno::INVAL) => memfd_create(name, flags),
        file => file,
    }
}
