//! Reads and parses the files under `/proc` about processes and threads. It draws no conclusions.
//!
//! The parsers take text, so that tests can pass any. A missing or malformed field gives `None`,
//! never a panic.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;

use super::seccomp::Seccomp;
use super::{proc, sort, thread_ids};

/// An open directory of `/proc`, with a buffer for the files read from below it.
///
/// With a thousand threads, half of the time would otherwise go into looking up `/proc/self/task`
/// again and into asking for the length of files that have none.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Directory {
    /// Opens a directory below `/proc`.
    pub(crate) fn open(path: &str) -> io::Result<Self> {
        Ok(Self { fd: proc::open_directory(path)?, buffer: Vec::with_capacity(4096) })
    }

    /// The text of a file of a thread, if this is `self/task`.
    pub(crate) fn read_of(&mut self, tid: u32, name: &str) -> io::Result<std::borrow::Cow<'_, str>> {
        self.read(&format!("{}/{name}", thread_ids::outer(tid)))
    }

    /// The text of a file below it. Thread names can be any bytes; invalid UTF-8 is replaced.
    pub(crate) fn read(&mut self, path: &str) -> io::Result<std::borrow::Cow<'_, str>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(&self.fd, path, flags, Mode::empty()))?;
        self.buffer.clear();
        loop {
            self.buffer.reserve(1024);
            // The kernel generates these files on each read; a short read means the end.
            let spare = self.buffer.capacity() - self.buffer.len();
            match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut self.buffer)) {
                Ok(count) if count < spare => return Ok(String::from_utf8_lossy(&self.buffer)),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What a symbolic link below it refers to. Invalid UTF-8 is replaced.
    pub(crate) fn link(&mut self, path: &str) -> io::Result<std::borrow::Cow<'_, str>> {
        self.buffer.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.buffer);
        rustix::fs::readlinkat_raw(&self.fd, path, spare)?;
        Ok(String::from_utf8_lossy(&self.buffer))
    }
}

/// The fields of `stat` that a report needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) state: char,
    pub(crate) parent_pid: u32,
    /// Whether it is a thread that the kernel has started in this process, such as one of
    /// `io_uring`.
    pub(crate) is_kernels: bool,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// Of a process: how many threads it has.
    pub(crate) threads: u64,
    /// Clock ticks from boot to the start.
    pub(crate) start_ticks: u64,
    /// The processor it last ran on.
    pub(crate) processor: Option<u32>,
    /// The scheduling policy, as sched(7) numbers them.
    pub(crate) policy: Option<u32>,
}

/// Flags of threads of the kernel that are part of a process (`PF_*` in the kernel's `sched.h`).
const IO_WORKER: u64 = 0x10;
const USER_WORKER: u64 = 0x4000;

impl Stat {
    /// Reads and parses `/proc/DIRECTORY/stat`.
    pub(crate) fn read(directory: &str) -> io::Result<Self> {
        Self::parse(&proc::read_text(&format!("{directory}/stat"))?).ok_or_else(malformed)
    }

    /// Reads and parses the `stat` of one process below `directory`, which is `/proc`.
    pub(crate) fn below(directory: &mut Directory, pid: u32) -> io::Result<Self> {
        Self::parse(&directory.read(&format!("{pid}/stat"))?).ok_or_else(malformed)
    }

    /// Reads and parses the `stat` of one thread below `directory`, which is `self/task`.
    pub(crate) fn of_thread(directory: &mut Directory, tid: u32) -> io::Result<Self> {
        Self::parse(&directory.read_of(tid, "stat")?).ok_or_else(malformed)
    }

    /// Reads and parses the `stat` of this process's main thread. That of the process has the same
    /// values except for the times, which the kernel adds up over all threads.
    pub(crate) fn of_main_thread() -> io::Result<Self> {
        Self::of_thread(&mut Directory::open("self/task")?, std::process::id())
    }

