//! The file in which a process offers a report. The process may be hostile, and put anything in its
//! place: a pipe that blocks, a file of somebody else that it may not read itself, one without end.
//! So the file is opened only as a place first, which does nothing, and looked at; and it is read
//! up to a limit.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use rustix::fs::{FileType, Mode, OFlags, SealFlags, fcntl_get_seals, fstat, fstatfs, open};
use rustix::io::pread;

use super::target::Target;
use crate::processes::Status;

/// The longest report that is read. One of ten thousand threads has some tens of MiB.
const MAX_LENGTH: u64 = 1 << 30;

/// The longest JSON that is read, which takes several times as much memory. That of ten thousand
/// threads has some tens of MiB.
const MAX_JSON: usize = 128 << 20;

/// How long nothing may come. All deadlines of a report together are less.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// How long a report may take in all: far more than one on a machine without processor time takes.
const IN_ALL: Duration = Duration::from_secs(300);

/// The seals of a file that nobody can change any more.
const WHOLE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE);

/// `TMPFS_MAGIC`, of `linux/magic.h`: the file system of memory files.
const TMPFS: i64 = 0x0102_1994;

/// The file.
pub(super) struct Offered {
    /// The format of the report, as the process says.
    pub(super) format: String,
    file: OwnedFd,
    /// The thread that has it.
    pub(super) tid: u32,
    read: u64,
    opened: Instant,
    last: Instant,
    buffer: Vec<u8>,
}

impl Offered {
    /// Opens the file at this path in `/proc`, a descriptor of this thread.
    pub(super) fn open(target: &Target, tid: u32, path: &Path, format: &str) -> Result<Self, String> {
        let refused = |reason: &str| {
            format!("process {} offers something that is no report of gmr: {reason}", target.pid())
        };
        let status = Status::of_thread(target.process(), tid).ok();
        // As whom the thread makes files: the last one of four.
        let user = status.as_ref().and_then(|status| status.value("Uid")?.split_ascii_whitespace().nth(3));
        let user = user.and_then(|user| user.parse().ok());
        let user: u32 = user.ok_or_else(|| format!("process {} has ended", target.pid()))?;
        let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let place = place.map_err(|error| refused(&std::io::Error::from(error).to_string()))?;
        let file = reopen(place.as_fd(), user).map_err(|reason| refused(&reason))?;
        let now = Instant::now();
        let buffer = vec![0; 64 << 10];
        Ok(Self { format: format.to_owned(), file, tid, read: 0, opened: now, last: now, buffer })
    }

    /// The next bytes, once they are there. `None` at the end of a report that is whole.
    ///
    /// # Errors
    /// The report is not whole, and no more will come.
    pub(super) fn next(&mut self, target: &Target) -> Result<Option<&[u8]>, String> {
        let pid = target.pid();
        let failed = |error: rustix::io::Errno| {
            format!("could not read the report of process {pid}: {}", std::io::Error::from(error))
        };
        for round in 0_u32.. {
            // Before reading: then nothing can come after what is read.
            let is_whole = fcntl_get_seals(&self.file).map_err(failed)?.contains(WHOLE);
            let has_ended = target.has_ended();
            let is_gone = target.name_of(self.tid).is_none();
            let size = u64::try_from(fstat(&self.file).map_err(failed)?.st_size).unwrap_or(u64::MAX);
            if size > MAX_LENGTH {
                return Err(format!("the report of process {pid} is longer than {} MiB", MAX_LENGTH >> 20));
            }
            let length = pread(&self.file, &mut *self.buffer, self.read).map_err(failed)?;
            if length > 0 {
                self.read += u64::try_from(length).expect("a length");
                self.last = Instant::now();
                if self.opened.elapsed() > IN_ALL {
                    return Err(format!(
                        "the report of process {pid} has not ended in {} s",
                        IN_ALL.as_secs()
                    ));
                }
                return Ok(Some(&self.buffer[..length]));
            }
            let reason = match () {
                () if is_whole => return Ok(None),
                () if has_ended || is_gone && ends(target) => format!("process {pid} has ended"),
                () if is_gone => format!("process {pid} could not write all of it"),
                () if self.last.elapsed() > SILENT_FOR => {
                    format!("nothing has come from process {pid} for {} s", SILENT_FOR.as_secs())
                }
                () => {
                    target.wait(Duration::from_micros(if round < 200 { 500 } else { 5_000 }));
                    continue;
                }
            };
            return Err(format!("the report is not whole: {reason}"));
        }
        unreachable!("the time is up before")
    }

