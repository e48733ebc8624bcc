//! What all threads of the process together have used.

#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

/// What the process has used since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

/// Asks the kernel.
///
/// # Errors
/// If the kernel refuses to say.
pub(crate) fn usage() -> io::Result<Usage> {
    // SAFETY: zero is valid for each field.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writes.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(clippy::useless_conversion, reason = "the fields have other types on other targets")]
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    let count = |count: libc::c_long| u64::try_from(count).unwrap_or(0);
    Ok(Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        minor_faults: count(usage.ru_minflt),
        major_faults: count(usage.ru_majflt),
        voluntary_switches: count(usage.ru_nvcsw),
        involuntary_switches: count(usage.ru_nivcsw),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn this_process_has_used_something() {
        let usage = super::usage().unwrap();
        assert!(usage.minor_faults > 0 && !(usage.user + usage.system).is_zero(), "{usage:?}");
    }
}
