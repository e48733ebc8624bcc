//! The report of a fatal signal, for the option `on_fatal`: which signal, where, and the stacks of
//! all threads as addresses. `gmr symbolize` and `addr2line` tell their names later.
//!
//! It is made inside the signal handler (see `sys::linux::fatal_signal`), so it is short, and is no
//! [`Report`](crate::Report): it has no sections, tasks, findings or names of functions. From the
//! moment at which the signal arrives, nothing here may allocate or lock, and every step has a
//! deadline. What is not known is said, or left out.

#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    path = "noop.rs"
)]
mod report;

pub(crate) use report::{install, uninstall};
