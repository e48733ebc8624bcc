//! From addresses to functions, files, lines and source text.
//!
//! It reads files and copies of files in memory of its own; it touches neither the program's threads
//! nor its allocator's large pieces, and never waits longer than its caller allows.

use std::sync::Arc;

use crate::model::Frame;

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
mod source;
mod symbolize;

#[cfg(feature = "__bench")]
pub(crate) use cache::forget;
pub(crate) use symbolize::{DEADLINE, symbolize};

/// What the symbolizer says of one address: the function, then those it was inlined into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbol {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) source: Option<String>,
}

/// What an address resolved to, shared by all the stacks it occurs in.
type Resolved = Vec<Arc<Frame>>;
