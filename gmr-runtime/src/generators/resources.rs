//! Resources: what the process uses and what it may use, from `/proc`, its cgroups and `getrusage`.
//! Nothing here walks through memory, takes a lock of the program's, or asks its allocator.

use std::io;
use std::path::{Path, PathBuf};

use super::unread::Unread;
use crate::model::{Cgroup, Content, EventCount, Memory, Pressure, ResourceLimit, Resources, System, Usage};
use crate::sys::cgroups::{self, Cgroups, Files};
use crate::sys::{proc, procfs, usage};
use crate::threads;

pub(super) fn generate() -> Content {
    let mut unread = Unread::default();
    let status = unread.known("memory and threads", proc::read_text("thread-self/status"));
    let status = status.as_deref().unwrap_or_default();
    let resources = Resources {
        memory: memory(status),
        usage: unread.known("processor time and page faults", usage::usage()).map(used).unwrap_or_default(),
        threads: procfs::number_of(status, "Threads"),
        open_descriptors: unread.known("the number of descriptors", threads::open_descriptors()),
        limits: unread.known("limits", limits()).unwrap_or_default(),
        cgroups: cgroups(&mut unread),
        system: system(status, &mut unread),
        notes: unread.notes().collect(),
    };
    Content::Resources(Box::new(resources))
}

/// From the status of any thread: threads share their memory. That of the main thread has none once
/// it has ended.
fn memory(status: &str) -> Memory {
    let bytes = |key| procfs::bytes_of(status, key);
    Memory {
        resident_bytes: bytes("VmRSS"),
        anonymous_bytes: bytes("RssAnon"),
        file_bytes: bytes("RssFile"),
        shared_bytes: bytes("RssShmem"),
        peak_resident_bytes: bytes("VmHWM"),
        swapped_bytes: bytes("VmSwap"),
        locked_bytes: bytes("VmLck"),
        virtual_bytes: bytes("VmSize"),
        main_stack_bytes: bytes("VmStk"),
    }
}

fn used(usage: usage::Usage) -> Usage {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).ok();
    Usage {
        cpu_user_ms: millis(usage.user),
        cpu_system_ms: millis(usage.system),
        minor_faults: Some(usage.minor_faults),
        major_faults: Some(usage.major_faults),
        voluntary_switches: Some(usage.voluntary_switches),
        involuntary_switches: Some(usage.involuntary_switches),
    }
}

fn limits() -> io::Result<Vec<ResourceLimit>> {
    let limit = |procfs::Limit { name, soft, hard, unit }| ResourceLimit { name, soft, hard, unit };
    Ok(procfs::limits()?.into_iter().map(limit).collect())
}

