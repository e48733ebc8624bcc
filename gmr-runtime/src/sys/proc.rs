//! Opens what is below `/proc`: by its path, or else by a descriptor that is kept from before the
//! program changed its root directory. It knows nothing about what the files contain.
//!
//! Facts of the process itself are read below `thread-self`. The kernel shows no memory, files or
//! executable of a thread that has ended, and `self` is the main thread, which a program can end
//! while its other threads go on.

use std::fs::File;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::sort;

/// The descriptor of `/proc` that is kept.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

/// The lowest number that it can have.
const FIRST: i32 = 3;

/// A descriptor, and what it refers to. It is never closed: once the program has closed its number,
/// that may be one of the program's own files.
struct Kept {
    fd: ManuallyDrop<OwnedFd>,
    device: u64,
    inode: u64,
}

impl Kept {
    fn new() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open("/proc", flags, Mode::empty())?;
        // The numbers below are those of the standard files, even if they are closed.
        let fd = rustix::io::fcntl_dupfd_cloexec(&fd, FIRST)?;
        let (device, inode) = identity(fd.as_fd())?;
        Ok(Self { fd: ManuallyDrop::new(fd), device, inode })
    }

    fn is_same(&self) -> bool {
        identity(self.fd.as_fd()).is_ok_and(|identity| identity == (self.device, self.inode))
    }
}

fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The lock, which is held for microseconds. A child that was forked while another thread held it
/// does without the descriptor.
fn lock() -> Option<MutexGuard<'static, Option<Kept>>> {
    const ATTEMPTS: usize = 1000;
    (0..ATTEMPTS).find_map(|_| KEPT.try_lock().inspect_err(|_| std::thread::yield_now()).ok())
}

/// Keeps a descriptor of `/proc`, unless there is one. Without it, `/proc` is read by its path
/// only.
pub(crate) fn keep() {
    let Some(mut kept) = lock() else { return };
    if kept.as_ref().is_none_or(|kept| !kept.is_same()) {
        *kept = Kept::new().ok();
    }
}

/// The number of the descriptor that is kept, if it still is one of `/proc`.
pub(crate) fn kept() -> Option<u32> {
    let kept = lock()?;
    let fd = kept.as_ref().filter(|kept| kept.is_same())?.fd.as_raw_fd();
    u32::try_from(fd).ok()
}

/// Opens a file below `/proc`.
///
/// # Errors
/// If there is no such file. Where there is no `/proc` at all, the error says so.
pub(crate) fn open(path: &str) -> io::Result<File> {
    open_with(path, OFlags::RDONLY).map(File::from)
}

/// Opens a directory below `/proc`.
///
/// # Errors
/// Like [`open`].
pub(crate) fn open_directory(path: &str) -> io::Result<OwnedFd> {
    open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a file below `/proc` with these flags.
///
/// # Errors
/// Like [`open`].
pub(crate) fn open_with(path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    by_path_or_kept(
        || retry_on_intr(|| rustix::fs::open(format!("/proc/{path}"), flags, Mode::empty())),
        |kept| retry_on_intr(|| rustix::fs::openat(kept, path, flags, Mode::empty())),
    )
}

/// What a symbolic link below `/proc` refers to.
///
/// # Errors
/// Like [`open`].
pub(crate) fn link(path: &str) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let target = by_path_or_kept(
        || rustix::fs::readlink(format!("/proc/{path}"), Vec::new()),
        |kept| rustix::fs::readlinkat(kept, path, Vec::new()),
    )?;
    Ok(std::ffi::OsString::from_vec(target.into_bytes()).into())
}

fn by_path_or_kept<T>(
    by_path: impl FnOnce() -> Result<T, Errno>,
    by_kept: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
) -> io::Result<T> {
    match by_path() {
        Err(Errno::NOENT) if !is_mounted() => {}
        answer => return Ok(answer?),
    }
    let kept = lock();
    match kept.as_ref().and_then(|kept| kept.as_ref()).filter(|kept| kept.is_same()) {
        Some(kept) => Ok(by_kept(kept.fd.as_fd())?),
        None => Err(io::Error::new(io::ErrorKind::NotFound, NOT_MOUNTED)),
    }
}

const NOT_MOUNTED: &str = "/proc is not mounted in the root directory of this process";

fn is_mounted() -> bool {
    rustix::fs::access("/proc/self", rustix::fs::Access::EXISTS).is_ok()
}

/// The bytes of a file below `/proc`.
///
/// # Errors
/// Like [`open`], or if it cannot be read.
pub(crate) fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file below `/proc`. Invalid UTF-8 is replaced.
///
/// # Errors
/// Like [`read`].
pub(crate) fn read_text(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

/// The numeric names in a directory below `/proc`, in ascending order: processes in the directory
/// itself (an empty path), threads in `self/task`.
///
/// # Errors
/// Like [`open`].
pub(crate) fn ids(path: &str) -> io::Result<Vec<u32>> {
    Ok(ids_and_inodes(path)?.into_iter().map(|(id, _)| id).collect())
}

/// The numeric names in a directory with the inode of each, in ascending order.
///
/// The kernel gives each process and each thread inodes of its own, from a counter, so a thread
/// that has got the id of an earlier one has another inode. While a thread lives, its inode stays
/// the same unless the kernel needs the memory.
///
/// # Errors
/// Like [`open`].
pub(crate) fn ids_and_inodes(path: &str) -> io::Result<Vec<(u32, u64)>> {
    let mut ids = Vec::new();
    // An empty path would not be one.
    let path = if path.is_empty() { "." } else { path };
    for entry in Dir::new(open_directory(path)?)? {
        let entry = entry?;
        if let Some(id) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
            ids.push((id, entry.ino()));
        }
    }
    sort::all(&mut ids);
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_and_read() {
        let pid = std::process::id();
        assert!(ids("").unwrap().contains(&pid));
        assert!(ids("self/task").unwrap().contains(&pid));
        assert_eq!(link("thread-self/exe").unwrap(), std::env::current_exe().unwrap());
        assert!(read_text("thread-self/status").unwrap().contains(&format!("Tgid:\t{pid}\n")));
    }

    #[test]
    fn a_file_that_is_missing_is_not_taken_for_a_missing_directory() {
        keep();
        let error = open("self/no-such-file").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn a_descriptor_that_refers_to_something_else_by_now_is_not_used() {
        let mut kept = Kept::new().unwrap();
        assert!(kept.is_same());
        // As if the program had closed it, and then opened something else.
        rustix::io::dup2(File::open("/").unwrap(), &mut kept.fd).unwrap();
        assert!(!kept.is_same());
    }
}
