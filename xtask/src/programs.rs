//! `cargo xtask programs BUILD`: the programs that tests signal, built in other ways than those of
//! `cargo test`: optimized, linked statically, with other debug information. The tests start this
//! task themselves, so a program is never older than its source.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cargo::{cargo, root};
use crate::process::on;
use crate::targets::Target;

/// A way to build a program.
#[derive(Clone, Copy)]
pub(crate) struct Build {
    pub(crate) name: &'static str,
    /// For the table of builds in the documentation.
    pub(crate) description: &'static str,
    profile: Profile,
    /// Settings of the profile, named as in cargo's environment variables.
    settings: &'static [(&'static str, &'static str)],
    /// Arguments of the compiler.
    flags: &'static [&'static str],
    libc: Libc,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Dev,
    Release,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Libc {
    Glibc,
    Musl,
    MuslDynamic,
}

const DEV: Build =
    Build { name: "", description: "", profile: Profile::Dev, settings: &[], flags: &[], libc: Libc::Glibc };
/// As services are built whose backtraces have lines.
const RELEASE: Build = Build { profile: Profile::Release, settings: &[("DEBUG", "1")], ..DEV };

/// All builds but that of `cargo test`.
pub(crate) static BUILDS: [Build; 11] = [
    Build { name: "release", description: "`--release`, `debug = 1`", ..RELEASE },
    Build {
        name: "packed",
        description: "`--release`, `debug = 2`, `split-debuginfo = \"packed\"`",
        settings: &[("DEBUG", "2"), ("SPLIT_DEBUGINFO", "packed")],
        ..RELEASE
    },
    Build {
        name: "unpacked",
        description: "`--release`, `debug = 2`, `split-debuginfo = \"unpacked\"`",
        settings: &[("DEBUG", "2"), ("SPLIT_DEBUGINFO", "unpacked")],
        ..RELEASE
    },
    Build {
        name: "zstd",
        description: "`--release`, `debug = 1`, compressed with zstd",
        flags: &["-Clink-arg=-Wl,--compress-debug-sections=zstd"],
        ..RELEASE
    },
    Build {
        name: "lto",
        description: "`--release`, `debug = 1`, `lto = \"fat\"`",
        settings: &[("DEBUG", "1"), ("LTO", "fat")],
        ..RELEASE
    },
    Build { name: "stripped", description: "`--release`: no debug information", settings: &[], ..RELEASE },
    // Each run of the tests builds this, so it is not optimized: that would take twice the time.
    Build { name: "aborting", description: "`panic = \"abort\"`", settings: &[("PANIC", "abort")], ..DEV },
    Build {
        name: "small",
        description: "`--release`, `debug = 1`, `opt-level = \"z\"`",
        settings: &[("DEBUG", "1"), ("OPT_LEVEL", "z")],
        ..RELEASE
    },
    Build {
        name: "static",
        description: "`--release`, `debug = 1`, linked statically with glibc",
        flags: &["-Ctarget-feature=+crt-static"],
        ..RELEASE
    },
    Build { name: "musl", description: "musl, linked statically", libc: Libc::Musl, ..DEV },
    Build { name: "musl-dynamic", description: "musl, linked dynamically", libc: Libc::MuslDynamic, ..DEV },
];

/// Builds of another gmr: one of its rules of findings panics.
static FAULTY: [Build; 2] = [
    Build { name: "faulty", flags: &["--cfg=gmr_faulty_rule"], ..DEV },
    Build {
        name: "faulty-aborting",
        settings: &[("PANIC", "abort")],
        flags: &["--cfg=gmr_faulty_rule"],
        ..DEV
    },
];

/// The programs that are built in other ways.
const PROGRAMS: [&str; 3] = ["crossroads", "panicking", "stations"];

/// Those of all programs that need the packages of the feature `tasks`.
const WITH_TASKS: [&str; 1] = ["stuck_tasks"];

