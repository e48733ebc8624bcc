//! How much of what is limited is in use: memory and threads of a cgroup, descriptors and threads
//! of the process. It reads, and makes no report.

use std::time::Duration;

use crate::generators::{limited_memory, limited_tasks};
use crate::install::warning::warn;
use crate::sys::{proc, procfs};
use crate::threads;
use crate::trigger::conditions::{Condition, OnThreads};
use crate::units::bytes;

/// How often to look. To read one of them takes some microseconds, and what they are about takes
/// seconds to grow.
const EVERY: Duration = Duration::from_secs(1);

/// Those of the options that are set. Warns of those that have no effect.
pub(super) fn conditions(
    on_memory: Option<u8>,
    on_descriptors: Option<u8>,
    on_threads: Option<OnThreads>,
) -> impl Iterator<Item = Condition> {
    let memory = on_memory.filter(|percent| *percent > 0).and_then(memory);
    let descriptors = on_descriptors.filter(|percent| *percent > 0).and_then(descriptors);
    let threads = match on_threads {
        None | Some(OnThreads::Off | OnThreads::Count(0) | OnThreads::Percent(0)) => None,
        Some(OnThreads::Count(most)) => threads(most),
        Some(OnThreads::Percent(percent)) => tasks(percent),
    };
    [memory, descriptors, threads].into_iter().flatten()
}

fn memory(percent: u8) -> Option<Condition> {
    let words = |used, limit| {
        format!("the cgroup uses {} of at most {} of memory, without caches", bytes(used), bytes(limit))
    };
    condition("on_memory", percent, limited_memory, "no cgroup of this process has a limit of memory", words)
}

fn descriptors(percent: u8) -> Option<Condition> {
    let read = || {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
        Some((threads::open_descriptors().ok()?, limit))
    };
    let words = |used, limit| format!("{used} of at most {limit} descriptors are in use (RLIMIT_NOFILE)");
    let missing = "descriptors have no limit (RLIMIT_NOFILE), or cannot be counted";
    condition("on_descriptors", percent, read, missing, words)
}

/// The share of a cgroup's limit, which is one of processes and threads together.
fn tasks(percent: u8) -> Option<Condition> {
    let words =
        |used, limit| format!("the cgroup has {used} of at most {limit} processes and threads (pids.max)");
    let missing = "no cgroup of this process has a limit of processes and threads (pids.max)";
    condition("on_threads", percent, limited_tasks, missing, words)
}

/// The number of threads of this process.
fn threads(most: u32) -> Option<Condition> {
    let read = || procfs::number_of(&proc::read_text("thread-self/status").ok()?, "Threads");
    if read().is_none() {
        warn("`on_threads` has no effect: threads cannot be counted");
        return None;
    }
    let mut level = Level::of(100);
    let check = move |_| {
        let count = read()?;
        let is_above = level.is_above(count, u64::from(most));
        is_above.then(|| format!("the process has {count} threads; on_threads = {most}").into())
    };
    Some(Condition { option: "on_threads", every: EVERY, check: Box::new(check) })
}

/// A condition on a share of a limit. `read` has what is in use, and the limit; if it has nothing
/// now, a warning says what is `missing`.
fn condition(
    option: &'static str,
    percent: u8,
    read: fn() -> Option<(u64, u64)>,
    missing: &str,
    words: fn(u64, u64) -> String,
) -> Option<Condition> {
    if read().is_none() {
        warn(&format!("`{option}` has no effect: {missing}"));
        return None;
    }
    let mut level = Level::of(percent);
    let check = move |_| {
        let (used, limit) = read()?;
        // The share of it: once above, it can be a little less.
        let is_above = level.is_above(used, limit);
        is_above.then(|| format!("{}; {option} = {percent} %", words(used, limit)).into())
    };
    Some(Condition { option, every: EVERY, check: Box::new(check) })
}

/// Whether too much of something is in use. Once above the share, it stays so until a tenth less is
/// in use: what is in use goes up and down all the time.
#[derive(Debug)]
struct Level {
    percent: u8,
    was_above: bool,
}

impl Level {
    fn of(percent: u8) -> Self {
        Self { percent, was_above: false }
    }

    fn is_above(&mut self, used: u64, limit: u64) -> bool {
        let tenths = u128::from(self.percent) * if self.was_above { 9 } else { 10 };
        self.was_above = u128::from(used) * 1_000 >= u128::from(limit) * tenths;
        self.was_above
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_share_is_so_until_a_tenth_less_is_in_use() {
        let mut level = Level::of(90);
        let looks = [(899, false), (900, true), (850, true), (809, false), (850, false), (1_000, true)];
        for (used, expected) in looks {
            assert_eq!(level.is_above(used, 1_000), expected, "{used}");
        }
        assert!(!Level::of(100).is_above(999, 1_000));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn conditions_look_at_what_there_is() {
        let mut found: Vec<Condition> = conditions(None, Some(100), Some(OnThreads::Count(1))).collect();
        let problems: Vec<Option<String>> =
            found.iter_mut().map(|condition| Some((condition.check)(Duration::ZERO)?.cause)).collect();
        assert_eq!(
            found.iter().map(|condition| condition.option).collect::<Vec<_>>(),
            ["on_descriptors", "on_threads"]
        );
        assert!(
            problems[0].is_none()
                && problems[1].as_deref().is_some_and(|cause| cause.ends_with("on_threads = 1"))
        );
        assert_eq!(conditions(Some(0), None, Some(OnThreads::Off)).count(), 0);
    }
}
