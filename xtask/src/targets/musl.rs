//! `x86_64-unknown-linux-musl`: musl, and a std for it. Debian has no std for this target, and its
//! musl has no unwind tables, unlike the one that Rust distributes with its std. Both are built
//! from the sources that Debian has.
//!
//! Programs are linked statically with the system's gcc, as with the std that Rust distributes;
//! with [`dynamic_flags`], dynamically, against the musl that was unpacked.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::cache;
use super::debian::Apt;
use super::rust;
use crate::cargo;
use crate::process::{on, output, run};
use crate::scripts::write_script;

const NAME: &str = "musl";
const TRIPLE: &str = "x86_64-unknown-linux-musl";
/// Where Debian's packages have musl.
const LIBRARIES: &str = "usr/lib/x86_64-linux-musl";

pub(crate) fn is_set_up() -> bool {
    rust::is_set_up() && cache::is_filled(NAME)
}

pub(crate) fn set_up() -> Result<(), String> {
    rust::set_up()?;
    cache::fill(NAME, |directory| {
        println!("setting up {}", directory.display());
        println!("  downloading musl, its sources, and LLVM's unwinder");
        let apt = Apt::new(directory.join("apt"))?;
        // The unwinder's name has the version of LLVM in it.
        let llvm = apt.dependency("libc++-dev", "libc++-")?;
        let unwinder = apt.dependency(&llvm, "libunwind-")?;
        apt.download(&["musl", "musl-dev", "musl-tools", &unwinder])?;
        apt.unpack(directory)?;
        let sources = apt.source("musl", &directory.join("sources"))?;
        apt.remove()?;
        println!("  building musl");
        build_musl(directory, &sources)?;
        write_linker(directory)?;
        let libraries = directory.join("rustlib/lib");
        println!("  copying what programs are linked with");
        copy_objects(directory, &libraries.join("self-contained"))?;
        println!("  building std");
        build_std(directory, &libraries)
    })?;
    // In the compiler's directory, which may be a new one.
    let link = rust::libraries().join(TRIPLE);
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(cache::path(NAME).join("rustlib"), &link).map_err(on("create", &link))
}

/// The compiler of C for this target.
pub(crate) fn gcc() -> PathBuf {
    cache::path(NAME).join("bin/musl-gcc")
}

/// Arguments of the compiler for a program that is linked dynamically. The unwinder stays static.
pub(crate) fn dynamic_flags() -> Vec<String> {
    let libraries = cache::path(NAME).join("dynamic");
    vec![
        "-Ctarget-feature=-crt-static".to_owned(),
        format!("-Clinker={}", gcc().display()),
        format!("-Lnative={}", libraries.display()),
    ]
}

/// Builds musl with the options of the one that Rust distributes: the debug information has the
/// unwind tables, in `.debug_frame`. It replaces the libraries of the packages.
fn build_musl(directory: &Path, sources: &Path) -> Result<(), String> {
    let configure = ["--enable-debug", "--prefix=/usr"];
    run(Command::new("sh")
        .arg("./configure")
        .args(configure)
        .env("CFLAGS", "-fPIC -g1")
        .env_remove("CC")
        .current_dir(sources))?;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // With `-fPIC`, musl's build compiles each file once for both libraries.
    run(Command::new("make")
        .arg(format!("--jobs={processors}"))
        .args(["lib/libc.a", "lib/libc.so"])
        .current_dir(sources))?;
    let packages = [("libc.a", LIBRARIES), ("libc.so", "lib/x86_64-linux-musl")];
    for (library, folder) in packages {
        let (from, to) = (sources.join("lib").join(library), directory.join(folder).join(library));
        fs::copy(&from, &to).map_err(on("copy", &from))?;
    }
    fs::remove_dir_all(sources).map_err(on("remove", sources))
}

/// A gcc that compiles and links with musl, where it was unpacked.
fn write_linker(directory: &Path) -> Result<(), String> {
    let musl = directory.join(LIBRARIES);
    // Programs that are linked dynamically are started by musl's C library, which is its loader
    // too.
    let library = directory.join("lib/x86_64-linux-musl/libc.so");
    let link = musl.join("libc.so");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&library, &link).map_err(on("create", &link))?;
    let specs = musl.join("musl-gcc.specs");
    let text = fs::read_to_string(&specs).map_err(on("read", &specs))?;
    let usr = directory.join("usr").display().to_string();
    let text = text
        .replace("/usr/lib/x86_64-linux-musl", &format!("{usr}/lib/x86_64-linux-musl"))
        .replace("/usr/include/x86_64-linux-musl", &format!("{usr}/include/x86_64-linux-musl"))
        .replace("/lib/ld-musl-x86_64.so.1", &library.display().to_string());
    let specs = directory.join("musl-gcc.specs");
    fs::write(&specs, text).map_err(on("write", &specs))?;
    let script = format!("#!/bin/sh\nexec gcc -specs '{}' \"$@\"\n", specs.display());
    write_script(&directory.join("bin/musl-gcc"), &script)
}

