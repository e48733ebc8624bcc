//! The CPU quota of the cgroups that this process is in, and how often the kernel has stopped the
//! process because the quota was used up.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::proc;

/// What the CPU controller shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttling {
    /// In how many periods the quota was used up, in all cgroups with a quota together.
    pub(crate) periods: u64,
    /// How many times longer work takes at the smallest quota than with a whole CPU, rounded up.
    pub(crate) slowdown: u32,
}

/// The mount points of the CPU controller, and the prefix of its line in `/proc/self/cgroup`: of
/// version 2, and of version 1 by the names that distributions give it.
const CONTROLLERS: [(&str, IsMeant); 3] = [
    ("/sys/fs/cgroup", |controllers| controllers.is_empty()),
    ("/sys/fs/cgroup/cpu", names_cpu),
    ("/sys/fs/cgroup/cpu,cpuacct", names_cpu),
];

/// Whether these are the controllers of the line.
type IsMeant = fn(&str) -> bool;

fn names_cpu(controllers: &str) -> bool {
    controllers.split(',').any(|name| name == "cpu")
}

impl Throttling {
    /// Reads it. `None` if no cgroup of this process has a quota.
    pub(crate) fn read() -> Option<Self> {
        let cgroups = proc::read_text("thread-self/cgroup").ok()?;
        CONTROLLERS.iter().find_map(|(mount, is_meant)| {
            let path = path_of(&cgroups, is_meant)?;
            directories(Path::new(mount), path).filter_map(|directory| of_directory(&directory)).reduce(
                |one, other| Self {
                    periods: one.periods.saturating_add(other.periods),
                    slowdown: one.slowdown.max(other.slowdown),
                },
            )
        })
    }
}

/// The cgroup's path in `/proc/self/cgroup`: lines of `ID:CONTROLLERS:PATH`.
fn path_of<'a>(cgroups: &'a str, is_meant: &impl Fn(&str) -> bool) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        is_meant(controllers).then_some(path)
    })
}

/// The cgroup's directory, and those of the cgroups that it is in: each can have a quota. In a
/// container the path may be the one on the host, and only the mount point itself exists.
fn directories(mount: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    relative.ancestors().map(|ancestor| mount.join(ancestor)).collect::<Vec<_>>().into_iter()
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
    fn the_path_is_that_of_the_cpu_controller() {
        let cgroups = "5:cpuset:/\n4:cpu,cpuacct:/shop/orders\n0::/user.slice/a:b\n";
        assert_eq!(path_of(cgroups, &names_cpu), Some("/shop/orders"));
        assert_eq!(path_of(cgroups, &CONTROLLERS[0].1), Some("/user.slice/a:b"));
        assert_eq!(path_of("1:memory:/\nbroken\n", &names_cpu), None);
        let all: Vec<_> = directories(Path::new("/cpu"), "/shop/orders").collect();
        assert_eq!(all, ["/cpu/shop/orders", "/cpu/shop", "/cpu/"].map(PathBuf::from));
    }

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
