//! `aarch64-unknown-linux-gnu`: Debian's std, its cross compiler as the linker, and qemu, which
//! runs programs of that target on this machine's kernel.

use std::path::PathBuf;

use super::cache;
use super::debian::Apt;
use super::rust;
use crate::scripts::{start_script, write_script};

const NAME: &str = "aarch64";

pub(crate) fn is_set_up() -> bool {
    rust::is_set_up() && cache::is_filled(NAME)
}

pub(crate) fn set_up() -> Result<(), String> {
    rust::set_up()?;
    cache::fill(NAME, |directory| {
        println!("setting up {}", directory.display());
        println!("  downloading gcc for aarch64, its C library, and qemu");
        let apt = Apt::new(directory.join("apt"))?;
        apt.download_with_dependencies(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user"])?;
        println!("  unpacking them");
        apt.unpack(directory)?;
        apt.remove()?;
        let root = directory.display();
        let gcc = start_script(directory, "aarch64-linux-gnu-gcc", &format!("--sysroot='{root}'"));
        write_script(&directory.join("bin/gcc"), &gcc)?;
        // The libraries of qemu itself are not for the program that it runs.
        let arguments = format!("-L '{root}/usr/aarch64-linux-gnu' -E LD_LIBRARY_PATH=");
        let qemu = start_script(directory, "qemu-aarch64", &arguments);
        write_script(&directory.join("bin/run"), &qemu)
    })
}

/// Compiles C, and links.
pub(crate) fn gcc() -> PathBuf {
    cache::path(NAME).join("bin/gcc")
}

/// Runs a program.
pub(crate) fn runner() -> PathBuf {
    cache::path(NAME).join("bin/run")
}