    /// Parses `tid (name) state ppid ...`, fields numbered as in `proc_pid_stat(5)`. The name can
    /// contain spaces and parentheses, so it ends at the last parenthesis.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('(')?;
        let (name, rest) = rest.rsplit_once(')')?;
        // What follows the name begins with field 3 of the manual page.
        let mut fields = rest.split_ascii_whitespace();
        let mut at = 3;
        let mut field = |number: usize| {
            let found = fields.nth(number - at);
            at = number + 1;
            found
        };
        let state = field(3)?.chars().next()?;
        let mut number = |field_number| field(field_number)?.parse::<u64>().ok();
        let narrow = |number: u64| u32::try_from(number).ok();
        // In ascending order: each call continues where the one before stopped.
        Some(Self {
            name: name.to_owned(),
            state,
            parent_pid: narrow(number(4)?)?,
            is_kernels: number(9)? & (IO_WORKER | USER_WORKER) != 0,
            user_ticks: number(14)?,
            system_ticks: number(15)?,
            threads: number(20)?,
            start_ticks: number(22)?,
            processor: number(39).and_then(narrow),
            policy: number(41).and_then(narrow),
        })
    }
}

/// The state of a process or a thread by its name in `proc_pid_status(5)`.
pub(crate) fn state_in_words(state: char) -> String {
    let words = match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk sleep",
        'T' => "stopped",
        't' => "tracing stop",
        'Z' => "zombie",
        'X' | 'x' => "dead",
        'I' => "idle",
        'P' => "parked",
        other => return other.to_string(),
    };
    words.to_owned()
}

/// A scheduling policy by its name in sched(7).
pub(crate) fn policy_in_words(policy: u32) -> String {
    let words = ["other", "fifo", "rr", "batch", "iso", "idle", "deadline", "ext"];
    let word = usize::try_from(policy).ok().and_then(|policy| words.get(policy));
    word.map_or_else(|| policy.to_string(), |word| (*word).to_owned())
}

/// The fields of `status` that a report needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Real, effective, saved, file system.
    pub(crate) uids: Option<[u32; 4]>,
    /// Real, effective, saved, file system.
    pub(crate) gids: Option<[u32; 4]>,
    /// Bit `signal - 1` is set for each blocked signal.
    pub(crate) blocked: u64,
    /// Size of the descriptor table: each open descriptor is below it.
    pub(crate) descriptor_table_size: Option<u64>,
    /// Memory in RAM, in bytes. `None` for a process that has ended and for one of the kernel.
    pub(crate) resident: Option<u64>,
    /// `None` if it cannot be parsed.
    pub(crate) seccomp: Option<Seccomp>,
}

impl Status {
    /// Reads and parses `/proc/DIRECTORY/status`.
    pub(crate) fn read(directory: &str) -> io::Result<Self> {
        Ok(Self::parse(&proc::read_text(&format!("{directory}/status"))?))
    }

    /// Reads and parses the `status` of one thread below `directory`, which is `self/task`.
    pub(crate) fn of_thread(directory: &mut Directory, tid: u32) -> io::Result<Self> {
        Ok(Self::parse(&directory.read_of(tid, "status")?))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut status = Self { seccomp: Seccomp::parse(text), ..Self::default() };
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            match key {
                "Uid" => status.uids = four(value),
                "Gid" => status.gids = four(value),
                "FDSize" => status.descriptor_table_size = value.trim().parse().ok(),
                "VmRSS" => status.resident = kibibytes(value),
                "SigBlk" => status.blocked = u64::from_str_radix(value.trim(), 16).unwrap_or(0),
                _ => {}
            }
        }
        status
    }

    /// Whether the thread blocks this signal. Advisory: it can change its mask at any moment.
    pub(crate) fn blocks(&self, signal: i32) -> bool {
        let bit = signal.checked_sub(1).map(u32::try_from);
        matches!(bit, Some(Ok(bit)) if self.blocked.checked_shr(bit).unwrap_or(0) & 1 == 1)
    }
}

/// Parses `1234 kB`, as bytes.
fn kibibytes(value: &str) -> Option<u64> {
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The bytes after a key, in a file with lines such as `VmRSS: 1234 kB`.
pub(crate) fn bytes_of(text: &str, key: &str) -> Option<u64> {
    value_of(text, key).and_then(kibibytes)
}

/// The number after a key, in a file with lines such as `Threads: 7` or `oom_kill 7`.
pub(crate) fn number_of(text: &str, key: &str) -> Option<u64> {
    value_of(text, key)?.trim().parse().ok()
}

/// What follows a key, and a colon or a space.
pub(crate) fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix([':', ' ']))
}

