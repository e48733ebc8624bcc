//! Descriptor 2, written with bare system calls: the thread that the report is about may hold std's
//! lock around stderr.
//!
//! Nothing may be reading the other end. What cannot be written within the deadlines is dropped and
//! counted. The descriptor stays blocking or non-blocking as it was: other processes share that
//! mode.
//!
//! A program may close descriptor 2, and its next file then gets that number: a database, or the
//! connection of a client. Nothing is written to such a file ([`is_programs_own`]).

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, FdFlags, ReadWriteFlags};

use super::reopened;

/// How long to wait for a single byte to go out before the rest is dropped. A busy reader, such as
/// a log collector or a terminal over a slow line, reads within this time; a stopped one never
/// does.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to write a report, in all. A serial line at 9600 baud takes 56 KiB in that
/// time.
const WHOLE: Duration = Duration::from_secs(60);

/// What a pipe takes without blocking once `poll` says that it is writable: `PIPE_BUF`, which POSIX
/// also makes atomic.
const CHUNK: usize = 4096;

/// The sink.
#[derive(Debug)]
pub(crate) struct Stderr {
    /// The file that descriptor 2 referred to when this was created, if it was open.
    origin: Option<Identity>,
    /// The reason, while the rest of a report is being dropped.
    closed: Option<Reason>,
    lost: u64,
    /// How much time has been spent on writing the report.
    spent: Duration,
    /// Whether nothing of the report has been written.
    is_fresh: bool,
    /// Whether the last bytes that were written did not end their line.
    line_is_open: bool,
}

/// Which file a descriptor refers to: its device and inode.
type Identity = (u64, u64);

impl Stderr {
    /// A sink for the current standard error. Create it while the program starts.
    pub(crate) fn new() -> Self {
        Self {
            origin: status(rustix::stdio::stderr()).map(|(identity, _)| identity),
            closed: None,
            lost: 0,
            spent: Duration::ZERO,
            is_fresh: true,
            line_is_open: false,
        }
    }

    /// Begins a report.
    pub(crate) fn begin(&mut self) {
        (self.closed, self.lost, self.spent, self.is_fresh) = (None, 0, Duration::ZERO, true);
    }

    /// How many bytes of the report were lost, and why.
    pub(crate) fn loss(&self) -> Option<(u64, String)> {
        Some((self.lost, self.closed.as_ref()?.to_string()))
    }

    /// Writes all of `bytes`, or as much as goes out in time. After a loss, everything is dropped
    /// until the next report [begins](Self::begin).
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.write_to(rustix::stdio::stderr(), bytes);
    }

    /// Like [`write`](Self::write), but gives up when no byte goes out for this long, and at this
    /// time. Returns whether all was written. It does only what a signal handler may do.
    pub(crate) fn write_within(&mut self, bytes: &[u8], timeout: Duration, until: Instant) -> bool {
        let is_own = || is_programs_own(rustix::stdio::stderr(), self.origin);
        if self.closed.is_none()
            && let Err(stopped) = write_all(rustix::stdio::stderr(), bytes, Limits { timeout, until }, is_own)
        {
            self.closed = Some(stopped.reason);
        }
        self.closed.is_none()
    }

    /// The same sink for a thread with a descriptor table of its own.
    pub(crate) fn attach(&mut self) -> Attached<'_> {
        Attached { reopened: reopened::reopen(rustix::stdio::stderr()), sink: self }
    }

    fn write_to(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) {
        // The previous report may have been cut off within a line.
        if std::mem::take(&mut self.is_fresh) && self.line_is_open {
            self.write_piece(fd, b"\n");
        }
        self.write_piece(fd, bytes);
    }

    fn write_piece(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) {
        if self.closed.is_some() {
            self.lost += bytes.len() as u64;
            return;
        }
        let began = Instant::now();
        let limits = Limits { timeout: TIMEOUT, until: began + WHOLE.saturating_sub(self.spent) };
        let is_own = || is_programs_own(rustix::stdio::stderr(), self.origin);
        let written = match write_all(fd, bytes, limits, is_own) {
            Ok(()) => bytes.len(),
            Err(Stopped { written, reason }) => {
                self.lost += (bytes.len() - written) as u64;
                self.closed = Some(reason);
                written
            }
        };
        self.spent += began.elapsed();
        if let Some(last) = bytes[..written].last() {
            self.line_is_open = *last != b'\n';
        }
    }
}

/// Standard error for one report, written so that no write blocks.
pub(crate) struct Attached<'a> {
    sink: &'a mut Stderr,
    /// If it is a terminal or a pipe, its file with a description that does not block. A terminal
    /// counts as writable as soon as it has space for a part, and a blocking write would wait for
    /// the rest.
    reopened: Option<OwnedFd>,
}

impl Attached<'_> {
    /// Writes all of `bytes`, or as much as goes out in time.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match &self.reopened {
            Some(reopened) => self.sink.write_to(reopened.as_fd(), bytes),
            None => self.sink.write(bytes),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stopped {
    written: usize,
    reason: Reason,
}

