//! Builds the programs that are measured, and provides the directory that they and their output are
//! in.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The profile in the workspace's `Cargo.toml`: optimized, with line tables.
const PROFILE: &str = "bench-program";

pub(crate) struct Setting {
    /// `bench` in cargo's target directory.
    pub(crate) directory: PathBuf,
}

impl Setting {
    /// Builds the programs.
    pub(crate) fn build() -> Result<Self, String> {
        let target = target_directory()?;
        let setting = Self { directory: target.join("bench") };
        fs::create_dir_all(&setting.directory)
            .map_err(|error| format!("{} cannot be created: {error}", setting.directory.display()))?;
        // The build with the measuring handler comes first, so that the ordinary one stays in
        // cargo's directory.
        let common = ["build", "--profile", PROFILE, "--package", "gmr-tests"];
        cargo(&[&common[..], &["--bin", "crowd", "--features", "bench"]].concat(), &[])?;
        setting.keep(&target, "crowd", "crowd-measuring")?;
        cargo(&[&common[..], &["--bin", "crowd", "--bin", "server", "--bin", "tasks"]].concat(), &[])?;
        setting.keep(&target, "crowd", "crowd")?;
        setting.keep(&target, "server", "server")?;
        setting.keep(&target, "tasks", "tasks")?;
        Ok(setting)
    }

    fn keep(&self, target: &Path, from: &str, to: &str) -> Result<(), String> {
        fs::copy(target.join(PROFILE).join(from), self.directory.join(to))
            .map(drop)
            .map_err(|error| format!("the program {from} cannot be copied: {error}"))
    }

    /// A command that runs one of the programs.
    pub(crate) fn program(&self, name: &str, arguments: &[&dyn ToString]) -> Command {
        let mut command = Command::new(self.directory.join(name));
        command.args(arguments.iter().map(|argument| argument.to_string())).env_remove("GMR_BACKTRACE");
        // It measures one report after the other.
        command.env("GMR_MIN_INTERVAL", "off");
        command
    }
}

/// Where cargo put this program, and will put the others, however it was configured.
fn target_directory() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("cannot find the path of this program: {error}"))?;
    let target = own.ancestors().nth(2).ok_or("this program is not in a target directory")?;
    Ok(target.to_owned())
}

/// Runs cargo in the repository. Its output goes where ours goes.
pub(crate) fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let shown = format!("cargo {}", arguments.join(" "));
    println!("\n$ {shown}");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed")) }
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A program of another language.
pub(crate) fn foreign(name: &str) -> PathBuf {
    root().join("xtask/bench/crowds").join(name)
}

/// The first line of a program's version. None if it is not installed.
pub(crate) fn version(program: impl AsRef<OsStr>, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}
