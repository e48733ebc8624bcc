//! Runs programs other than cargo without showing their output, unless they fail.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// What a command prints to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start {shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{shown} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
}

/// Whether `PATH` has a program of this name.
pub(crate) fn is_in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The message for a failed operation on a file.
pub(crate) fn on(action: &str, path: &Path) -> impl Fn(std::io::Error) -> String {
    let (action, path) = (action.to_owned(), path.display().to_string());
    move |error| format!("cannot {action} {path}: {error}")
}
