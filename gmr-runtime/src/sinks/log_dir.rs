//! A directory of reports, with a file for each of them.
//!
//! A file gets its name when it is whole, and never replaces another one. No symbolic link is
//! followed, neither in the path of the directory nor below it: a program that runs as root may
//! have a directory that others can write to. Only files whose names have exactly the form of this
//! service's are ever removed.
//!
//! Each call can take as long as the disk does. A thread calls them that nothing has to wait for.

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
mod in_handler;
mod names;
mod output;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, accessat, fsync, linkat,
    open, openat, openat2, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use self::names::Names;
use self::output::Output;
use crate::sys::sort;

/// How many reports of a service are kept in a directory, by default. Who looks for one has been
/// told its name, or wants the last ones.
const MAX_FILES: usize = 100;
/// How much they may take together. A report of a thousand threads takes a megabyte.
const MAX_BYTES: u64 = 100 << 20;

/// How long a file is kept in any case, unless they take too much, or it was chosen how many are
/// kept. Many processes can be asked at the same time, and each has said where its report is.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// How many names are tried. A name is in use if a process in another container has the same id, or
/// if the clock was set back.
const ATTEMPTS: u64 = 1_000;

/// After what time a file that is not whole is one of a process that was killed. A report takes two
/// minutes at most.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Which files are kept.
#[derive(Debug)]
struct Kept {
    files: usize,
    bytes: u64,
    young: Duration,
}

/// The directory, and how its files are named.
#[derive(Debug)]
pub(crate) struct LogDir {
    path: PathBuf,
    names: Names,
    kept: Kept,
    /// The number of the next file of this process.
    next: AtomicU64,
}

impl LogDir {
    /// Nothing is opened yet. A path that is not absolute begins at the current directory.
    pub(crate) fn new(path: &Path, service: &str, extension: &'static str) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let kept = Kept { files: MAX_FILES, bytes: MAX_BYTES, young: YOUNG };
        Self { path, names: Names::new(service, extension), kept, next: AtomicU64::new(1) }
    }

    /// Sets how many files of the service are kept, and how many bytes they may have together. 0
    /// stands for any number, and `None` for the default.
    pub(crate) fn keeping(mut self, files: Option<u32>, bytes: Option<u64>) -> Self {
        if let Some(files) = files {
            let files = usize::try_from(files).unwrap_or(usize::MAX);
            self.kept.files = if files == 0 { usize::MAX } else { files };
            self.kept.young = Duration::ZERO;
        }
        if let Some(bytes) = bytes {
            self.kept.bytes = if bytes == 0 { u64::MAX } else { bytes };
        }
        self
    }

    /// Sets whether files are compressed.
    pub(crate) fn compressing(mut self, gzip: bool) -> Self {
        self.names.gzip = gzip;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file could be created now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let directory = self.open()?;
        let access = Access::WRITE_OK | Access::EXEC_OK;
        accessat(&directory, ".", access, AtFlags::EACCESS).map_err(|error| described("write to it", error))
    }

    fn open(&self) -> Result<OwnedFd, String> {
        open_directory(&self.path).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                "a part of its path is a symbolic link, which is not followed, or is not a directory"
                    .to_owned()
            }
            error => described("open it", error),
        })
    }

    /// Creates a file, which has a temporary name until it is whole.
    ///
    /// # Errors
    /// Why it cannot be created.
    pub(crate) fn create(&self) -> Result<LogFile<'_>, String> {
        let directory = self.open()?;
        let stamp = names::stamp(SystemTime::now());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = self.names.name(&stamp, number);
            let temporary = names::temporary(&name);
            match openat(&directory, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    let file = Output::new(File::from(file), self.names.gzip);
                    let log_file =
                        LogFile { of: self, directory, file, stamp, number, temporary, is_whole: false };
                    return Ok(log_file);
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(described("create a file in it", error)),
            }
        }
        Err("all names that were tried are in use".to_owned())
    }
}

/// A file that is being written. If it is dropped before it is whole, it is removed.
pub(crate) struct LogFile<'a> {
    of: &'a LogDir,
    directory: OwnedFd,
    file: Output,
    stamp: String,
    number: u64,
    temporary: String,
    is_whole: bool,
}

