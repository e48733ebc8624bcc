//! Starts a program with less than others have: as another user, in namespaces of its own, or with a
//! disk that is small.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::program::Program;

/// Starts a copy of the program, as another user if this is root, to whom some limits do not apply.
pub(crate) fn as_nobody(program: impl AsRef<Path>, argument: &str) -> Program {
    /// No user's own number.
    const NOBODY: u32 = 65_534;
    let folder = std::env::temp_dir().join(format!("gmr-{argument}-{}", std::process::id()));
    let copy = folder.join("copy");
    fs::create_dir(&folder).expect("there is space");
    fs::copy(program, &copy).expect("there is space");
    let mut command = Command::new(&copy);
    command.arg(argument).current_dir("/");
    if rustix::process::geteuid().is_root() {
        for path in [&folder, &copy] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let program = Program::start_with(command);
    fs::remove_dir_all(&folder).expect("it is ours");
    program
}

/// Starts a program in namespaces of these kinds, after these commands.
///
/// # Errors
/// There can be no such namespaces here.
pub(crate) fn in_namespaces(
    program: impl AsRef<OsStr>,
    kinds: &[&str],
    commands: &str,
    arguments: &[&str],
) -> Result<Program, String> {
    let mut command = Command::new("unshare");
    let script = format!("{commands} exec \"$0\" \"$@\"");
    command.args(["--user", "--map-root-user"]).args(kinds).args(["sh", "-c", &script]);
    command.arg(program).args(arguments);
    Program::try_start(command).map_err(|said| format!("there is no namespace of its own: {said}"))
}

/// The same with a file system of a megabyte and 64 inodes, whose path is the second argument.
pub(crate) fn on_small_disk(program: impl AsRef<OsStr>, mode: &str) -> Result<Program, String> {
    let mount = "mount -t tmpfs -o size=1m,nr_inodes=64 none /mnt &&";
    in_namespaces(program, &["--mount"], mount, &[mode, "/mnt"])
}
