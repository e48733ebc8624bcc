//! Debian's packages, downloaded and unpacked into a directory. Nothing is installed, and apt's
//! state in the system stays as it is: this has lists of packages of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{is_in_path, on, output, run};

/// The lists of packages of the system's sources, for the two architectures.
pub(crate) struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Downloads the lists into this directory, which is used for nothing else.
    pub(crate) fn new(directory: PathBuf) -> Result<Self, String> {
        if let Some(program) = ["apt-get", "apt-cache", "dpkg-deb"].iter().find(|name| !is_in_path(name)) {
            return Err(format!(
                "{program} is missing: compilers and libraries of other targets are taken from Debian's \
                 packages. Run this on Debian, or in a container of it"
            ));
        }
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = directory.join(folder);
            fs::create_dir_all(&folder).map_err(on("create", &folder))?;
        }
        // With no package installed, a package's dependencies are all downloaded, and what is
        // downloaded does not depend on the system.
        let shown = directory.display();
        let configuration = format!(
            "APT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
             APT::Sandbox::User \"\";\n\
             Dir::State::lists \"{shown}/lists\";\n\
             Dir::State::status \"{shown}/status\";\n\
             Dir::Cache \"{shown}/cache\";\n"
        );
        for (file, text) in [("status", ""), ("conf", &configuration)] {
            let file = directory.join(file);
            fs::write(&file, text).map_err(on("write", &file))?;
        }
        let apt = Self { directory };
        run(apt.command("apt-get").args(["--quiet", "--error-on=any", "update"]))?;
        Ok(apt)
    }

    /// The version of a package that would be installed.
    pub(crate) fn version(&self, package: &str) -> Result<String, String> {
        let policy = output(self.command("apt-cache").args(["policy", package]))?;
        let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        let version = version.filter(|version| *version != "(none)");
        version.map(str::to_owned).ok_or_else(|| format!("the package sources do not have {package}"))
    }

    /// A package's dependency whose name starts with this. Versions are part of such names.
    pub(crate) fn dependency(&self, package: &str, start: &str) -> Result<String, String> {
        let all = output(self.command("apt-cache").args(["depends", package]))?;
        let mut names = all.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let name = names.find(|name| name.starts_with(start));
        name.map(str::to_owned).ok_or_else(|| format!("{package} has no dependency that starts with {start}"))
    }

    /// Downloads these packages alone.
    pub(crate) fn download(&self, packages: &[&str]) -> Result<(), String> {
        let mut command = self.command("apt-get");
        run(command.args(["--quiet", "download"]).args(packages).current_dir(self.archives()))
    }

    /// Downloads these packages and all that they depend on.
    pub(crate) fn download_with_dependencies(&self, packages: &[&str]) -> Result<(), String> {
        let options = ["--quiet", "--yes", "--no-install-recommends", "--download-only", "install"];
        run(self.command("apt-get").args(options).args(packages))
    }

    /// Downloads the sources of a package, and unpacks those of its authors into this directory, in
    /// a folder of their own, whose path is returned.
    pub(crate) fn source(&self, package: &str, into: &Path) -> Result<PathBuf, String> {
        let folder = self.directory.join("sources");
        fs::create_dir_all(&folder).map_err(on("create", &folder))?;
        copy_sources(&folder)?;
        let mut options = [("sourceparts", &*folder), ("sourcelist", Path::new("/dev/null"))]
            .map(|(name, path)| format!("Dir::Etc::{name}={}", path.display()))
            .into_iter()
            .flat_map(|option| ["--option".to_owned(), option])
            .collect::<Vec<_>>();
        // Other sources than Debian's may have no such lists. Without Debian's, the next command
        // fails.
        let update = ["--option", "Acquire::Retries=0", "--quiet", "update"];
        let _ = run(self.command("apt-get").args(&options).args(update));
        options.extend(["--quiet", "--download-only", "source", package].map(str::to_owned));
        run(self.command("apt-get").args(&options).current_dir(&self.directory))?;
        let is_archive = |path: &PathBuf| path.display().to_string().contains(".orig.tar.");
        let archive = paths(&self.directory)?.into_iter().find(is_archive);
        let archive = archive.ok_or_else(|| format!("the sources of {package} are not an archive"))?;
        fs::create_dir_all(into).map_err(on("create", into))?;
        run(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(into))?;
        paths(into)?.pop().ok_or_else(|| format!("the archive of {package} is empty"))
    }

    /// Unpacks what has been downloaded, except for the C library: programs that are unpacked here
    /// are run by the system's.
    pub(crate) fn unpack(&self, into: &Path) -> Result<(), String> {
        let archives = self.archives();
        for file in fs::read_dir(&archives).map_err(on("read", &archives))?.flatten() {
            let path = file.path();
            let name = file.file_name().to_string_lossy().into_owned();
            if path.extension() != Some(OsStr::new("deb")) || name.starts_with("libc6_") {
                continue;
            }
            if name.starts_with("rust-web-src_") {
                unpack_library(&path, into)?;
            } else {
                run(Command::new("dpkg-deb").arg("--extract").arg(&path).arg(into))?;
            }
        }
        Ok(())
    }

    /// Unpacks what has been downloaded for this architecture, with the C library: a whole system.
    pub(crate) fn unpack_system(&self, architecture: &str, into: &Path) -> Result<(), String> {
        let end = format!("_{architecture}.deb");
        for path in paths(&self.archives())? {
            if path.to_string_lossy().ends_with(&end) {
                run(Command::new("dpkg-deb").arg("--extract").arg(path).arg(into))?;
            }
        }
        Ok(())
    }

    /// Removes the lists and what has been downloaded.
    pub(crate) fn remove(self) -> Result<(), String> {
        fs::remove_dir_all(&self.directory).map_err(on("remove", &self.directory))
    }

    fn archives(&self) -> PathBuf {
        self.directory.join("cache/archives")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.directory.join("conf")).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

/// Copies the system's package sources, changed to sources of source code (`deb-src`).
fn copy_sources(into: &Path) -> Result<(), String> {
    let system = Path::new("/etc/apt");
    let parts = paths(&system.join("sources.list.d")).unwrap_or_default();
    for file in parts.into_iter().chain([system.join("sources.list")]) {
        // The list need not exist.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let lines = text.lines().map(|line| match line.split_once(' ') {
            Some(("deb", rest)) => format!("deb-src {rest}\n"),
            Some(("Types:", _)) => "Types: deb-src\n".to_owned(),
            _ => format!("{line}\n"),
        });
        let copy = into.join(file.file_name().unwrap_or_default());
        fs::write(&copy, lines.collect::<String>()).map_err(on("write", &copy))?;
    }
    Ok(())
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(on("read", folder))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// The part of the compiler's sources that belongs to std.
fn unpack_library(package: &Path, into: &Path) -> Result<(), String> {
    let mut unpacked = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start dpkg-deb: {error}"))?;
    let tar = unpacked.stdout.take().ok_or("dpkg-deb has no output")?;
    let parts = ["./usr/src/rustc-*/library", "./usr/src/rustc-*/Cargo.*", "./usr/lib/rustlib/src"];
    let status = Command::new("tar")
        .args(["--extract", "--wildcards", "--directory"])
        .arg(into)
        .args(parts)
        .stdin(tar)
        .status()
        .map_err(|error| format!("cannot start tar: {error}"))?;
    let read = unpacked.wait().is_ok_and(|status| status.success());
    if status.success() && read { Ok(()) } else { Err(format!("cannot unpack {}", package.display())) }
}
