//! Runs cargo in the repository, with its output going where ours goes. Every task starts its
//! commands here.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs `cargo` with these arguments and environment variables.
pub(crate) fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let shown = format!("cargo {}", arguments.join(" "));
    println!("\n$ {shown}");
    let status = command()
        .args(arguments)
        .envs(variables.iter().copied())
        .status()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed")) }
}

/// What cargo prints to its standard output.
pub(crate) fn output(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let shown = format!("cargo {}", arguments.join(" "));
    let output = command()
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("`{shown}` failed")) }
}

/// Whether cargo has this subcommand. It looks in `PATH` and where `cargo install` installs.
pub(crate) fn has_subcommand(name: &str) -> bool {
    let status = command().args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn command() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root()).stdin(Stdio::null());
    command
}
