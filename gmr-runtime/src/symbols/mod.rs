//! Resolves addresses to functions, files, lines and source text.
//!
//! It maps the files that it reads into memory of its own. It does not touch the program's threads,
//! keeps large data out of the program's allocator, and waits no longer than its caller allows.

use crate::model::{Frame, Stack};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
mod linux;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
use linux as platform;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))))]
mod noop;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
)))]
use noop as platform;

mod cache;
#[cfg(feature = "__cli")]
pub(crate) mod offline;
#[cfg_attr(not(feature = "__cli"), expect(unreachable_pub, reason = "the command `gmr` names them"))]
pub(crate) mod split_files;
mod symbolize;

#[cfg(all(
    feature = "__bench",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
))]
pub(crate) use cache::forget;
#[cfg(feature = "__fuzz")]
pub(crate) use platform::resolve_bytes;
pub(crate) use symbolize::{DEADLINE, symbolize};

/// One function at an address, with its location. An address with inlined functions has several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbol {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) source: Option<String>,
    /// The MD5 of the file that was compiled, where the debug information has it.
    pub(crate) md5: Option<[u8; 16]>,
}

/// Stacks with names.
#[derive(Debug, Default)]
pub(crate) struct Symbolized {
    /// The stacks, in the order of the traces that they were made of.
    pub(crate) stacks: Vec<Stack>,
    /// Their frames: a stack holds indices into this list.
    pub(crate) frames: Vec<Frame>,
    /// Notes on all of them, such as that symbols are missing.
    pub(crate) notes: Vec<String>,
}
