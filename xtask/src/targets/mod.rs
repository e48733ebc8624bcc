//! The targets that are tested on this machine besides its own. What they are built with comes from
//! Debian's packages and crates.io, is set up once, and is kept in the user's cache.

mod aarch64;
mod cache;
mod debian;
mod musl;
mod rust;

use std::env;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Statically linked programs, and another C library.
    Musl,
    /// Another processor, which qemu emulates.
    Aarch64,
}

impl Target {
    const ALL: [Target; 2] = [Target::Musl, Target::Aarch64];

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

    pub(crate) fn set_up(self) -> Result<(), String> {
        if env::consts::ARCH != "x86_64" {
            return Err(format!("{} can be set up on x86_64 only", self.triple()));
        }
        match self {
            Target::Musl => musl::set_up(),
            Target::Aarch64 => aarch64::set_up(),
        }
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
