//! A file whose touch requests a report: for operators who can write to a volume of the process,
//! and cannot send it a signal.
//!
//! The file is not opened, and need not exist. Changes are noticed in the directory that it is in
//! (inotify), and where that is not to be had, by looking once a second.

use std::fs::metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Event, Outbox, Request};
use crate::model::Trigger;
use crate::sys;

/// How long it takes at most until a change is noticed without inotify. This is also how often the
/// directory is looked for: it may be replaced by another one.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait between two looks at the file. Other files in its directory may change all the
/// time. Programs touch a file in several steps, which are one request.
const BETWEEN: Duration = Duration::from_millis(100);

/// What tells a touched file from an untouched one; `None` if there is none.
type State = Option<(Option<SystemTime>, u64)>;

fn state(path: &Path) -> State {
    let metadata = metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some((metadata.modified().ok(), inode))
}

/// Requests a report whenever the file is touched, made or replaced, until the reporter ends. The
/// calling thread must do nothing else. `ready` is called when the state of the file is known from
/// which on changes count.
pub(crate) fn watch(path: &Path, outbox: &Outbox, ready: impl FnOnce()) {
    let watch = Watch::new(path);
    let mut last = state(path);
    ready();
    while outbox.is_open() {
        watch.renew();
        let now = state(path);
        let is_touched = now.is_some() && now != last;
        last = now;
        sys::sleep(BETWEEN);
        if is_touched {
            // What has changed meanwhile belongs to the same touch.
            last = state(path);
            let trigger = Trigger::File { path: path.to_string_lossy().into_owned(), coalesced: 0 };
            if !outbox.send(Request::Event(Event { trigger, written: Vec::new(), thread: None, task: None }))
            {
                return;
            }
        }
        watch.wait();
    }
}

/// Waits for changes in a directory.
struct Watch {
    directory: PathBuf,
    #[cfg(target_os = "linux")]
    inotify: Option<std::os::fd::OwnedFd>,
}

#[cfg(not(target_os = "linux"))]
impl Watch {
    fn new(path: &Path) -> Self {
        Self { directory: path.to_owned() }
    }

    #[allow(clippy::unused_self, reason = "as on Linux")]
    fn renew(&self) {}

    fn wait(&self) {
        let _ = &self.directory;
        sys::sleep(PAUSE);
    }
}

#[cfg(target_os = "linux")]
impl Watch {
    fn new(path: &Path) -> Self {
        use rustix::fs::inotify::{CreateFlags, init};
        // In the program's table, the program might close it, and its next file get the number.
        let is_separate = sys::leave_files();
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = if is_separate { init(flags).ok() } else { None };
        Self { directory: path.parent().unwrap_or(path).to_owned(), inotify }
    }

    /// Watches the directory that has the path now. If it is the same as before, this changes
    /// nothing.
    fn renew(&self) {
        use rustix::fs::inotify::{WatchFlags, add_watch};
        let Some(inotify) = &self.inotify else { return };
        let changes =
            WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        // It may not exist yet.
        let _ = add_watch(inotify, &self.directory, changes | WatchFlags::ONLYDIR);
    }

    fn wait(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(inotify) = &self.inotify else { return sys::sleep(PAUSE) };
        let timeout = Timespec { tv_sec: PAUSE.as_secs().cast_signed(), tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&timeout));
        // The file is looked at in any case. Other changes in the directory do not matter.
        let mut events = [0; 4096];
        while rustix::io::read(inotify, &mut events).is_ok_and(|length| length > 0) {}
    }
}