/// A limit of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) name: String,
    /// `None` if there is none.
    pub(crate) soft: Option<u64>,
    /// `None` if there is none.
    pub(crate) hard: Option<u64>,
    pub(crate) unit: Option<String>,
}

/// The name of the limit of open descriptors.
pub(crate) const OPEN_FILES: &str = "open files";

/// The limits of this process.
///
/// # Errors
/// If they cannot be read, or if there are none.
pub(crate) fn limits() -> io::Result<Vec<Limit>> {
    let limits = parse_limits(&proc::read_text("thread-self/limits")?);
    if limits.is_empty() { Err(malformed()) } else { Ok(limits) }
}

/// Parses columns of fixed width:
/// `Max open files            1024                 4096                 files`.
fn parse_limits(text: &str) -> Vec<Limit> {
    let limit = |line: &str| {
        let (name, values) = line.strip_prefix("Max ")?.split_at_checked(22)?;
        let mut values = values.split_ascii_whitespace();
        let mut number = || match values.next()? {
            "unlimited" => Some(None),
            number => Some(Some(number.parse::<u64>().ok()?)),
        };
        let (soft, hard) = (number()?, number()?);
        Some(Limit { name: name.trim_end().to_owned(), soft, hard, unit: values.next().map(str::to_owned) })
    };
    text.lines().filter_map(limit).collect()
}

/// The environment that this process was started with, by name. What the program has changed since
/// is elsewhere in its memory. What is no variable is left out: a program may have overwritten this
/// memory.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn environment() -> io::Result<Vec<(String, String)>> {
    let text = proc::read_text("thread-self/environ")?;
    let variables = text.split('\0').filter_map(|entry| entry.split_once('='));
    let mut variables: Vec<_> = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    sort::all(&mut variables);
    Ok(variables)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed")
}

fn four(text: &str) -> Option<[u32; 4]> {
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??])
}

/// The arguments of the process with this directory below `/proc`; empty for a kernel thread and
/// for a process that has exited.
pub(crate) fn command_line(directory: &str) -> io::Result<Vec<String>> {
    let text = proc::read_text(&format!("{directory}/cmdline"))?;
    let arguments = text.strip_suffix('\0').unwrap_or(&text);
    Ok(if arguments.is_empty() { Vec::new() } else { arguments.split('\0').map(str::to_owned).collect() })
}

/// Seconds since boot, with a resolution of 10 ms.
pub(crate) fn seconds_since_boot() -> io::Result<f64> {
    let text = proc::read_text("uptime")?;
    let seconds = text.split_ascii_whitespace().next();
    seconds.and_then(|seconds| seconds.parse().ok()).ok_or_else(malformed)
}

