//! The CPU quota of the cgroups that this process is in, and how often the kernel has stopped the
//! process because the quota was used up.

use std::fs;
use std::path::Path;

use crate::sys::cgroups::{self, Cgroups};

/// What the CPU controller shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttling {
    /// In how many periods the quota was used up, in all cgroups with a quota together.
    pub(crate) periods: u64,
    /// How many times longer work takes at the smallest quota than with a whole CPU, rounded up.
    pub(crate) slowdown: u32,
}

/// The mount points of the CPU controller, and whose path in `/proc/self/cgroup` belongs to each:
/// of version 2, and of version 1 by the names that distributions give it.
const CONTROLLERS: [(&str, PathOf); 3] = [
    ("/sys/fs/cgroup", Cgroups::unified),
    ("/sys/fs/cgroup/cpu", |cgroups| cgroups.with_controller("cpu")),
    ("/sys/fs/cgroup/cpu,cpuacct", |cgroups| cgroups.with_controller("cpu")),
];

type PathOf = fn(&Cgroups) -> Option<&str>;

impl Throttling {
    /// Reads it. `None` if no cgroup of this process has a quota.
    pub(crate) fn read() -> Option<Self> {
        let cgroups = Cgroups::read().ok()?;
        CONTROLLERS.iter().find_map(|(mount, path_of)| {
            let directories = cgroups::directories(Path::new(mount), path_of(&cgroups)?);
            directories.into_iter().filter_map(|directory| of_directory(&directory)).reduce(|one, other| {
                Self {
                    periods: one.periods.saturating_add(other.periods),
                    slowdown: one.slowdown.max(other.slowdown),
                }
            })
        })
    }
}

fn of_directory(directory: &Path) -> Option<Throttling> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let (quota, period) = match read("cpu.max") {
        Some(text) => limits(&text)?,
        None => limits(&format!("{} {}", read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?))?,
    };
    let slowdown = u32::try_from(period.div_ceil(quota)).unwrap_or(u32::MAX);
    Some(Throttling { periods: throttled_periods(&read("cpu.stat")?)?, slowdown })
}

/// Quota and period; `None` if there is no quota (`max` in version 2, -1 in version 1).
fn limits(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (quota, period) = (words.next()?.ok()?, words.next()?.ok()?);
    (quota > 0 && period > 0).then_some((quota, period))
}

fn throttled_periods(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_a_quota_tells_how_often_it_was_used_up() {
        let directory = std::env::temp_dir().join(format!("gmr-throttling-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
        write("cpu.stat", "nr_periods 17\nnr_throttled 9\nthrottled_usec 71\n");
        let none = of_directory(&directory);
        write("cpu.cfs_quota_us", "-1\n");
        write("cpu.cfs_period_us", "100000\n");
        let unlimited = of_directory(&directory);
        write("cpu.cfs_quota_us", "30000\n");
        let first = of_directory(&directory);
        write("cpu.max", "20000 100000\n");
        let second = of_directory(&directory);
        write("cpu.max", "max 100000\n");
        let max = of_directory(&directory);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!([none, unlimited, max], [None; 3]);
        assert_eq!(first, Some(Throttling { periods: 9, slowdown: 4 }));
        assert_eq!(second, Some(Throttling { periods: 9, slowdown: 5 }));
    }
}
