//! Starts the threads that watch what an option names. Each is a thread of its own, so that what one
//! waits for cannot delay another.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::warning::warn;
use crate::capture;
#[cfg(target_os = "linux")]
use crate::generators::limited_memory;
use crate::sys::channel::Sender;
use crate::sys::own_threads;
use crate::trigger::conditions::{self, Condition};
use crate::trigger::{Outbox, file};

/// Starts the thread that notices when the file is touched. It says when it is `ready`.
pub(super) fn watch_file(file: &Path, outbox: &Arc<Outbox>, ready: &Sender<()>) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (watched, is_ready) = (Arc::clone(outbox), ready.clone());
    let watch = move || {
        capture::shield_thread(None);
        file::watch(&file, &watched, || {
            let _ = is_ready.send(());
        });
    };
    if let Err(error) = own_threads::spawn("gmr file", watch) {
        warn(&format!("could not start the thread that watches the trigger file: {error}"));
    }
}

/// The conditions that make a report. Zero stands for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions {
    pub(super) watchdog: Duration,
    pub(super) on_memory: u8,
}

impl Conditions {
    /// Starts the thread that looks at them, if there are any.
    pub(super) fn watch(self) {
        let conditions: Vec<Condition> = [self.watchdog(), self.memory()].into_iter().flatten().collect();
        if conditions.is_empty() {
            return;
        }
        let watch = move || {
            capture::shield_thread(None);
            conditions::watch(conditions);
        };
        if let Err(error) = own_threads::spawn("gmr conditions", watch) {
            warn(&format!("could not start the thread for `watchdog` and `on_memory`: {error}"));
        }
    }

    #[cfg(feature = "tokio")]
    fn watchdog(self) -> Option<Condition> {
        if self.watchdog.is_zero() {
            return None;
        }
        let mut watchdog = crate::task::watchdog::Watchdog::new(self.watchdog);
        let every = watchdog.every();
        let check = Box::new(move |late| watchdog.look(late));
        Some(Condition { option: "watchdog", every, check })
    }

    #[cfg(not(feature = "tokio"))]
    fn watchdog(self) -> Option<Condition> {
        if !self.watchdog.is_zero() {
            warn("`watchdog` has no effect: it watches runtimes of tokio, with gmr's feature `tokio`");
        }
        None
    }

    #[cfg(target_os = "linux")]
    fn memory(self) -> Option<Condition> {
        if self.on_memory == 0 {
            return None;
        }
        if limited_memory().is_none() {
            warn("`on_memory` has no effect: no cgroup of this process has a limit of memory");
            return None;
        }
        let mut memory = Memory { percent: self.on_memory, is_above: false };
        let check = Box::new(move |_| memory.look(limited_memory()?));
        Some(Condition { option: "on_memory", every: Duration::from_secs(1), check })
    }

    #[cfg(not(target_os = "linux"))]
    fn memory(self) -> Option<Condition> {
        if self.on_memory > 0 {
            warn("`on_memory` has no effect on this platform");
        }
        None
    }
}

/// Whether too much of a cgroup's memory is in use.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Memory {
    percent: u8,
    is_above: bool,
}

#[cfg(target_os = "linux")]
impl Memory {
    /// What is wrong with so many bytes in use, of so many. Once above the share, it stays so until a
    /// tenth less is in use: memory goes up and down all the time.
    fn look(&mut self, (used, limit): (u64, u64)) -> Option<String> {
        use crate::units::bytes;

        let tenths = u128::from(self.percent) * if self.is_above { 9 } else { 10 };
        self.is_above = u128::from(used) * 1_000 >= u128::from(limit) * tenths;
        self.is_above.then(|| {
            let (used, limit, percent) = (bytes(used), bytes(limit), self.percent);
            format!(
                "the cgroup uses {used} of at most {limit} of memory, without caches: more than {percent} %"
            )
        })
    }
}

#[cfg(all(test, target_os = "linux", not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_above_its_share_until_a_tenth_less_is_in_use() {
        let mut memory = Memory { percent: 90, is_above: false };
        let mut is_above = |used| memory.look((used, 1_000)).is_some();
        let looks = [(899, false), (900, true), (850, true), (809, false), (850, false), (1_000, true)];
        for (used, expected) in looks {
            assert_eq!(is_above(used), expected, "{used}");
        }
        assert!(Memory { percent: 100, is_above: false }.look((999, 1_000)).is_none());
    }
}