/// Clock ticks as milliseconds.
pub(crate) fn ticks_to_ms(ticks: u64) -> u64 {
    ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::fs;

    use super::*;
    use crate::sys::mutation::damaged_text;

    const STAT: &str = "42 (a ) R (b) S 7 42 42 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 9 0 777 1 1 18446744073709551615 \
                        26 27 28 29 30 31 0 33 34 35 36 37 17 3 40 2 42";
    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 524288               files     
Max nice priority         0                    0                    
";
    const STATUS: &str = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t0\t0\t0\t0\nSigBlk:\t8000000000000001\n";

    proptest! {
        #[test]
        fn a_damaged_stat_is_parsed_without_panics(text in damaged_text(STAT)) {
            if let Some(stat) = Stat::parse(&text) {
                prop_assert!(text.contains(&stat.name));
                prop_assert!(!state_in_words(stat.state).is_empty());
                prop_assert_ne!(stat.policy.map(policy_in_words), Some(String::new()));
                prop_assert!(ticks_to_ms(stat.start_ticks) <= u64::MAX / 100);
            }
        }

        #[test]
        fn a_damaged_status_is_parsed_without_panics(text in damaged_text(STATUS), signal in any::<i32>()) {
            let status = Status::parse(&text);
            prop_assert!(!status.blocks(signal) || (1..=64).contains(&signal));
        }
    }

    #[test]
    fn a_thread_name_can_contain_anything() {
        let stat = Stat::parse(STAT).unwrap();
        assert_eq!(stat.name, "a ) R (b");
        assert_eq!((stat.state, stat.parent_pid), ('S', 7));
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.start_ticks), (150, 25, 777));
        assert_eq!(state_in_words(stat.state), "sleeping");
        let policy = stat.policy.map(policy_in_words);
        assert_eq!((stat.processor, policy.as_deref()), (Some(3), Some("rr")));
        assert_eq!(policy_in_words(4711), "4711");
    }

    #[test]
    fn a_malformed_stat_is_none() {
        for text in ["", "42", "42 (x", "42 (x)", "42 (x) S", "42 (x) S no numbers here"] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn blocked_signals_count_from_one() {
        let status = Status::parse("Name:\tx\nUid:\t1\t2\t3\t4\nFDSize:\t64\nSigBlk:\t8000000000000001\n");
        assert_eq!(status.descriptor_table_size, Some(64));
        assert_eq!(status.uids, Some([1, 2, 3, 4]));
        assert_eq!(status.gids, None);
        assert!(status.blocks(1) && status.blocks(64));
        assert!(!status.blocks(2) && !status.blocks(0) && !status.blocks(65));
    }

    proptest! {
        #[test]
        fn damaged_limits_are_parsed_without_panics(text in damaged_text(LIMITS)) {
            prop_assert!(parse_limits(&text).len() <= text.lines().count());
        }
    }

    #[test]
    fn limits_have_names_and_units() {
        let limit = |name: &str, soft, hard, unit: Option<&str>| Limit {
            name: name.into(),
            soft,
            hard,
            unit: unit.map(str::to_owned),
        };
        let expected = [
            limit("cpu time", None, None, Some("seconds")),
            limit(OPEN_FILES, Some(1024), Some(524_288), Some("files")),
            limit("nice priority", Some(0), Some(0), None),
        ];
        assert_eq!(parse_limits(LIMITS), expected);
        let own = limits().unwrap();
        assert!(own.len() > 10 && own.iter().any(|limit| limit.name == OPEN_FILES), "{own:?}");
    }

    #[test]
    fn values_follow_their_keys() {
        let text = "VmRSSx:\t1 kB\nVmRSS:\t   12 kB\nThreads:\t7\noom 3\noom_kill 4\n";
        assert_eq!((bytes_of(text, "VmRSS"), number_of(text, "Threads")), (Some(12 << 10), Some(7)));
        assert_eq!((number_of(text, "oom"), number_of(text, "oom_kill")), (Some(3), Some(4)));
        assert_eq!((bytes_of(text, "Threads"), number_of(text, "Vm")), (None, None));
        assert_eq!(Status::parse(text).resident, Some(12 << 10));
    }

    #[test]
    fn files_below_a_directory_are_read() {
        let mut directory = Directory::open("self/task").unwrap();
        let tid = std::process::id();
        let stat = Stat::of_thread(&mut directory, tid).unwrap();
        assert_eq!(Status::of_thread(&mut directory, tid).unwrap().uids, Status::read("self").unwrap().uids);
        // Longer than the initial buffer.
        assert_eq!(directory.read(&format!("{tid}/environ")).is_ok(), fs::read("/proc/self/environ").is_ok());
        assert!(directory.read("0/stat").is_err());
        let mut directory = Directory::open("self").unwrap();
        let program = std::env::current_exe().unwrap();
        assert_eq!(directory.link("exe").unwrap(), program.to_str().unwrap());
        assert!(directory.link("stat").is_err());
        assert!(stat.processor.is_some() && stat.policy.is_some());
        let (main, own) = (Stat::of_main_thread().unwrap(), Stat::read("self").unwrap());
        assert_eq!(
            (main.name, main.parent_pid, main.start_ticks),
            (own.name, own.parent_pid, own.start_ticks)
        );
    }

    #[test]
    fn this_process_is_listed() {
        let pid = std::process::id();
        assert!(!command_line(&pid.to_string()).unwrap().is_empty());
        assert!(Stat::read("self").is_ok());
        assert!(Status::read("self").unwrap().uids.is_some());
        assert!(seconds_since_boot().unwrap() > 0.0);
    }
}
