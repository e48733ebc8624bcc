//! Subcommands that are a program of their own, because of what they are built with: `gmr fleet ..`
//! is `gmr-fleet fleet ..`. Nothing of it is in this program.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The program.
const PROGRAM: &str = "gmr-fleet";

/// Becomes the program. Returns if that fails.
pub(crate) fn run(subcommand: &str, arguments: &[OsString]) -> Result<(), String> {
    // Where this program is, the other one is of the same release. Else `PATH` has it.
    let beside = env::current_exe().ok().map(|path| path.with_file_name(PROGRAM));
    let program = beside.filter(|path| path.is_file()).map_or_else(|| PROGRAM.into(), OsString::from);
    let error = Command::new(&program).arg(subcommand).args(arguments).exec();
    let shown = program.display();
    Err(match error.kind() {
        ErrorKind::NotFound => {
            format!(
                "`gmr {subcommand}` is in a program of its own; install it with `cargo install {PROGRAM}`"
            )
        }
        _ => format!("could not start {shown}: {error}"),
    })
}
