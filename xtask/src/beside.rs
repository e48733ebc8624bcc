//! A command that runs beside the steps of a task. What it prints is kept until the task waits for
//! its end, so that it is in one piece.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::cargo::{command, root};
use crate::process::on;

/// A command that has been started.
pub(crate) struct Beside {
    shown: String,
    child: Child,
    output: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask` with these arguments. It leaves the processors to the steps.
    pub(crate) fn task(arguments: &[&str]) -> Result<Self, String> {
        let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new("nice");
        command.arg(program).args(arguments);
        Self::start(format!("cargo xtask {}", arguments.join(" ")), arguments[0], command)
    }

    /// Starts `cargo` with these arguments and environment variables.
    pub(crate) fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self, String> {
        let mut command = command();
        command.args(arguments).envs(variables.iter().copied());
        Self::start(format!("cargo {}", arguments.join(" ")), arguments[0], command)
    }

    fn start(shown: String, name: &str, mut command: Command) -> Result<Self, String> {
        let folder = root().join("target/xtask");
        fs::create_dir_all(&folder).map_err(on("create", &folder))?;
        let output = folder.join(format!("{name}.log"));
        let log = File::create(&output).map_err(on("create", &output))?;
        let errors = log.try_clone().map_err(on("open", &output))?;
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.map_err(|error| format!("cannot start `{shown}`: {error}"))?;
        Ok(Self { shown, child, output })
    }

    /// Waits until this holds, or the command ends.
    pub(crate) fn wait_until(&mut self, holds: impl Fn() -> bool) -> Result<(), String> {
        while !holds() && self.child.try_wait().map_err(|error| self.cannot_wait(&error))?.is_none() {
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Waits until the command ends, and prints what it has printed.
    pub(crate) fn wait(mut self) -> Result<(), String> {
        let status =
            self.child.wait().map_err(|error| format!("cannot wait for `{}`: {error}", self.shown))?;
        let output = fs::read(&self.output).map_err(on("read", &self.output))?;
        println!("\n$ {}\n{}", self.shown, String::from_utf8_lossy(&output).trim_end());
        if status.success() { Ok(()) } else { Err(format!("`{}` failed", self.shown)) }
    }

    fn cannot_wait(&self, error: &io::Error) -> String {
        format!("cannot wait for `{}`: {error}", self.shown)
    }
}