impl LogFile<'_> {
    /// Appends to the file.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write(bytes).map_err(|error| format!("could not write a file in it: {error}"))
    }

    /// Has the file written to the disk, and gives it its name. Returns its path.
    ///
    /// # Errors
    /// Why it is not there.
    pub(crate) fn finish(&mut self) -> Result<PathBuf, String> {
        self.file.finish().map_err(|error| format!("could not write a file in it to the disk: {error}"))?;
        let Self { of, directory, stamp, temporary, .. } = self;
        for number in self.number..self.number + ATTEMPTS {
            let name = of.names.name(stamp, number);
            match rename(directory, temporary, &name) {
                Ok(()) => {
                    (self.is_whole, self.number) = (true, number);
                    of.next.fetch_max(number + 1, Ordering::Relaxed);
                    // Some file systems cannot do this.
                    let _ = fsync(directory);
                    return Ok(of.path.join(name));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(described("name a file in it", error)),
            }
        }
        Err("all names that were tried are in use".to_owned())
    }

    /// Removes the oldest files of this service, if there are too many, or they take too much. This
    /// one stays.
    pub(crate) fn remove_others(&self) {
        let Ok(directory) = Dir::read_from(&self.directory) else { return };
        let now = SystemTime::now();
        let kept = &self.of.kept;
        let young = names::stamp(now - kept.young);
        let (now, abandoned) = (names::stamp(now), names::stamp(now - ABANDONED));
        let mut found = Vec::new();
        for entry in directory.flatten() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            let of_temporary = names::of_temporary(name).and_then(|name| self.of.names.key(name));
            if of_temporary.is_some_and(|(stamp, ..)| stamp < abandoned) {
                let _ = unlinkat(&self.directory, name, AtFlags::empty());
            }
            let Some(key) = self.of.names.key(name) else { continue };
            if let Ok(stat) = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(stat.st_mode).is_file()
            {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                // If the clock was set back, those of the future are the oldest.
                found.push((key.0 <= now, key, name.to_owned(), size));
            }
        }
        sort::all(&mut found);
        let this = Names::key_of(&self.stamp, self.number);
        let (mut files, mut bytes) = (0, 0_u64);
        for (is_past, key, name, size) in found.iter().rev() {
            files += 1;
            bytes = bytes.saturating_add(*size);
            let is_young = *is_past && key.0 > young;
            if ((files > kept.files && !is_young) || bytes > kept.bytes) && *key != this {
                // Another process of the service may have removed it.
                let _ = unlinkat(&self.directory, name.as_str(), AtFlags::empty());
            }
        }
    }
}

impl Drop for LogFile<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = unlinkat(&self.directory, self.temporary.as_str(), AtFlags::empty());
        }
    }
}

fn described(what: &str, error: Errno) -> String {
    format!("could not {what}: {}", io::Error::from(error))
}

/// Opens a directory by a path without symbolic links.
fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => walk_to(path),
        answer => answer,
    }
}

/// The same without `openat2`.
fn walk_to(path: &Path) -> Result<OwnedFd, Errno> {
    use std::path::Component::{CurDir, Normal, ParentDir, Prefix, RootDir};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory =
        open(if path.is_absolute() { "/" } else { "." }, flags | OFlags::PATH, Mode::empty())?;
    for component in path.components() {
        match component {
            Normal(_) | ParentDir => {
                directory = openat(&directory, component.as_os_str(), flags | OFlags::PATH, Mode::empty())?;
            }
            CurDir | RootDir | Prefix(_) => {}
        }
    }
    // One that can be read.
    openat(&directory, ".", flags | OFlags::RDONLY, Mode::empty())
}

/// Renames a file, unless there is one of the new name.
fn rename(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    match renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
        // Kernels, file systems and sandboxes that do not know the flag or the call.
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => rename_by_link(directory, from, to),
        answer => answer,
    }
}

/// The same without `renameat2`.
fn rename_by_link(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    linkat(directory, from, directory, to, AtFlags::empty())?;
    // It has both names now, of which the temporary one does not matter.
    let _ = unlinkat(directory, from, AtFlags::empty());
    Ok(())
}

#[cfg(test)]
mod tests;
