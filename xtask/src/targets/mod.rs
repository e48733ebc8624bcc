//! The targets that are tested on this machine besides its own. What they are built with comes from
//! Debian's packages and crates.io, is set up once, and is kept in the user's cache.

mod aarch64;
mod cache;
mod debian;
pub(crate) mod machine;
mod musl;
mod rust;

use std::env;
use std::path::PathBuf;

use crate::cargo::{cargo, output, root};

/// Where the artifacts of other compilers than the host's are.
const DIRECTORY: &str = "target/targets";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Statically linked programs, and another C library.
    Musl,
    /// Another processor, which qemu emulates.
    Aarch64,
}

impl Target {
    pub(crate) const ALL: [Target; 2] = [Target::Musl, Target::Aarch64];

    pub(crate) fn triple(self) -> &'static str {
        match self {
            Target::Musl => "x86_64-unknown-linux-musl",
            Target::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    pub(crate) fn parse(triple: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|target| target.triple() == triple);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::triple).join(", ");
            format!("unknown target `{triple}`; expected one of: {names}")
        })
    }

    pub(crate) fn is_set_up(self) -> bool {
        match self {
            Target::Musl => musl::is_set_up(),
            Target::Aarch64 => aarch64::is_set_up(),
        }
    }

    /// Fails unless the target is set up. A test recognizes the message.
    pub(crate) fn must_be_set_up(self) -> Result<(), String> {
        if self.is_set_up() {
            return Ok(());
        }
        let triple = self.triple();
        Err(format!("{triple} is not set up: `cargo xtask setup --target {triple}` does it"))
    }

    pub(crate) fn set_up(self) -> Result<(), String> {
        if env::consts::ARCH != "x86_64" {
            return Err(format!("{} can be set up on x86_64 only", self.triple()));
        }
        match self {
            Target::Musl => musl::set_up(),
            Target::Aarch64 => aarch64::set_up(),
        }
    }

    /// Runs a command of cargo for this target, which has been set up.
    pub(crate) fn cargo(self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
        self.with_options(arguments, variables, cargo)
    }

    /// Runs such a command, and returns what it prints to its standard output.
    pub(crate) fn output(self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        self.with_options(arguments, variables, output)
    }

    fn with_options<T>(
        self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        run: impl FnOnce(&[&str], &[(&str, &str)]) -> Result<T, String>,
    ) -> Result<T, String> {
        let own = self.variables();
        let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // The host's tests have checks for overflows. Without them, there is less to compile.
        let own =
            own.chain([("CARGO_TARGET_DIR", DIRECTORY), ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false")]);
        let variables: Vec<_> = own.chain(variables.iter().copied()).collect();
        // Options for cargo come after its command, and before those for what it runs.
        let (command, rest) = arguments.split_first().ok_or("no command")?;
        run(&[&[*command, "--target", self.triple()], rest].concat(), &variables)
    }

    /// Where cargo writes what it builds for this target, a folder for each profile.
    pub(crate) fn artifacts(self) -> PathBuf {
        root().join(DIRECTORY).join(self.triple())
    }

    /// Arguments of the compiler for programs that are linked with musl dynamically.
    pub(crate) fn dynamic_musl_flags() -> Vec<String> {
        musl::dynamic_flags()
    }

    /// The C compiler for aarch64.
    pub(crate) fn aarch64_gcc() -> PathBuf {
        aarch64::gcc()
    }

    /// Runs a program for aarch64 in qemu's user mode.
    pub(crate) fn aarch64_runner() -> PathBuf {
        aarch64::runner()
    }

    /// The variables with which cargo compiles for this target.
    pub(crate) fn variables(self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        let lower = self.triple().replace('-', "_");
        let upper = lower.to_uppercase();
        let mut variables =
            vec![("RUSTC".to_owned(), path(rust::rustc())), ("RUSTDOC".to_owned(), path(rust::rustdoc()))];
        match self {
            Target::Musl => variables.push((format!("CC_{lower}"), path(musl::gcc()))),
            Target::Aarch64 => variables.extend([
                (format!("CC_{lower}"), path(aarch64::gcc())),
                (format!("CARGO_TARGET_{upper}_LINKER"), path(aarch64::gcc())),
                (format!("CARGO_TARGET_{upper}_RUNNER"), path(aarch64::runner())),
            ]),
        }
        variables
    }
}
