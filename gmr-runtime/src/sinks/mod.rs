//! Where the bytes of a report go. A sink does not know what they mean, and blocks its thread no
//! longer than its deadlines.

#[cfg(unix)]
#[cfg_attr(not(target_os = "linux"), path = "reopened_noop.rs")]
mod reopened;
#[cfg_attr(not(unix), path = "stderr_noop.rs")]
mod stderr;

pub(crate) use stderr::Stderr;
