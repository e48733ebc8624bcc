//! Debian's Rust compiler, with std for the host and for aarch64, and std's sources. They must be
//! of one version, so they are downloaded together.

use std::path::{Path, PathBuf};

use super::cache;
use super::debian::Apt;
use crate::scripts::{start_script, write_script};

const NAME: &str = "rust";

pub(crate) fn is_set_up() -> bool {
    cache::is_filled(NAME)
}

pub(crate) fn set_up() -> Result<(), String> {
    cache::fill(NAME, |directory| {
        println!("setting up {}", directory.display());
        println!("  reading Debian's lists of packages");
        let apt = Apt::new(directory.join("apt"))?;
        // The package `rustc` is as old as the Debian release; this one follows Rust's releases.
        let version = apt.version("rustc-web")?;
        println!("  downloading Rust {version}");
        let at = |package: &str| format!("{package}={version}");
        let packages =
            ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-dev:arm64", "rust-web-src"].map(at);
        apt.download(&packages.each_ref().map(String::as_str))?;
        let libraries = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
        apt.download_with_dependencies(&[&at(&libraries)])?;
        println!("  unpacking it");
        apt.unpack(directory)?;
        apt.remove()?;
        for program in ["rustc", "rustdoc"] {
            write_script(&script(directory, program), &start_script(directory, program, ""))?;
        }
        Ok(())
    })
}

/// The compiler.
pub(crate) fn rustc() -> PathBuf {
    script(&cache::path(NAME), "rustc")
}

pub(crate) fn rustdoc() -> PathBuf {
    script(&cache::path(NAME), "rustdoc")
}

/// Where the compiler looks for the libraries of its targets.
pub(crate) fn libraries() -> PathBuf {
    cache::path(NAME).join("usr/lib/rustlib")
}

fn script(directory: &Path, program: &str) -> PathBuf {
    directory.join("bin").join(program)
}
