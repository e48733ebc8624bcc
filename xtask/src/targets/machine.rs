//! A machine of aarch64: qemu, which emulates it, and Debian's kernel and busybox for it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::debian::Apt;
use super::{aarch64, cache};
use crate::process::on;
use crate::scripts::{start_script, write_script};

const NAME: &str = "aarch64-machine";

pub(crate) fn set_up() -> Result<(), String> {
    cache::fill(NAME, |directory| {
        println!("setting up {}", directory.display());
        println!("  downloading qemu, and a kernel for aarch64");
        let apt = Apt::new(directory.join("apt"))?;
        let kernel = apt.dependency("linux-image-arm64:arm64", "linux-image-")?;
        apt.download_with_dependencies(&["qemu-system-arm"])?;
        apt.download(&[&kernel, "busybox-static:arm64"])?;
        println!("  unpacking them");
        apt.unpack(directory)?;
        apt.remove()?;
        let data = format!("-L '{}/usr/share/qemu' -L '{0}/usr/share/seabios'", directory.display());
        write_script(&directory.join("bin/qemu"), &start_script(directory, "qemu-system-aarch64", &data))
    })
}

pub(crate) fn qemu() -> PathBuf {
    cache::path(NAME).join("bin/qemu")
}

pub(crate) fn busybox() -> PathBuf {
    cache::path(NAME).join("bin/busybox")
}

/// The kernel's image. Its name has the version in it.
pub(crate) fn kernel() -> Result<PathBuf, String> {
    let folder = cache::path(NAME).join("boot");
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"));
    let mut files = files(&folder)?.into_iter();
    files.find(is_kernel).ok_or_else(|| format!("there is no kernel in {}", folder.display()))
}

/// The C library, and what else programs need at run time.
pub(crate) fn libraries() -> Result<Vec<PathBuf>, String> {
    let needed = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"];
    let files = files(&aarch64::libraries())?.into_iter();
    Ok(files.filter(|path| needed.map(OsStr::new).contains(&path.file_name().unwrap_or_default())).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(on("read", folder))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
