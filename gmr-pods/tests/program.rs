//! The program, and what it has printed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::world::World;

/// A folder of a test, empty at first.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pods-{name}"));
    // Left by an earlier run.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Without a cluster of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr-pods"));
    command.args(arguments).env("HOME", "/nowhere");
    for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn done(mut command: Command) -> Done {
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

/// Asks the cluster, as the user that its kubeconfig has.
pub(crate) fn ask(world: &World, arguments: &[&str]) -> Done {
    let mut command = command(arguments);
    command.env("KUBECONFIG", world.kubeconfig());
    done(command)
}

impl Done {
    /// The ids of the processes whose reports it has printed, if all have come.
    #[track_caller]
    pub(crate) fn well(&self) -> Vec<u64> {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        self.pids()
    }

    pub(crate) fn pids(&self) -> Vec<u64> {
        let reports = self.output.lines().map(|line| serde_json::from_str::<Value>(line).expect("a report"));
        reports.map(|report| report["heading"]["pid"].as_u64().expect("an id")).collect()
    }

    /// What it says, if it has failed.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_eq!((self.code, &*self.output), (Some(1), ""), "{}", self.errors);
        self.errors
    }
}
