//! Subcommands that are a program of their own, because of what they are built with: `gmr fleet ..` is
//! `gmr-fleet fleet ..`, and `gmr collect pods ..` is `gmr-pods ..`. Nothing of them is in this program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Becomes the program for tables. Returns if that fails.
pub(crate) fn fleet(subcommand: &str, arguments: &[OsString]) -> Result<(), String> {
    let arguments = [OsStr::new(subcommand)].into_iter().chain(arguments.iter().map(OsString::as_os_str));
    become_program("gmr-fleet", subcommand, arguments)
}

/// Becomes the program for the pods of a cluster. Returns if that fails.
pub(crate) fn pods(arguments: &[OsString]) -> Result<(), String> {
    become_program("gmr-pods", "collect pods", arguments.iter().map(OsString::as_os_str))
}

fn become_program<'a>(
    program: &str,
    subcommand: &str,
    arguments: impl Iterator<Item = &'a OsStr>,
) -> Result<(), String> {
    // Where this program is, the other one is of the same release. Else `PATH` has it.
    let beside = env::current_exe().ok().map(|path| path.with_file_name(program));
    let found = beside.filter(|path| path.is_file()).map_or_else(|| program.into(), OsString::from);
    let error = Command::new(&found).args(arguments).exec();
    let shown = found.display();
    Err(match error.kind() {
        ErrorKind::NotFound => {
            format!(
                "`gmr {subcommand}` is in a program of its own; install it with `cargo install {program} \
                 --git https://github.com/gmr-rs/gmr`"
            )
        }
        _ => format!("could not start {shown}: {error}"),
    })
}