    /// All of it, as the JSON of a report.
    ///
    /// # Errors
    /// It is none, or not whole.
    pub(super) fn report(mut self, target: &Target) -> Result<Report, String> {
        let pid = target.pid();
        if self.format != "json" {
            return Err(format!(
                "process {pid} writes text only: its gmr is built without the feature `json`, which other formats, \
                 --sections, `gmr watch` and `gmr top` need. Add `features = [\"json\"]` to gmr in its Cargo.toml, \
                 or use `gmr report {pid}`, which shows the text"
            ));
        }
        let mut all = Vec::new();
        while let Some(bytes) = self.next(target)? {
            all.extend_from_slice(bytes);
            if all.len() > MAX_JSON {
                return Err(format!("the report of process {pid} is longer than {} MiB", MAX_JSON >> 20));
            }
        }
        let text = String::from_utf8(all).map_err(|_| "the report is not text".to_owned())?;
        Report::from_json(&text).map_err(|error| format!("process {pid}: {error}"))
    }
}

/// Whether the process ends. Its threads are gone a moment before it has ended.
fn ends(target: &Target) -> bool {
    target.wait(Duration::from_millis(200));
    target.has_ended()
}

/// The file at this place, opened for reading, if it is a memory file of this user's that can be
/// sealed.
fn reopen(place: BorrowedFd<'_>, user: u32) -> Result<OwnedFd, String> {
    let why = |error| std::io::Error::from(error).to_string();
    let stat = fstat(place).map_err(why)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is no regular file".to_owned());
    }
    #[allow(clippy::unnecessary_cast, reason = "the type depends on the platform")]
    if fstatfs(place).map_err(why)?.f_type as i64 != TMPFS || stat.st_nlink != 0 {
        return Err("it is no memory file".to_owned());
    }
    if stat.st_uid != user {
        return Err("it belongs to another user".to_owned());
    }
    // Without waiting, even if the process has a lease on it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty()).map_err(why)?;
    let seals = fcntl_get_seals(&file).map_err(why)?;
    // An ordinary file that was deleted, in /dev/shm for example, has this one seal for ever.
    if seals.contains(SealFlags::SEAL) && !seals.contains(WHOLE) {
        return Err("it is no memory file".to_owned());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use rustix::fs::{CWD, MemfdFlags, fcntl_add_seals, memfd_create, mkfifoat};

    use super::*;

    fn place(path: &Path) -> OwnedFd {
        open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("it is there")
    }

    fn opened(file: &OwnedFd) -> OwnedFd {
        place(format!("/proc/self/fd/{}", file.as_raw_fd()).as_ref())
    }

    #[test]
    fn only_a_memory_file_of_the_user_is_read() {
        let user = rustix::process::getuid().as_raw();
        let memory = |flags| memfd_create("gmr-report", flags | MemfdFlags::CLOEXEC).expect("a file");
        let file = memory(MemfdFlags::ALLOW_SEALING);
        assert!(reopen(opened(&file).as_fd(), user).is_ok());
        let why = |place: OwnedFd, user| reopen(place.as_fd(), user).expect_err("it is not read");
        assert!(why(opened(&file), user + 1).contains("another user"));
        fcntl_add_seals(&file, WHOLE | SealFlags::SEAL).expect("sealed");
        assert!(reopen(opened(&file).as_fd(), user).is_ok());
        assert!(why(opened(&memory(MemfdFlags::empty())), user).contains("no memory file"));
        // Nothing waits for a writer of the pipe.
        let folder = std::env::temp_dir().join(format!("gmr-offered-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        mkfifoat(CWD, folder.join("fifo"), Mode::RUSR | Mode::WUSR).expect("a pipe");
        assert!(why(place(&folder.join("fifo")), user).contains("no regular file"));
        assert!(why(place("/dev/null".as_ref()), user).contains("no regular file"));
        assert!(why(place(&folder), user).contains("no regular file"));
        assert!(why(place("/etc/passwd".as_ref()), user).contains("no memory file"));
        assert!(why(place("/proc/self/status".as_ref()), user).contains("no memory file"));
        // A deleted file of a file system that is memory files' as well.
        let path = Path::new("/dev/shm").join(format!("gmr-offered-{}", std::process::id()));
        if let Ok(shared) = File::create_new(&path) {
            assert!(why(place(&path), user).contains("no memory file"), "it has a path");
            fs::remove_file(&path).expect("it is there");
            assert!(why(opened(&shared.into()), user).contains("no memory file"));
        }
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
