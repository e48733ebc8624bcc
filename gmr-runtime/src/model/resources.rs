//! The Resources section: what the process uses, and what it may use.

use serde::{Deserialize, Serialize};

use super::lists;

/// What the process uses, and its limits.
///
/// A value that the kernel does not have is `None`. A note gives the reason where one could not be
/// read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Resources {
    /// Memory.
    pub memory: Memory,
    /// Processor time, page faults and context switches.
    pub usage: Usage,
    /// Number of threads.
    pub threads: Option<u64>,
    /// Number of open descriptors.
    pub open_descriptors: Option<u64>,
    /// The limits of the process, as `/proc/self/limits` lists them.
    #[serde(deserialize_with = "lists::tight")]
    pub limits: Vec<ResourceLimit>,
    /// The cgroup of the process, then those that it is in and that have limits, the innermost
    /// first.
    #[serde(deserialize_with = "lists::tight")]
    pub cgroups: Vec<Cgroup>,
    /// The machine, or the part of it that the process can see.
    pub system: System,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// The memory of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Memory {
    /// What is in RAM: the sum of the next three.
    pub resident_bytes: Option<u64>,
    /// The part that is in no file: heap and stacks.
    pub anonymous_bytes: Option<u64>,
    /// The part that is mapped from files, such as code.
    pub file_bytes: Option<u64>,
    /// The part that can be shared with other processes: `shm_open`, `memfd_create`, files in
    /// memory.
    pub shared_bytes: Option<u64>,
    /// The most that was ever in RAM.
    pub peak_resident_bytes: Option<u64>,
    /// What is swapped out.
    pub swapped_bytes: Option<u64>,
    /// What is locked in RAM.
    pub locked_bytes: Option<u64>,
    /// All mapped addresses, whether or not there is memory behind them.
    pub virtual_bytes: Option<u64>,
    /// The stack of the main thread. Stacks of other threads are in `anonymous_bytes`; the kernel
    /// does not count them apart.
    pub main_stack_bytes: Option<u64>,
}

/// What the process has used since it started, all threads together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in the program's code, in milliseconds.
    pub cpu_user_ms: Option<u64>,
    /// Processor time in the kernel, in milliseconds.
    pub cpu_system_ms: Option<u64>,
    /// Page faults that needed no input.
    pub minor_faults: Option<u64>,
    /// Page faults that waited for input, such as from a disk.
    pub major_faults: Option<u64>,
    /// How often a thread has given up its processor to wait.
    pub voluntary_switches: Option<u64>,
    /// How often a thread has lost its processor to another one.
    pub involuntary_switches: Option<u64>,
}

/// A limit of the process (`getrlimit(2)`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ResourceLimit {
    /// The name in the kernel's words, without `Max`: `open files`.
    pub name: String,
    /// The limit that applies. `None` if there is none.
    pub soft: Option<u64>,
    /// What the process may raise it to. `None` if there is no limit.
    pub hard: Option<u64>,
    /// What is counted: `bytes`, `files`, `seconds`. `None` for priorities.
    pub unit: Option<String>,
}

/// A cgroup. What it does not limit or count is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Cgroup {
    /// Its path below `/sys/fs/cgroup`. A container often sees its own cgroup as `/`.
    pub path: String,
    /// The version of the interface: 1 or 2.
    pub version: u32,
    /// Memory in use, with the page cache.
    pub memory_bytes: Option<u64>,
    /// The most memory that was ever in use.
    pub memory_peak_bytes: Option<u64>,
    /// The limit above which the kernel kills.
    pub memory_max_bytes: Option<u64>,
    /// The limit above which the kernel slows down and reclaims.
    pub memory_high_bytes: Option<u64>,
    /// Swap in use.
    pub swap_bytes: Option<u64>,
    /// The limit of swap.
    pub swap_max_bytes: Option<u64>,
    /// How often limits were reached, by the kernel's names: `high`, `max`, `oom`, `oom_kill`.
    pub memory_events: Vec<EventCount>,
    /// The processor time that may be used in each period, in microseconds.
    pub cpu_quota_us: Option<u64>,
    /// The length of a period, in microseconds.
    pub cpu_period_us: Option<u64>,
    /// Number of periods that have passed.
    pub cpu_periods: Option<u64>,
    /// Number of periods in which the quota was used up.
    pub throttled_periods: Option<u64>,
    /// For how long all threads together were stopped by that, in microseconds.
    pub throttled_us: Option<u64>,
    /// Number of processes and threads.
    pub tasks: Option<u64>,
    /// The limit of processes and threads.
    pub tasks_max: Option<u64>,
    /// For how long tasks of this cgroup have waited for a resource.
    pub pressure: Vec<Pressure>,
    /// The part of the memory in use that the kernel can take back: page cache and caches of its
    /// own. It is read only if the memory in use is at least nine tenths of a limit. Added in
    /// version 1.3.
    pub memory_reclaimable_bytes: Option<u64>,
}

/// How often something has happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EventCount {
    /// Its name.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// The share of time in which tasks have waited for a resource (pressure stall information).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Pressure {
    /// The resource: `cpu`, `memory` or `io`.
    pub resource: String,
    /// The percentage of the last 10 seconds in which at least one task has waited.
    pub some_10s: f64,
    /// The same for the last 60 seconds.
    pub some_60s: f64,
    /// The percentage of the last 10 seconds in which all tasks have waited. Older kernels do not
    /// have it for `cpu`.
    pub full_10s: Option<f64>,
    /// The same for the last 60 seconds.
    pub full_60s: Option<f64>,
}

/// The machine, or the part of it that the process can see.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct System {
    /// Number of processors that the process may use.
    pub processors: Option<u64>,
    /// The load average of the last minute.
    pub load_1min: Option<f64>,
    /// The load average of the last 5 minutes.
    pub load_5min: Option<f64>,
    /// The load average of the last 15 minutes.
    pub load_15min: Option<f64>,
    /// The memory of the machine.
    pub memory_bytes: Option<u64>,
    /// How much of it new allocations can use without swapping.
    pub available_bytes: Option<u64>,
    /// For how long tasks have waited for a resource.
    pub pressure: Vec<Pressure>,
}