/// Why not all was written. Not a text: an emergency report is written where nothing can be
/// allocated.
#[derive(Debug, PartialEq, Eq)]
enum Reason {
    Failed(Errno),
    /// No byte went out for this long.
    NotRead(Duration),
    /// Not all of it went out within [`WHOLE`].
    TooSlow,
    ProgramsOwn,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "write failed: {}", io::Error::from(*error)),
            Self::NotRead(timeout) => write!(f, "stderr was not read for {} s", timeout.as_secs_f64()),
            Self::TooSlow => {
                write!(f, "stderr was read too slowly to write all within {} s", WHOLE.as_secs())
            }
            Self::ProgramsOwn => f.write_str("descriptor 2 is a file that the program has opened for itself"),
        }
    }
}

/// How long writing may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// For the next byte.
    timeout: Duration,
    /// For all of them.
    until: Instant,
}

/// Writes to a descriptor, unless it has become the program's own.
fn write_all(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    Limits { timeout, until }: Limits,
    is_programs_own: impl Fn() -> bool,
) -> Result<(), Stopped> {
    let mut written = 0;
    let mut last_progress = Instant::now();
    while written < bytes.len() {
        // Before each write: the program may close it in its own table during a wait.
        if is_programs_own() {
            return Err(Stopped { written, reason: Reason::ProgramsOwn });
        }
        let soonest = (last_progress + timeout).min(until);
        match write_some(fd, &bytes[written..], soonest.saturating_duration_since(Instant::now())) {
            Ok(count) if count > 0 => {
                written += count;
                last_progress = Instant::now();
            }
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => {
                return Err(Stopped { written, reason: Reason::Failed(error) });
            }
        }
        if last_progress.elapsed() >= timeout {
            return Err(Stopped { written, reason: Reason::NotRead(timeout) });
        }
        if written < bytes.len() && Instant::now() >= until {
            return Err(Stopped { written, reason: Reason::TooSlow });
        }
    }
    Ok(())
}

/// Waits until a write is possible, then writes what goes out without blocking.
fn write_some(fd: BorrowedFd<'_>, bytes: &[u8], timeout: Duration) -> Result<usize, Errno> {
    let timeout =
        Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: timeout.subsec_nanos().into() };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    if poll(&mut fds, Some(&timeout))? == 0 {
        return Ok(0);
    }
    if fds[0].revents().contains(PollFlags::NVAL) {
        return Err(Errno::BADF);
    }
    write_now(fd, bytes)
}

/// One write that does not block: by a flag, if the kernel supports it for this kind of file, or
/// else by its size.
fn write_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    #[cfg(target_os = "linux")]
    match rustix::io::pwritev2(fd, &[io::IoSlice::new(bytes)], CURRENT_POSITION, ReadWriteFlags::NOWAIT) {
        // Regular files and old kernels do not support the flag; a sandbox may not allow the call.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::SPIPE) => {}
        // A regular file returns this when it would wait for its disk; a pipe, only when it has
        // filled up since `poll`.
        Err(Errno::AGAIN) if is_file(fd) => {}
        answer => return answer,
    }
    let chunk = if is_file(fd) { bytes } else { &bytes[..bytes.len().min(CHUNK)] };
    rustix::io::write(fd, chunk)
}

/// The offset by which `pwritev2` writes at the descriptor's own position.
#[cfg(target_os = "linux")]
const CURRENT_POSITION: u64 = u64::MAX;

/// A regular file takes any size, and `poll` always says that it is writable.
fn is_file(fd: BorrowedFd<'_>) -> bool {
    status(fd).is_some_and(|(_, kind)| kind.is_file())
}

fn status(fd: BorrowedFd<'_>) -> Option<(Identity, FileType)> {
    let stat = rustix::fs::fstat(fd).ok()?;
    #[allow(clippy::useless_conversion, reason = "the type depends on the platform")]
    let device = u64::try_from(stat.st_dev).ok()?;
    Some(((device, stat.st_ino), FileType::from_raw_mode(stat.st_mode)))
}

