//! The directories of the cgroups that this process is in, and what their files say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::proc;

/// How many cgroups are looked at, from the process's own outwards.
const MAX_DEPTH: usize = 16;

/// The lines of `/proc/self/cgroup`.
#[derive(Debug)]
pub(crate) struct Cgroups(String);

impl Cgroups {
    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read() -> io::Result<Self> {
        proc::read_text("thread-self/cgroup").map(Self)
    }

    /// The path of the cgroup of version 2.
    pub(crate) fn unified(&self) -> Option<&str> {
        self.path_of(str::is_empty)
    }

    /// The path of the cgroup of version 1 with this controller.
    pub(crate) fn with_controller(&self, name: &str) -> Option<&str> {
        self.path_of(|controllers| controllers.split(',').any(|controller| controller == name))
    }

    /// All paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.lines().map(|(_, path)| path)
    }

    fn path_of(&self, is_meant: impl Fn(&str) -> bool) -> Option<&str> {
        self.lines().find(|(controllers, _)| is_meant(controllers)).map(|(_, path)| path)
    }

    /// Lines of `ID:CONTROLLERS:PATH`.
    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
    }
}

/// The cgroup's directory, and those of the cgroups that it is in: each can have limits. In a
/// container the path may be the one on the host, and only the mount point itself exists.
pub(crate) fn directories(mount: &Path, path: &str) -> Vec<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    relative.ancestors().take(MAX_DEPTH).map(|ancestor| mount.join(ancestor)).collect()
}

/// The files of a cgroup, and the first error in reading one.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    error: Option<io::Error>,
}

impl Files {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, error: None }
    }

    /// The text of a file. `None` if the cgroup has no such file, as without the controller.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let error = match fs::read_to_string(self.directory.join(name)) {
            Ok(text) => return Some(text),
            Err(error) => error,
        };
        // Where pressure is not measured, its files cannot be read.
        let is_without = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV));
        if !is_without {
            self.error.get_or_insert(error);
        }
        None
    }

    /// The number in a file. `None` also if it is `max`, which stands for no limit.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Why a file could not be read.
    pub(crate) fn error(self) -> Option<io::Error> {
        self.error
    }
}

/// The id of the container that the path of a cgroup names, as container runtimes write it: 64
/// hexadecimal digits in the last component, between a prefix such as `docker-` and `.scope`, or
/// alone. Nothing else has such a name.
pub(crate) fn container_id(path: &str) -> Option<&str> {
    let last = path.rsplit('/').next()?;
    let last = last.strip_suffix(".scope").unwrap_or(last);
    // `cri-containerd-ID`, and `SLICE:cri-containerd:ID` by systemd's driver.
    let id = last.rsplit(['-', ':']).next()?;
    is_id(id).then_some(id)
}

/// Whether this is the id of a container: 64 hexadecimal digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_that_of_the_controller() {
        let cgroups = Cgroups("5:cpuset:/\n4:cpu,cpuacct:/shop/orders\n0::/user.slice/a:b\n".to_owned());
        assert_eq!(cgroups.with_controller("cpu"), Some("/shop/orders"));
        assert_eq!(cgroups.unified(), Some("/user.slice/a:b"));
        assert_eq!(cgroups.paths().count(), 3);
        assert_eq!(Cgroups("1:memory:/\nbroken\n".to_owned()).with_controller("cpu"), None);
        let all = directories(Path::new("/cpu"), "/shop/orders");
        assert_eq!(all, ["/cpu/shop/orders", "/cpu/shop", "/cpu/"].map(PathBuf::from));
    }

    #[test]
    fn container_runtimes_name_cgroups_by_id() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("/kubepods/burstable/pod1/{id}"),
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{id}"),
            format!("/machine.slice/libpod-{id}.scope"),
        ] {
            assert_eq!(container_id(&path), Some(&*id), "{path}");
        }
        for path in
            ["/", "/user.slice/session-1.scope", &format!("/docker/{}", &id[1..]), &format!("/{id}/init")]
        {
            assert_eq!(container_id(path), None, "{path}");
        }
    }

    #[test]
    fn a_missing_file_is_no_error_and_max_is_no_limit() {
        let directory = std::env::temp_dir().join(format!("gmr-cgroups-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
        write("memory.max", "max\n");
        write("pids.max", "512\n");
        fs::create_dir(directory.join("cpu.stat")).unwrap();
        let mut files = Files::new(directory.clone());
        let numbers = ["memory.max", "pids.max", "memory.high"].map(|name| files.number(name));
        assert!(files.error.is_none());
        assert_eq!(files.text("cpu.stat"), None);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(numbers, [None, Some(512), None]);
        assert!(files.error().is_some(), "a directory cannot be read");
    }
}
