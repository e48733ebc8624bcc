//! A cgroup in which a program has a limit of something. Only root can make one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::program::wait_until;

/// A limit: what the files are called in version 1 of cgroups and in version 2, and what they are to
/// have.
pub(crate) struct Limit {
    pub(crate) controller: &'static str,
    pub(crate) first: &'static [(&'static str, &'static str)],
    pub(crate) second: &'static [(&'static str, &'static str)],
}

/// Each thread gets a turn in seconds.
#[allow(dead_code, reason = "not all of the tests use it")]
pub(crate) const FIFTH_OF_A_PROCESSOR: Limit = Limit {
    controller: "cpu",
    first: &[("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "20000")],
    second: &[("cpu.max", "20000 100000")],
};

/// Once the threads have used it up, which two of them do in a quarter of a second, none gets a turn for
/// the rest of that second.
#[allow(dead_code, reason = "not all of the tests use it")]
pub(crate) const LONG_PAUSES: Limit = Limit {
    controller: "cpu",
    first: &[("cpu.cfs_period_us", "1000000"), ("cpu.cfs_quota_us", "500000")],
    second: &[("cpu.max", "500000 1000000")],
};

/// A cgroup with a limit, removed at the end.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// The reason if none can be made here.
    pub(crate) fn new(limit: &Limit) -> Result<Self, String> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("gmr-{}-{}-{number}", limit.controller, std::process::id());
        let mount = PathBuf::from("/sys/fs/cgroup");
        let old = mount.join(limit.controller);
        let (mount, files) = if old.is_dir() { (old, limit.first) } else { (mount, limit.second) };
        let cgroup = Self(mount.join(name));
        let made = fs::create_dir(&cgroup.0)
            .and_then(|()| files.iter().try_for_each(|(name, value)| fs::write(cgroup.0.join(name), value)));
        made.map(|()| cgroup).map_err(|error| format!("no cgroup can be made here: {error}"))
    }

    /// Runs a program in it, with the arguments that are added.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#, "sh"]);
        command.arg(&self.0).arg(program.as_ref());
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        wait_until("the cgroup is removed", || fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}
