//! A machine of aarch64: qemu, which emulates it, and Debian's kernel and programs for it.

use std::fs;
use std::path::{Path, PathBuf};

use super::cache;
use super::debian::Apt;
use crate::process::on;
use crate::scripts::{start_script, write_script};

const NAME: &str = "aarch64-machine";
const SYSTEM: &str = "aarch64-system";

/// Static, with all that the machine's own scripts start.
const BUSYBOX: &str = "busybox-static:arm64";

/// What tests start, the library that Rust's programs need besides the C library, and the names of
/// the C library's functions. `gdb-minimal` is gdb without Python.
const PACKAGES: [&str; 6] = [
    "bash:arm64",
    "gdb-minimal:arm64",
    "libc6-dbg:arm64",
    "libgcc-s1:arm64",
    "python3:arm64",
    "util-linux:arm64",
];

pub(crate) fn set_up() -> Result<(), String> {
    cache::fill(NAME, |directory| {
        println!("setting up {}", directory.display());
        println!("  downloading qemu, and a kernel for aarch64");
        let apt = Apt::new(directory.join("apt"))?;
        let kernel = apt.dependency("linux-image-arm64:arm64", "linux-image-")?;
        apt.download_with_dependencies(&["qemu-system-arm"])?;
        apt.download(&[&kernel])?;
        println!("  unpacking them");
        apt.unpack(directory)?;
        apt.remove()?;
        let data = format!("-L '{}/usr/share/qemu' -L '{0}/usr/share/seabios'", directory.display());
        write_script(&directory.join("bin/qemu"), &start_script(directory, "qemu-system-aarch64", &data))
    })?;
    cache::fill(SYSTEM, |directory| {
        println!("setting up {}", directory.display());
        println!("  downloading gdb, Python and other programs for aarch64");
        let apt = Apt::new(directory.join("apt"))?;
        apt.download_with_dependencies(&PACKAGES)?;
        apt.download(&[BUSYBOX])?;
        println!("  unpacking them");
        apt.unpack_system("arm64", directory)?;
        apt.remove()?;
        // More than half of it, and nothing reads it.
        for folder in ["usr/share", "usr/lib/aarch64-linux-gnu/gconv"] {
            let folder = directory.join(folder);
            fs::remove_dir_all(&folder).map_err(on("remove", &folder))?;
        }
        Ok(())
    })
}

pub(crate) fn qemu() -> PathBuf {
    cache::path(NAME).join("bin/qemu")
}

/// The folder that is the machine's `/`.
pub(crate) fn system() -> PathBuf {
    cache::path(SYSTEM)
}

/// The kernel's image. Its name has the version in it.
pub(crate) fn kernel() -> Result<PathBuf, String> {
    let folder = cache::path(NAME).join("boot");
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"));
    let mut files = files(&folder)?.into_iter();
    files.find(is_kernel).ok_or_else(|| format!("there is no kernel in {}", folder.display()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(on("read", folder))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
