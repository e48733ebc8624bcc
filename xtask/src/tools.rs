//! The tools that tasks use, where each is looked for, and how it is installed: by its package's
//! name, with the ordinary client of Debian, `PyPI`, npm or crates.io. Each task decides what to do
//! without a tool.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::{self, cargo, root};
use crate::process::{is_in_path, run};
use crate::targets::Target;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Browser,
    /// Checks pages for what keeps people from reading them.
    Axe,
    Gdb,
    /// A terminal, for `gmr watch`.
    Tmux,
    /// Its `pprof` reads the profiles of `gmr top`.
    Go,
    /// A server of debug information, for `gmr symbolize`.
    Debuginfod,
    /// Makes a file system that has quotas.
    Btrfs,
    Python,
    /// The engine, in Python's environment.
    DuckDb,
    /// The engine, in Python's environment.
    ClickHouse,
    /// The grammar of Loki's queries.
    LogQl,
    /// Serves as object storage, in Python's environment.
    Moto,
    /// Decodes OTLP by the official definitions, in Python's environment.
    Otlp,
    /// Makes certificates, in Python's environment.
    Certificates,
    Deny,
    Hack,
    Fuzz,
    SemverChecks,
    /// The compiler, std and linker of another target.
    Target(Target),
}

/// The targets that `cargo xtask test` tests besides the host. Setting them up takes minutes.
pub(crate) const TARGETS: [Target; 2] = Target::ALL;

/// How the tools of `cargo xtask test` are compiled. They run for a second, and cargo-deny's own
/// profile takes three times as long to compile as this.
const UNOPTIMIZED: &[&str] = &["--debug", "--config", "profile.dev.debug=false"];

/// The folder of `Tool::LogQl`.
const LOGQL: &str = "npm-logql";

/// Where a tool comes from, with the names of its packages.
enum Source {
    Debian(&'static [&'static str]),
    PyPi(&'static [&'static str]),
    Npm {
        /// In `target`, of its own: npm removes what it was not asked for this time.
        folder: &'static str,
        package: &'static str,
        version: &'static str,
    },
    /// The version is a requirement as in `Cargo.toml`.
    CratesIo {
        package: &'static str,
        version: &'static str,
    },
    /// Debian's packages without installing them, and crates.io.
    Target(Target),
}

impl Tool {
    /// What `cargo xtask test` uses.
    pub(crate) const FOR_TESTS: [Tool; 9] = [
        Tool::Browser,
        Tool::Axe,
        Tool::Gdb,
        Tool::Tmux,
        Tool::Go,
        Tool::Debuginfod,
        Tool::Btrfs,
        Tool::Python,
        Tool::Deny,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Browser => "Chromium and its driver",
            Tool::Axe => "axe-core",
            Tool::Gdb => "gdb",
            Tool::Tmux => "tmux",
            Tool::Go => "Go",
            Tool::Debuginfod => "debuginfod",
            Tool::Btrfs => "mkfs.btrfs",
            Tool::Python => "Python's jsonschema and lxml",
            Tool::DuckDb => "Python's duckdb",
            Tool::ClickHouse => "Python's chdb",
            Tool::LogQl => "lezer-logql",
            Tool::Moto => "Python's moto",
            Tool::Otlp => "Python's opentelemetry-proto",
            Tool::Certificates => "Python's cryptography",
            Tool::Deny => "cargo-deny",
            Tool::Hack => "cargo-hack",
            Tool::Fuzz => "cargo-fuzz",
            Tool::SemverChecks => "cargo-semver-checks",
            Tool::Target(target) => target.triple(),
        }
    }

    fn source(self) -> Source {
        match self {
            Tool::Browser => Source::Debian(&["chromium", "chromium-driver"]),
            Tool::Axe => Source::Npm { folder: "npm", package: "axe-core", version: "4" },
            Tool::LogQl => Source::Npm { folder: LOGQL, package: "@grafana/lezer-logql", version: "0.4" },
            Tool::Gdb => Source::Debian(&["gdb"]),
            Tool::Tmux => Source::Debian(&["tmux"]),
            Tool::Go => Source::Debian(&["golang-go"]),
            Tool::Debuginfod => Source::Debian(&["debuginfod"]),
            Tool::Btrfs => Source::Debian(&["btrfs-progs"]),
            Tool::Python => Source::PyPi(&["jsonschema", "lxml"]),
            Tool::DuckDb => Source::PyPi(&["duckdb"]),
            // Later ones hang when a named collection is made (3.7), or answer a query only as a whole (4),
            // whereas a shard answers it up to a stage.
            Tool::ClickHouse => Source::PyPi(&["chdb==3.6.0"]),
            Tool::Moto => Source::PyPi(&["moto[s3,server]"]),
            Tool::Otlp => Source::PyPi(&["opentelemetry-proto", "googleapis-common-protos"]),
            Tool::Certificates => Source::PyPi(&["cryptography"]),
            Tool::Deny => Source::CratesIo { package: "cargo-deny", version: "0.20" },
            Tool::Hack => Source::CratesIo { package: "cargo-hack", version: "0.6" },
            Tool::Fuzz => Source::CratesIo { package: "cargo-fuzz", version: "0.13" },
            Tool::SemverChecks => Source::CratesIo { package: "cargo-semver-checks", version: "0.51" },
            Tool::Target(target) => Source::Target(target),
        }
    }

    /// The command that installs it, for people to read.
    fn remedy(self) -> String {
        match self.source() {
            Source::Debian(packages) => format!("apt-get install {}", packages.join(" ")),
            Source::PyPi(packages) => format!("pip install {} (in target/python)", packages.join(" ")),
            Source::Npm { folder, package, version } => {
                format!("npm install {package}@{version} (in target/{folder})")
            }
            Source::CratesIo { package, version } => {
                format!("cargo install --locked {package} --version ^{version}")
            }
            Source::Target(target) => format!("cargo xtask setup --target {}", target.triple()),
        }
    }

    fn is_there(self) -> bool {
        match self {
            Tool::Browser => is_in_path("chromium") && is_in_path("chromedriver"),
            Tool::Axe => root().join("target/npm/node_modules/axe-core/axe.min.js").is_file(),
            Tool::Gdb => is_in_path("gdb"),
            Tool::Tmux => is_in_path("tmux"),
            Tool::Go => is_in_path("go"),
            Tool::Debuginfod => is_in_path("debuginfod"),
            Tool::Btrfs => is_in_path("mkfs.btrfs"),
            Tool::Python => run(Command::new(python()).args(["-c", "import jsonschema, lxml.etree"])).is_ok(),
            Tool::DuckDb => run(Command::new(python()).args(["-c", "import duckdb"])).is_ok(),
            Tool::LogQl => is_in_path("node") && logql().join("@grafana/lezer-logql/index.cjs").is_file(),
            Tool::ClickHouse => run(Command::new(python()).args(["-c", "import chdb"])).is_ok(),
            Tool::Moto => run(Command::new(python()).args(["-c", "import moto.server, boto3"])).is_ok(),
            Tool::Otlp => {
                let modules = "import google.rpc.status_pb2, \
                               opentelemetry.proto.collector.logs.v1.logs_service_pb2";
                run(Command::new(python()).args(["-c", modules])).is_ok()
            }
            Tool::Certificates => run(Command::new(python()).args(["-c", "import cryptography"])).is_ok(),
            Tool::Deny => cargo::has_subcommand("deny"),
            Tool::Hack => cargo::has_subcommand("hack"),
            Tool::Fuzz => cargo::has_subcommand("fuzz"),
            Tool::SemverChecks => cargo::has_subcommand("semver-checks"),
            Tool::Target(target) => target.is_set_up(),
        }
    }

    fn install(self) -> Result<(), String> {
        match self.source() {
            Source::Debian(packages) => install_from_debian(packages),
            Source::PyPi(packages) => install_from_pypi(packages),
            Source::Npm { folder, package, version } => {
                install_from_npm(folder, &format!("{package}@{version}"))
            }
            // Into cargo's own directory, so that another clone finds it.
            Source::CratesIo { package, version } => {
                let version = format!("^{version}");
                let profile = if Tool::FOR_TESTS.contains(&self) { UNOPTIMIZED } else { &[] };
                let arguments = ["install", "--locked", package, "--version", &version];
                cargo(&[&arguments[..], profile].concat(), &[])
            }
            Source::Target(target) => target.set_up(),
        }
    }
}

