//! Where the bytes of a report go. A sink does not know what they mean, and blocks the reporter no
//! longer than its deadline.

#[cfg_attr(not(unix), path = "stderr_noop.rs")]
mod stderr;

pub(crate) use stderr::Stderr;
