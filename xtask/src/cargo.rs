//! Runs cargo in the repository, with its output going where ours goes. Every task starts its
//! commands here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scripts::write_script;

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

/// The variable that makes cargo pass these arguments to the compiler, and fail on warnings, for
/// the packages of this workspace and no others. `RUSTFLAGS` would compile all dependencies once
/// more.
pub(crate) fn with_arguments(arguments: &[&str]) -> Result<(&'static str, String), String> {
    let name = arguments.join("").replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    let script = root().join(format!("target/xtask/rustc{name}"));
    let text = format!("#!/bin/sh\nexec \"$@\" {} --deny warnings\n", arguments.join(" "));
    // cargo asks a compiler that has changed for its version again.
    if fs::read_to_string(&script).ok().as_ref() != Some(&text) {
        write_script(&script, &text)?;
    }
    Ok(("RUSTC_WORKSPACE_WRAPPER", script.display().to_string()))
}

/// What cargo prints to its standard output.
pub(crate) fn output(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let shown = format!("cargo {}", arguments.join(" "));
    let output = command()
        .args(arguments)
        .envs(variables.iter().copied())
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
    if is_ci() {
        // Nothing is compiled a second time there, and this saves an eighth of the time for our own
        // crates.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Whether `CI` is set, where a missing tool is a failure. The tests read it in the same way.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !["", "0", "false"].contains(&&*value.to_string_lossy()))
}