/// The objects and libraries that Rust's own std for this target comes with.
fn copy_objects(directory: &Path, into: &Path) -> Result<(), String> {
    fs::create_dir_all(into).map_err(on("create", into))?;
    let copy = |from: &Path| {
        let name = from.file_name().ok_or_else(|| format!("gcc has no {}", from.display()))?;
        fs::copy(from, into.join(name)).map(drop).map_err(on("copy", from))
    };
    for file in ["crt1.o", "Scrt1.o", "rcrt1.o", "crti.o", "crtn.o", "libc.a"] {
        copy(&directory.join(LIBRARIES).join(file))?;
    }
    for file in ["crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"] {
        let path = output(Command::new("gcc").arg(format!("-print-file-name={file}")))?;
        copy(Path::new(path.trim()))?;
    }
    let llvm = directory.join("usr/lib");
    let versions = fs::read_dir(&llvm).map_err(on("read", &llvm))?.flatten();
    let unwinder = versions.map(|version| version.path().join("lib/libunwind.a")).find(|path| path.is_file());
    copy(&unwinder.ok_or("the package of LLVM's unwinder has no libunwind.a")?)?;
    add_missing_function(directory, &into.join("libunwind.a"))?;
    // A dynamic program asks for the unwinder under the name of gcc's.
    let dynamic = directory.join("dynamic");
    fs::create_dir_all(&dynamic).map_err(on("create", &dynamic))?;
    let script = dynamic.join("libgcc_s.so");
    let text = format!("INPUT({})\n", into.join("libunwind.a").display());
    fs::write(&script, text).map_err(on("write", &script))
}

/// Debian's unwinder was compiled with glibc's headers. One function that they use is not in musl.
fn add_missing_function(directory: &Path, library: &Path) -> Result<(), String> {
    const SOURCE: &str = "\
#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
    (void)flag;
    va_list arguments;
    va_start(arguments, format);
    int written = vfprintf(file, format, arguments);
    va_end(arguments);
    return written;
}
";
    let (source, object) = (directory.join("fprintf_chk.c"), directory.join("fprintf_chk.o"));
    fs::write(&source, SOURCE).map_err(on("write", &source))?;
    let options = ["-O2", "-fPIC", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-c"];
    run(Command::new("gcc").args(options).arg(&source).arg("-o").arg(&object))?;
    run(Command::new("ar").arg("r").arg(library).arg(&object))
}

/// Builds std from the compiler's sources. It has lines and frame pointers, as the one that Rust
/// distributes has, and is optimized less, which takes half the time.
fn build_std(directory: &Path, libraries: &Path) -> Result<(), String> {
    let package = directory.join("package");
    let write = |file: &str, text: &str| {
        let file = package.join(file);
        let folder = file.parent().unwrap_or(&package);
        fs::create_dir_all(folder).map_err(on("create", folder))?;
        fs::write(&file, text).map_err(on("write", &file))
    };
    write("Cargo.toml", "[package]\nname = \"empty\"\nedition = \"2021\"\n\n[workspace]\n")?;
    write("src/lib.rs", "")?;
    // `panic_abort` must be compiled for panics that abort, and nothing else may be.
    let wrapper = directory.join("bin/compile-std");
    write_script(
        &wrapper,
        "#!/bin/sh\ncase \"$*\" in *\"--crate-name panic_abort \"*) exec \"$@\" -Cpanic=abort;; esac\nexec \"$@\"\n",
    )?;
    let target = package.join("target");
    let mut command = cargo::command();
    command
        .args(["build", "--release", "--target", TRIPLE])
        .args(["-Zbuild-std=std,panic_unwind,panic_abort,test", "-Zbuild-std-features=panic-unwind"])
        .current_dir(&package)
        .env("RUSTC", rust::rustc())
        .env("RUSTC_WRAPPER", &wrapper)
        // Permits `-Z` with a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cforce-frame-pointers=yes")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
    run(&mut command)?;
    let built = target.join(TRIPLE).join("release/deps");
    for file in fs::read_dir(&built).map_err(on("read", &built))?.flatten() {
        let path = file.path();
        let is_empty = file.file_name().to_string_lossy().starts_with("libempty-");
        if path.extension() == Some(OsStr::new("rlib")) && !is_empty {
            fs::copy(&path, libraries.join(file.file_name())).map_err(on("copy", &path))?;
        }
    }
    fs::remove_dir_all(&package).map_err(on("remove", &package))
}
