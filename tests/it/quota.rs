//! A cgroup in which a program gets less than one processor.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A cgroup with a fifth of one processor, removed at the end. Each of its threads gets a turn in
/// seconds.
pub(crate) struct Quota(PathBuf);

impl Quota {
    /// The reason if the tests may not make one here.
    pub(crate) fn new() -> Result<Self, String> {
        let name = format!("gmr-crowded-{}", std::process::id());
        let (old, new) = (PathBuf::from("/sys/fs/cgroup/cpu"), PathBuf::from("/sys/fs/cgroup"));
        let (mount, files) = if old.is_dir() {
            (old, [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "20000")].as_slice())
        } else {
            (new, [("cpu.max", "20000 100000")].as_slice())
        };
        let quota = Self(mount.join(name));
        let made = fs::create_dir(&quota.0)
            .and_then(|()| files.iter().try_for_each(|(name, value)| fs::write(quota.0.join(name), value)));
        made.map(|()| quota).map_err(|error| error.to_string())
    }

    /// Runs a program in it, with the arguments that are added.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#, "sh"]);
        command.arg(&self.0).arg(program);
        command
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The program in it may not be gone yet.
        let removed = |_: &u32| fs::remove_dir(&self.0).is_ok() || !self.0.exists();
        (0..1_000_000).take_while(|attempt| !removed(attempt)).for_each(|_| std::thread::yield_now());
    }
}