/// Builds the programs of the build with this name, and prints the folder with them.
pub(crate) fn run(name: &str) -> Result<(), String> {
    run_for(name, &[])
}

/// Builds these programs in the build with this name, or the ones that are built for the tests if
/// none is named, and prints the folder with them.
pub(crate) fn run_for(name: &str, programs: &[&str]) -> Result<(), String> {
    let build = BUILDS.iter().chain(&FAULTY).find(|build| build.name == name).ok_or_else(|| {
        let names: Vec<_> = BUILDS.iter().chain(&FAULTY).map(|build| build.name).collect();
        format!("unknown build `{name}`; expected one of: {}", names.join(", "))
    })?;
    let programs = if programs.is_empty() { &PROGRAMS } else { programs };
    println!("{}", build.build(programs)?.display());
    Ok(())
}

impl Build {
    /// Builds the programs into `target/programs/NAME`.
    fn build(&self, programs: &[&str]) -> Result<PathBuf, String> {
        let folder = root().join("target/programs").join(self.name);
        fs::create_dir_all(&folder).map_err(on("create", &folder))?;
        // The builds of a compiler have the same files in cargo's directory, until they are linked
        // to their own.
        let compiler = if self.libc == Libc::Glibc { "host" } else { "musl" };
        let lock = root().join(format!("target/programs/{compiler}.lock"));
        let lock =
            File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(on("lock", &lock))?;
        let built = self.cargo(programs)?;
        for program in programs {
            link(&built.join(program), &folder.join(program))?;
            let packed = format!("{program}.dwp");
            // The folder may still have the packed file of another build.
            if self.settings.contains(&("SPLIT_DEBUGINFO", "packed")) {
                link(&built.join(&packed), &folder.join(&packed))?;
            } else {
                let _ = fs::remove_file(folder.join(&packed));
            }
        }
        drop(lock);
        Ok(folder)
    }

    /// Builds the programs, and returns cargo's directory with them.
    fn cargo(&self, programs: &[&str]) -> Result<PathBuf, String> {
        // Without the packages that only the other programs need.
        let mut arguments = vec!["build", "--package", "gmr-tests", "--no-default-features"];
        arguments.extend(programs.iter().flat_map(|program| ["--bin", program]));
        if programs.iter().any(|program| WITH_TASKS.contains(program)) {
            arguments.extend(["--features", "tasks"]);
        }
        let (profile, folder) = match self.profile {
            Profile::Dev => ("dev", "debug"),
            Profile::Release => ("release", "release"),
        };
        arguments.extend(["--profile", profile]);
        let mut variables: Vec<(String, String)> = Vec::new();
        let prefix = format!("CARGO_PROFILE_{}", profile.to_uppercase());
        variables
            .extend(self.settings.iter().map(|(name, value)| (format!("{prefix}_{name}"), (*value).into())));
        let mut flags: Vec<String> = self.flags.iter().map(|flag| (*flag).to_owned()).collect();
        if self.libc == Libc::MuslDynamic {
            flags.extend(Target::dynamic_musl_flags());
        }
        if !flags.is_empty() {
            variables.push(("RUSTFLAGS".to_owned(), flags.join(" ")));
        }
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if self.libc != Libc::Glibc {
            Target::Musl.must_be_set_up()?;
            Target::Musl.cargo(&arguments, &variables)?;
            return Ok(Target::Musl.artifacts().join(folder));
        }
        // Even for the host: then the flags are for neither macros nor build scripts, which are
        // compiled once for all builds.
        let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        arguments.extend(["--target", &host]);
        cargo(&arguments, &variables)?;
        Ok(root().join("target").join(&host).join(folder))
    }
}

/// Links a file to a second path. If it is there already, it stays: it may be running.
fn link(from: &Path, to: &Path) -> Result<(), String> {
    let metadata = fs::metadata(from).map_err(on("read", from))?;
    if fs::metadata(to).is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    let _ = fs::remove_file(to);
    fs::hard_link(from, to).map_err(on("write", to))
}
