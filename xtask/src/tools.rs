//! What the tests read reports back with, and which is not ours: Python's parsers and a browser. Whatever is missing and can be installed is; a test whose tool could not be had says so and is skipped.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the tests look for.
pub(crate) struct Tools {
    python: Option<PathBuf>,
    browser: bool,
}

impl Tools {
    /// Finds or installs them.
    pub(crate) fn provide() -> Self {
        let python = python();
        let browser =
            in_path("chromium") && in_path("chromedriver") || install(&["chromium", "chromium-driver"]);
        for (there, what) in
            [(python.is_some(), "Python's jsonschema and lxml"), (browser, "Chromium and its driver")]
        {
            if !there {
                eprintln!("warning: {what} could not be had: the tests that need it are skipped");
            }
        }
        Self { python, browser }
    }

    /// The variables by which the tests know.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let python = self.python.as_ref().map(|path| ("GMR_TEST_PYTHON", path.display().to_string()));
        python.into_iter().chain(self.browser.then(|| ("GMR_TEST_BROWSER", "1".to_owned()))).collect()
    }
}

/// A Python with the modules that are needed, in an environment of the project's own.
fn python() -> Option<PathBuf> {
    let environment = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python"));
    let python = environment.join("bin/python");
    let has_all = || quietly(Command::new(&python).args(["-c", "import jsonschema, lxml.etree"]));
    if !has_all() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(environment));
        quietly(Command::new(&python).args(["-m", "pip", "install", "--quiet", "jsonschema", "lxml"]));
    }
    has_all().then_some(python)
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Installs packages of Debian's where that is possible without being asked for anything.
fn install(packages: &[&str]) -> bool {
    println!("installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        quietly(
            Command::new("apt-get").args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    let fetch = ["install", "--yes", "--no-install-recommends"];
    apt(&fetch) || (quietly(Command::new("apt-get").arg("update")) && apt(&fetch))
}

fn quietly(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
