//! Where the bytes of a report go. A sink does not know what they mean, and blocks its thread no
//! longer than its deadlines.

#[cfg_attr(not(target_os = "linux"), path = "journal_noop.rs")]
mod journal;
#[cfg_attr(not(target_os = "linux"), path = "log_dir_noop.rs")]
mod log_dir;
#[cfg_attr(not(target_os = "linux"), path = "offered_noop.rs")]
mod offered;
#[cfg(unix)]
#[cfg_attr(not(target_os = "linux"), path = "reopened_noop.rs")]
mod reopened;
#[cfg_attr(not(unix), path = "stderr_noop.rs")]
mod stderr;

pub(crate) use journal::Journal;
pub(crate) use log_dir::LogDir;
pub(crate) use offered::Offered;
pub(crate) use stderr::Stderr;
