//! Where the bytes of a report go. A sink knows nothing of what they say, and can never hold up the reporter for longer than its deadline.

#[cfg_attr(not(unix), path = "stderr_noop.rs")]
mod stderr;

pub(crate) use stderr::Stderr;