/// Where the cgroups of version 2 are mounted; with those of version 1, as the second.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The controllers of version 1 that are read, with the names that distributions give their mounts.
const CONTROLLERS: [(&str, &[&str]); 3] = [
    ("memory", &["/sys/fs/cgroup/memory"]),
    ("cpu", &["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]),
    ("pids", &["/sys/fs/cgroup/pids"]),
];

const IN_CGROUPS: &str = "the cgroup";

fn cgroups(unread: &mut Unread) -> Vec<Cgroup> {
    let Some(cgroups) = unread.known(IN_CGROUPS, Cgroups::read()) else { return Vec::new() };
    let mut found = unified(&cgroups, unread);
    found.extend(version_1(&cgroups, unread));
    // Where both versions are mounted, each controller belongs to one of them. The cgroups of the
    // other one may have nothing to show.
    if found.iter().any(has_figures) {
        found.retain(has_figures);
    }
    if found.is_empty() && cgroups.paths().next().is_some() {
        unread.add(IN_CGROUPS, &io::Error::other("there is none below /sys/fs/cgroup"));
    }
    found
}

/// Whether anything is known of a cgroup but where it is.
fn has_figures(cgroup: &Cgroup) -> bool {
    let Cgroup { path, version, .. } = cgroup;
    *cgroup != Cgroup { path: path.clone(), version: *version, ..Cgroup::default() }
}

/// The directories that exist, each with its path below the mount.
fn existing(mount: &str, path: &str) -> Vec<(String, PathBuf)> {
    // `..` stands for a cgroup that the process's namespace does not show.
    if path.split('/').any(|part| part == "..") {
        return Vec::new();
    }
    let mount = Path::new(mount);
    let below =
        |directory: &Path| format!("/{}", directory.strip_prefix(mount).unwrap_or(directory).display());
    let directories = cgroups::directories(mount, path).into_iter().filter(|directory| directory.is_dir());
    directories.map(|directory| (below(&directory), directory)).collect()
}

fn unified(cgroups: &Cgroups, unread: &mut Unread) -> Vec<Cgroup> {
    let is_unified = |mount: &&&str| Path::new(mount).join("cgroup.controllers").exists();
    let Some((mount, path)) = UNIFIED.iter().find(is_unified).zip(cgroups.unified()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, (path, directory)) in existing(mount, path).into_iter().enumerate() {
        let mut files = Files::new(directory);
        let mut cgroup = limited(&mut files);
        let has_limits =
            [cgroup.memory_max_bytes, cgroup.memory_high_bytes, cgroup.cpu_quota_us, cgroup.tasks_max]
                .iter()
                .any(Option::is_some);
        if index == 0 || has_limits {
            add_usage(&mut cgroup, &mut files);
            found.push(Cgroup { path, version: 2, ..cgroup });
        }
        if let Some(error) = files.error() {
            unread.add(IN_CGROUPS, &error);
        }
    }
    found
}

/// The limits of a cgroup of version 2.
fn limited(files: &mut Files) -> Cgroup {
    let (cpu_quota_us, cpu_period_us) = files.text("cpu.max").and_then(|text| quota(&text)).unzip();
    Cgroup {
        memory_max_bytes: files.number("memory.max"),
        memory_high_bytes: files.number("memory.high"),
        swap_max_bytes: files.number("memory.swap.max"),
        cpu_quota_us,
        cpu_period_us,
        tasks_max: files.number("pids.max"),
        ..Cgroup::default()
    }
}

/// Quota and period, unless there is no quota (`max`).
fn quota(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// What a cgroup of version 2 uses. `memory.stat` has more, but the kernel may take milliseconds to
/// add it up.
fn add_usage(cgroup: &mut Cgroup, files: &mut Files) {
    cgroup.memory_bytes = files.number("memory.current");
    cgroup.memory_peak_bytes = files.number("memory.peak");
    cgroup.swap_bytes = files.number("memory.swap.current");
    cgroup.memory_events = files.text("memory.events").map(|text| events(&text)).unwrap_or_default();
    cgroup.memory_reclaimable_bytes = reclaimable(cgroup, files, V2_CACHES);
    cgroup.tasks = files.number("pids.current");
    if cgroup.cpu_quota_us.is_some() {
        let stat = files.text("cpu.stat").unwrap_or_default();
        cgroup.cpu_periods = procfs::number_of(&stat, "nr_periods");
        cgroup.throttled_periods = procfs::number_of(&stat, "nr_throttled");
        cgroup.throttled_us = procfs::number_of(&stat, "throttled_usec");
    }
    // Without memory in use, it is the root. What has waited there has waited on the machine.
    if cgroup.memory_bytes.is_some() {
        let of = |resource: &&str| pressure(resource, &files.text(&format!("{resource}.pressure"))?);
        cgroup.pressure = WAITED_FOR.iter().filter_map(of).collect();
    }
}

/// What the kernel can take back, in `memory.stat` of versions 2 and 1: files that are not in use,
/// or have not been for long, and caches such as of directory entries.
const V2_CACHES: &[&str] = &["active_file", "inactive_file", "slab_reclaimable"];
const V1_CACHES: &[&str] = &["total_active_file", "total_inactive_file"];

/// How much of a cgroup's memory the kernel can take back. It is only read near a limit: there,
/// much of the memory can be files that were read once.
fn reclaimable(cgroup: &Cgroup, files: &mut Files, caches: &[&str]) -> Option<u64> {
    let used = cgroup.memory_bytes?;
    let limits = [cgroup.memory_max_bytes, cgroup.memory_high_bytes];
    if !limits.iter().flatten().any(|limit| used >= limit - limit / 10) {
        return None;
    }
    let stat = files.text("memory.stat")?;
    caches
        .iter()
        .map(|cache| procfs::number_of(&stat, cache))
        .try_fold(0_u64, |sum, one| sum.checked_add(one?))
}

/// The memory in use of the cgroup that is nearest to its limit, without what the kernel can take
/// back, and the limit. `None` if there is no limit.
pub(crate) fn limited_memory() -> Option<(u64, u64)> {
    let in_use = |files: &mut Files, used: &str, limit: &str, caches: &[&str]| {
        let (used, limit) = (files.number(used)?, files.number(limit).filter(|limit| is_limit(*limit))?);
        let stat = files.text("memory.stat")?;
        let cached: u64 = caches.iter().filter_map(|cache| procfs::number_of(&stat, cache)).sum();
        Some((used.saturating_sub(cached), limit))
    };
    let (controller, mounts) = CONTROLLERS[0];
    nearest_to_limit(
        controller,
        mounts,
        &|files| in_use(files, "memory.current", "memory.max", V2_CACHES),
        &|files| in_use(files, "memory.usage_in_bytes", "memory.limit_in_bytes", V1_CACHES),
    )
}

/// The processes and threads of the cgroup that is nearest to its limit of them, and the limit.
/// `None` if there is no limit.
pub(crate) fn limited_tasks() -> Option<(u64, u64)> {
    let in_use = |files: &mut Files| Some((files.number("pids.current")?, files.number("pids.max")?));
    let (controller, mounts) = CONTROLLERS[2];
    nearest_to_limit(controller, mounts, &in_use, &in_use)
}

/// What a cgroup uses, and its limit.
type InUse<'a> = &'a dyn Fn(&mut Files) -> Option<(u64, u64)>;

/// Those of the cgroup that is nearest to its limit, among all that the process is in. `v2` and
/// `v1` read them in the cgroups of each version.
fn nearest_to_limit(controller: &str, mounts: &[&str], v2: InUse<'_>, v1: InUse<'_>) -> Option<(u64, u64)> {
    let cgroups = Cgroups::read().ok()?;
    let mut nearest: Option<(u64, u64)> = None;
    let versions = [(&UNIFIED[..], cgroups.unified(), v2), (mounts, cgroups.with_controller(controller), v1)];
    for (mounts, path, in_use) in versions {
        let Some(path) = path else { continue };
        for (_, directory) in mounts.iter().flat_map(|mount| existing(mount, path)) {
            let Some((used, limit)) = in_use(&mut Files::new(directory)) else { continue };
            let is_nearer = |(other, others): (u64, u64)| {
                u128::from(used) * u128::from(others) > u128::from(other) * u128::from(limit)
            };
            if nearest.is_none_or(is_nearer) {
                nearest = Some((used, limit));
            }
        }
    }
    nearest
}

/// In version 1, the largest multiple of a page stands for no limit.
fn is_limit(limit: u64) -> bool {
    limit < 1 << 62
}

/// The resources that the kernel measures the pressure on.
const WAITED_FOR: [&str; 3] = ["cpu", "memory", "io"];

/// Lines of a name and a number.
fn events(text: &str) -> Vec<EventCount> {
    let event = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some(EventCount { name: name.to_owned(), count: count.trim().parse().ok()? })
    };
    text.lines().filter_map(event).collect()
}

/// The cgroups of version 1 that the process is in. Each controller has its own, often all at the same
/// path: these are shown as one.
fn version_1(cgroups: &Cgroups, unread: &mut Unread) -> Vec<Cgroup> {
    let mut found: Vec<Cgroup> = Vec::new();
    for ((name, mounts), add) in CONTROLLERS.iter().zip([add_memory, add_time, add_tasks]) {
        let below = |path| mounts.iter().find_map(|mount| existing(mount, path).into_iter().next());
        let Some((path, directory)) = cgroups.with_controller(name).and_then(below) else { continue };
        let place = found.iter().position(|cgroup| cgroup.path == path).unwrap_or_else(|| {
            found.push(Cgroup { path, version: 1, ..Cgroup::default() });
            found.len() - 1
        });
        let mut files = Files::new(directory);
        add(&mut found[place], &mut files);
        if let Some(error) = files.error() {
            unread.add(IN_CGROUPS, &error);
        }
    }
    found
}

fn add_memory(cgroup: &mut Cgroup, files: &mut Files) {
    cgroup.memory_bytes = files.number("memory.usage_in_bytes");
    cgroup.memory_peak_bytes = files.number("memory.max_usage_in_bytes");
    cgroup.memory_max_bytes = files.number("memory.limit_in_bytes").filter(|limit| is_limit(*limit));
    cgroup.memory_reclaimable_bytes = reclaimable(cgroup, files, V1_CACHES);
    let mut event = |name: &str, count: Option<u64>| {
        cgroup.memory_events.extend(count.map(|count| EventCount { name: name.to_owned(), count }));
    };
    event("max", files.number("memory.failcnt"));
    event("oom_kill", files.text("memory.oom_control").and_then(|text| procfs::number_of(&text, "oom_kill")));
}

fn add_time(cgroup: &mut Cgroup, files: &mut Files) {
    // Without a quota, it is -1.
    cgroup.cpu_quota_us = files.number("cpu.cfs_quota_us");
    if cgroup.cpu_quota_us.is_some() {
        cgroup.cpu_period_us = files.number("cpu.cfs_period_us");
        let stat = files.text("cpu.stat").unwrap_or_default();
        cgroup.cpu_periods = procfs::number_of(&stat, "nr_periods");
        cgroup.throttled_periods = procfs::number_of(&stat, "nr_throttled");
        cgroup.throttled_us = procfs::number_of(&stat, "throttled_time").map(|time| time / 1000);
    }
}

fn add_tasks(cgroup: &mut Cgroup, files: &mut Files) {
    cgroup.tasks = files.number("pids.current");
    cgroup.tasks_max = files.number("pids.max");
}

fn system(status: &str, unread: &mut Unread) -> System {
    let load = unread.known("the load", proc::read_text("loadavg")).unwrap_or_default();
    let mut load = load.split_ascii_whitespace().map(|number| number.parse::<f64>().ok());
    let mut next_load = || load.next().flatten();
    let memory = unread.known("the memory of the machine", proc::read_text("meminfo")).unwrap_or_default();
    let mut machine = Files::new(PathBuf::from("/proc/pressure"));
    let pressures = WAITED_FOR.iter().filter_map(|resource| pressure(resource, &machine.text(resource)?));
    let pressure = pressures.collect();
    if let Some(error) = machine.error() {
        unread.add("the pressure on the machine", &error);
    }
    System {
        processors: procfs::value_of(status, "Cpus_allowed_list").and_then(processors),
        load_1min: next_load(),
        load_5min: next_load(),
        load_15min: next_load(),
        memory_bytes: procfs::bytes_of(&memory, "MemTotal"),
        available_bytes: procfs::bytes_of(&memory, "MemAvailable"),
        pressure,
    }
}

/// The length of a list such as `0-3,8`.
fn processors(list: &str) -> Option<u64> {
    let mut count = 0_u64;
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let [from, to] = [from, to].map(|number| number.parse::<u64>().ok());
        count = count.checked_add(to?.checked_sub(from?)?.checked_add(1)?)?;
    }
    Some(count)
}

/// Parses lines such as `some avg10=0.12 avg60=0.34 avg300=0.56 total=789`.
fn pressure(resource: &str, text: &str) -> Option<Pressure> {
    let average = |kind: &str, name: &str| {
        let line = procfs::value_of(text, kind)?;
        let value = line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value?.parse::<f64>().ok().filter(|value| value.is_finite())
    };
    Some(Pressure {
        resource: resource.to_owned(),
        some_10s: average("some", "avg10")?,
        some_60s: average("some", "avg60")?,
        full_10s: average("full", "avg10"),
        full_60s: average("full", "avg60"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_and_nothing_is_unread() {
        let Content::Resources(resources) = generate() else { panic!("no resources") };
        assert_eq!(resources.notes, Vec::<String>::new());
        let Resources { memory, usage, threads, open_descriptors, limits, system, .. } = *resources;
        let parts = [memory.anonymous_bytes, memory.file_bytes, memory.shared_bytes]
            .map(|part| part.expect("a part"));
        assert_eq!(memory.resident_bytes, Some(parts.iter().sum()));
        assert!(memory.peak_resident_bytes >= memory.resident_bytes);
        assert!(usage.minor_faults > Some(0) && threads > Some(0) && open_descriptors > Some(2));
        assert!(limits.iter().any(|limit| limit.name == procfs::OPEN_FILES && limit.soft.is_some()));
        assert!(system.processors > Some(0) && system.memory_bytes > system.available_bytes);
        assert!(system.load_1min.is_some());
    }

    #[test]
    fn the_files_of_version_2_are_parsed() {
        assert_eq!(quota("150000 100000\n"), Some((150_000, 100_000)));
        assert_eq!(quota("max 100000\n"), None);
        let events = events("low 0\nhigh 3\noom_kill 1\nbroken\n");
        let events: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.count)).collect();
        assert_eq!(events, [("low", 0), ("high", 3), ("oom_kill", 1)]);
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=7\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=3\n";
        let Some(Pressure { some_10s, some_60s, full_10s, .. }) = pressure("io", text) else {
            panic!("no pressure")
        };
        assert_eq!((some_10s, some_60s, full_10s), (1.5, 0.25, Some(0.5)));
        assert_eq!(pressure("io", "full avg10=0.50\n"), None);
    }

    #[test]
    fn what_can_be_taken_back_is_read_near_a_limit_only() {
        let directory = std::env::temp_dir().join(format!("gmr-reclaimable-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let write = |text: &str| std::fs::write(directory.join("memory.stat"), text).unwrap();
        let of = |used, max, high| {
            let cgroup = Cgroup {
                memory_bytes: Some(used),
                memory_max_bytes: max,
                memory_high_bytes: high,
                ..Cgroup::default()
            };
            reclaimable(&cgroup, &mut Files::new(directory.clone()), V2_CACHES)
        };
        write("anon 900\nactive_file 20\ninactive_file 300\nslab_reclaimable 1\n");
        let found = [
            of(89, Some(100), None),
            of(90, Some(100), None),
            of(90, Some(200), Some(100)),
            of(90, None, None),
        ];
        write("anon 900\n");
        let unknown = of(90, Some(100), None);
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!((found, unknown), ([None, Some(321), Some(321), None], None));
    }

    #[test]
    fn processors_are_counted() {
        assert_eq!(processors("\t0-3,8\n"), Some(5));
        assert_eq!(processors("0"), Some(1));
        assert_eq!((processors("3-1"), processors(""), processors("x")), (None, None, None));
    }
}
