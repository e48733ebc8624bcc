//! Resolves addresses to functions, files, lines and source text.
//!
//! It maps the files that it reads into memory of its own. It does not touch the program's threads,
//! keeps large data out of the program's allocator, and waits no longer than its caller allows.

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

/// One function at an address, with its location. An address with inlined functions has several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbol {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) source: Option<String>,
}

/// The frames that an address resolved to, shared by all stacks in which it occurs.
type Resolved = Vec<Arc<Frame>>;
