//! Sleeps on a futex word, as locks do. std's sleep panics where a sandbox refuses
//! `clock_nanosleep`; a program that may not wait for a futex word does not run at all.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;

/// Sleeps for this long.
pub(crate) fn sleep(duration: Duration) {
    let word = AtomicU32::new(0);
    let until = Instant::now() + duration;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match futex::wait(&word, futex::Flags::PRIVATE, 0, Some(&left)) {
            Err(Errno::INTR | Errno::AGAIN) if Instant::now() < until => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it waits in the kernel")]
    fn it_lasts_as_long_as_asked() {
        let (started, duration) = (Instant::now(), Duration::from_millis(3));
        sleep(duration);
        assert!(started.elapsed() >= duration);
    }
}
