//! The names of users, from `/etc/passwd` only: the name service can query the network or load
//! libraries, and this process may be stuck in either.
//!
//! The file can be on a disk that does not respond. It is read on a thread of its own, and a
//! deadline bounds the wait for it.

use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::channel;
use super::own_threads;
use super::sorted_map::SortedMap;
use super::timed_mutex::TimedMutex;

const PASSWD: &str = "/etc/passwd";

/// How long the file may take. A heading waits for it as well.
const WITHIN: Duration = Duration::from_millis(200);

/// How much of the file is read: some hundred thousand users.
const MAX_FILE: u64 = 8 << 20;

/// Held by the thread that reads. While one is stuck, no second one is started.
static READING: TimedMutex = TimedMutex::new();

/// The names that were found. Locked for moments, by gmr's own threads.
static KNOWN: Mutex<SortedMap<u32, String>> = Mutex::new(SortedMap::new());

/// Looks up users, and reads the file at most once.
#[derive(Debug, Default)]
pub(crate) struct UserNames {
    /// The file, or why it could not be read.
    file: OnceCell<io::Result<String>>,
}

impl UserNames {
    /// The name of a user, if it is known in time.
    pub(crate) fn name(&self, uid: u32) -> Option<String> {
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known().get(&uid) {
            return Some(name.clone());
        }
        let file = self.file.get_or_init(|| read_apart(Path::new(PASSWD), WITHIN));
        let name = user_in(file.as_ref().ok()?, uid)?;
        known().insert(uid, name.clone());
        Some(name)
    }

    /// Why names are missing, if the file was needed and could not be read.
    pub(crate) fn error(&self) -> Option<&io::Error> {
        self.file.get()?.as_ref().err()
    }
}

fn read_apart(path: &'static Path, timeout: Duration) -> io::Result<String> {
    let reading = READING.lock_until(Instant::now());
    let reading = reading.ok_or_else(|| io::Error::other("an earlier attempt has not ended"))?;
    let (sender, receiver) = channel::channel();
    let read_there = move || {
        let _reading = reading;
        // This fails if the receiver has given up.
        let _ = sender.send(read(path));
    };
    own_threads::spawn_or_run("gmr users", || (), read_there)?;
    receiver.recv_timeout(timeout).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The text of a regular file. A FIFO in its place would wait for a writer. Where there is no file,
/// as in many containers, users have no names.
fn read(path: &Path) -> io::Result<String> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn user_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged_text;

    proptest! {
        #[test]
        fn a_damaged_list_of_users_is_parsed_without_panics(
            text in damaged_text("root:x:0:0:root:/root:/bin/sh\nshop:x:1000:1000::/:\n"),
        ) {
            prop_assert!(user_in(&text, 1000).is_none_or(|name| text.contains(&name)));
        }
    }

    #[test]
    fn users_come_from_the_passwd_file() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nshop:x:1000:1000::/:\n";
        assert_eq!(user_in(passwd, 1000).as_deref(), Some("shop"));
        assert_eq!(user_in(passwd, 7), None);
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("gmr-users-{}", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        let path: &'static Path = Box::leak(path.into_boxed_path());
        let since = Instant::now();
        let text = read_apart(path, Duration::from_mins(1));
        std::fs::remove_file(path).unwrap();
        assert_eq!(text.unwrap_err().to_string(), "it is not a regular file");
        assert!(since.elapsed() < Duration::from_secs(30), "it was waited for");
        // The thread that read it has ended, or is about to.
        assert!(READING.lock_until(Instant::now() + Duration::from_mins(1)).is_some());
    }
}
