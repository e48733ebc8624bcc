//! Processes of this machine, from `/proc`. It only reads: nothing is sent to a process, and no
//! file of one is opened for more than reading.

use std::fs;
use std::io;
use std::path::PathBuf;

use gmr_runtime::__cli::{Mark, mark};
use rustix::process::geteuid;

use crate::output::counted;

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(u32);

/// What `/proc/PID/status` says.
#[derive(Debug)]
pub(crate) struct Status(String);

/// A mask of signals in a status.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signals {
    Caught,
    Ignored,
    Blocked,
    /// Sent to the process, and not taken by a thread.
    Pending,
}

/// That so many processes could not be looked at, and who can.
pub(crate) fn not_looked_at(count: u64) -> String {
    let processes = counted(count, "process");
    if geteuid().is_root() {
        return format!("{processes} could not be looked at, though you are root: {NEEDS_CAPABILITY}");
    }
    format!("{processes} could not be looked at, such as those of other users; root can look at all")
}

/// That this process could not be looked at, and who can.
pub(crate) fn may_not_be_looked_at(pid: u32) -> String {
    if geteuid().is_root() {
        return format!("process {pid} could not be looked at, though you are root: {NEEDS_CAPABILITY}");
    }
    format!(
        "process {pid} belongs to another user, or hides its memory; run this command as its user or as root"
    )
}

/// What root lacks.
const NEEDS_CAPABILITY: &str = "that takes CAP_SYS_PTRACE, which containers lack unless they are told; run this command outside of this one";

impl Process {
    /// All of them, by id.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            all.extend(name.to_str().and_then(|name| name.parse().ok()).map(Self));
        }
        all.sort_unstable();
        Ok(all)
    }

    pub(crate) fn new(pid: u32) -> Self {
        Self(pid)
    }

    pub(crate) fn pid(self) -> u32 {
        self.0
    }

    /// A file of the process.
    pub(crate) fn path(self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.0).into()
    }

    /// The text of a file of the process, whatever bytes the program has put in it.
    pub(crate) fn read(self, file: &str) -> io::Result<String> {
        fs::read(self.path(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a link of the process refers to.
    pub(crate) fn link(self, link: &str) -> io::Result<String> {
        fs::read_link(self.path(link)).map(|to| to.to_string_lossy().into_owned())
    }

    pub(crate) fn status(self) -> io::Result<Status> {
        self.read("status").map(Status)
    }

    /// The marks of the copies of gmr in the process.
    pub(crate) fn marks(self) -> io::Result<Vec<Mark>> {
        let mut maps = self.read("maps")?;
        if maps.is_empty() {
            // The main thread has ended, and others may go on.
            let of_thread = |tid: u32| self.read(&format!("task/{tid}/maps")).ok();
            let all = self.threads().unwrap_or_default().into_iter().filter_map(of_thread);
            maps = all.max_by_key(String::len).unwrap_or_default();
        }
        // Address, access, offset, device, inode, name.
        let name = |line: &str| line.find("/memfd:").map(|start| line[start..].to_owned());
        Ok(maps.lines().filter_map(name).filter_map(|name| mark(&name)).collect())
    }

    /// For how long it has been running, in seconds.
    pub(crate) fn uptime(self) -> Option<u64> {
        let stat = self.read("stat").ok()?;
        // Its name is in parentheses, and can have some itself.
        let ticks: u64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: u64 = uptime.split('.').next()?.parse().ok()?;
        Some(uptime.saturating_sub(ticks / rustix::param::clock_ticks_per_second()))
    }

    /// Its threads, as their files below `/proc/PID/task`.
    pub(crate) fn threads(self) -> io::Result<Vec<u32>> {
        let tids = fs::read_dir(self.path("task"))?;
        Ok(tids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
    }
}

impl Status {
    pub(crate) fn of_thread(process: Process, tid: u32) -> io::Result<Self> {
        process.read(&format!("task/{tid}/status")).map(Self)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The ids of the process, from this PID namespace inwards.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let ids = self.value("NSpid").unwrap_or_default();
        ids.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// Whether the signal is in the mask. `None` if the kernel does not say.
    pub(crate) fn has(&self, signals: Signals, signal: i32) -> Option<bool> {
        let key = match signals {
            Signals::Caught => "SigCgt",
            Signals::Ignored => "SigIgn",
            Signals::Blocked => "SigBlk",
            Signals::Pending => "ShdPnd",
        };
        let mask = u64::from_str_radix(self.value(key)?, 16).ok()?;
        let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1))?;
        Some(mask.checked_shr(bit)? & 1 == 1)
    }

    /// The letter of its state: `S`, `T`, `Z`.
    pub(crate) fn state(&self) -> char {
        self.value("State").and_then(|state| state.chars().next()).unwrap_or('?')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_bit_of_its_mask() {
        let status =
            Status("Name:\tx\nState:\tT (stopped)\nNSpid:\t70\t1\nSigCgt:\t8000000000000800\n".to_owned());
        let caught = |signal| status.has(Signals::Caught, signal);
        assert_eq!([12, 64, 10, 1].map(caught), [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!([0, -1, 65, i32::MAX].map(caught), [None; 4]);
        assert_eq!(status.has(Signals::Blocked, 12), None);
        assert_eq!((status.state(), status.pids()), ('T', vec![70, 1]));
    }

    #[test]
    fn this_process_is_among_them() {
        let this = Process::new(std::process::id());
        assert!(Process::all().expect("a list").contains(&this));
        assert!(this.marks().expect("readable").is_empty());
        assert!(this.uptime().is_some_and(|uptime| uptime < 86_400));
    }
}