/// Looks for each tool, and installs what is missing if `install` is set. Returns what is missing
/// after that.
pub(crate) fn provide(wanted: &[Tool], install: bool) -> Vec<Tool> {
    let mut missing = Vec::new();
    for &tool in wanted {
        let (name, remedy) = (tool.name(), tool.remedy());
        if tool.is_there() {
            println!("found: {name}");
            continue;
        }
        if !install {
            println!("missing: {name}; to install: {remedy}");
            missing.push(tool);
            continue;
        }
        println!("installing: {name}, by {remedy}");
        let installed = tool.install();
        if !tool.is_there() {
            let problem = installed.err().unwrap_or_else(|| "it is not found after its installation".into());
            eprintln!("warning: cannot install {name}: {problem}");
            missing.push(tool);
        }
    }
    missing
}

/// Their names, for a message.
pub(crate) fn list(tools: &[Tool]) -> String {
    tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ")
}

/// The interpreter of an environment that holds the project's Python modules and nothing else.
pub(crate) fn python() -> PathBuf {
    environment().join("bin/python")
}

/// The modules for Node that have the grammar of Loki's queries.
pub(crate) fn logql() -> PathBuf {
    root().join("target").join(LOGQL).join("node_modules")
}

fn environment() -> PathBuf {
    root().join("target/python")
}

fn install_from_pypi(packages: &[&str]) -> Result<(), String> {
    let create = || run(Command::new("python3").args(["-m", "venv"]).arg(environment()));
    if create().is_err() {
        // Debian has Python's `venv` in a package of its own.
        install_from_debian(&["python3", "python3-venv"])?;
        create()?;
    }
    run(Command::new(python()).args(["-m", "pip", "install", "--quiet"]).args(packages))
}

/// Without the scripts that a package may bring.
fn install_from_npm(folder: &str, package: &str) -> Result<(), String> {
    if !is_in_path("npm") {
        install_from_debian(&["npm"])?;
    }
    let arguments =
        ["install", "--silent", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"];
    run(Command::new("npm").args(arguments).arg(root().join("target").join(folder)).arg(package))
}

/// Installs packages if that needs neither a password nor an answer.
fn install_from_debian(packages: &[&str]) -> Result<(), String> {
    let apt_get = |arguments: &[&str], packages: &[&str]| {
        let mut command = Command::new("apt-get");
        run(command.args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = || apt_get(&["install", "--yes", "--no-install-recommends"], packages);
    // The lists of packages may be absent or stale.
    install().or_else(|_| apt_get(&["update"], &[]).and_then(|()| install()))
}