/// Whether the descriptor, which originally was `origin`, is now a file that the program has opened
/// for itself.
///
/// The program may redirect its standard error at any time. It does so with `dup2`, which leaves
/// the new descriptor open across `exec`, or by opening a log for writing when 2 is the next free
/// number (`freopen`). So another file is the program's own if
/// - it is closed on `exec`, as all files that std and most libraries open for themselves are; or
/// - it is a regular file that is open for reading as well, as a log is not.
fn is_programs_own(fd: BorrowedFd<'_>, origin: Option<Identity>) -> bool {
    let Some((identity, kind)) = status(fd) else { return false };
    if Some(identity) == origin {
        return false;
    }
    let is_closed_on_exec = rustix::io::fcntl_getfd(fd).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC));
    let is_readable =
        || rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::ACCMODE == OFlags::RDWR);
    is_closed_on_exec || (kind.is_file() && is_readable())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_mins(1);

    fn within(timeout: Duration) -> Limits {
        Limits { timeout, until: Instant::now() + LATE }
    }

    fn origin(fd: &impl AsFd) -> Option<Identity> {
        status(fd.as_fd()).map(|(identity, _)| identity)
    }

    #[test]
    fn another_file_is_the_programs_own_unless_it_is_a_redirection() {
        let directory = std::env::temp_dir().join(format!("gmr-own-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("file");
        let stderr = File::open("/dev/null").unwrap();
        let own = File::options().create(true).append(true).open(&path).unwrap();
        let is_own = |fd: &dyn AsFd| is_programs_own(fd.as_fd(), origin(&stderr));
        assert!(is_own(&own), "closed on exec");
        // As `dup2` makes them.
        let inherited = |file: &File| {
            let fd = rustix::io::dup(file).unwrap();
            rustix::io::fcntl_setfd(&fd, FdFlags::empty()).unwrap();
            fd
        };
        assert!(!is_own(&inherited(&own)), "a log");
        let database = File::options().read(true).write(true).open(&path).unwrap();
        assert!(is_own(&inherited(&database)), "open for reading as well");
        assert!(!is_own(&inherited(&File::options().read(true).write(true).open("/dev/null").unwrap())));
        assert!(!is_programs_own(database.as_fd(), origin(&database)), "the same file as before");
        let stopped = write_all(own.as_fd(), b"text", within(LATE), || is_own(&own)).unwrap_err();
        assert_eq!((stopped.written, own.metadata().unwrap().len()), (0, 0));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_slow_reader_gets_all_of_it() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = bytes.clone();
        let writing = thread::spawn(move || write_all(writer.as_fd(), &bytes, within(LATE), || false));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(writing.join().unwrap(), Ok(()));
        assert!(read == expected, "the bytes differ");
    }

    #[test]
    fn a_full_pipe_times_out() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes = vec![b'x'; 1_000_000];
        let stopped = write_all(writer.as_fd(), &bytes, within(SOON), || false).unwrap_err();
        assert!(stopped.reason.to_string().contains("stderr was not read for 0.05 s"), "{stopped:?}");
        drop(writer);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), stopped.written, "the count of written bytes is exact");
        assert!(stopped.written >= CHUNK && stopped.written < bytes.len());
    }

    #[test]
    fn a_full_socket_times_out() {
        for nonblocking in [false, true] {
            let (_reader, writer) = UnixStream::pair().unwrap();
            writer.set_nonblocking(nonblocking).unwrap();
            let stopped =
                write_all(writer.as_fd(), &vec![b'x'; 4_000_000], within(SOON), || false).unwrap_err();
            assert!(
                stopped.written > 0 && stopped.reason.to_string().contains("was not read"),
                "{stopped:?}"
            );
        }
    }

    #[test]
    fn a_closed_end_is_reported() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let stopped = write_all(writer.as_fd(), b"text", within(LATE), || false).unwrap_err();
        assert_eq!(stopped.written, 0);
        assert!(stopped.reason.to_string().starts_with("write failed: "), "{stopped:?}");
        let read_only = File::open("/dev/null").unwrap();
        assert!(write_all(read_only.as_fd(), b"text", within(LATE), || false).is_err());
    }

    #[test]
    fn a_file_is_written_at_its_position() {
        let path = std::env::temp_dir().join(format!("gmr-stderr-{}", std::process::id()));
        let mut file = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let bytes = vec![b'x'; 100_000];
        write_all(file.as_fd(), b"first ", within(LATE), || false).unwrap();
        write_all(file.as_fd(), &bytes, within(LATE), || false).unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("first xxx") && text.len() == 6 + bytes.len());
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_the_rest() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes = vec![b'x'; 1_000_000];
        let limits = Limits { timeout: LATE, until: Instant::now() + SOON };
        let stopped = write_all(writer.as_fd(), &bytes, limits, || false).unwrap_err();
        assert_eq!(stopped.reason, Reason::TooSlow);
        drop(writer);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), stopped.written);
    }

    #[test]
    fn after_a_loss_everything_is_dropped_until_the_next_report() {
        let mut sink = Stderr { closed: Some(Reason::ProgramsOwn), lost: 7, ..Stderr::new() };
        sink.write(b"abc");
        assert_eq!(sink.loss(), Some((10, Reason::ProgramsOwn.to_string())));
        sink.begin();
        assert_eq!(sink.loss(), None);
    }

    #[test]
    fn a_report_begins_on_a_line_of_its_own() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut sink = Stderr::new();
        for report in [&[&b"one\n"[..]][..], &[b"two ", b"is cut "], &[b"three\n", b"end\n"], &[b"four\n"]] {
            sink.begin();
            for piece in report {
                sink.write_to(writer.as_fd(), piece);
            }
        }
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "one\ntwo is cut \nthree\nend\nfour\n");
    }
}
