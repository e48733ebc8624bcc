//! Lines of source files, but only of files that are the ones compiled, as far as that can be
//! known, and that anybody on the machine may read. A file is read at most once per report.

use crate::sys::sorted_map::SortedMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::md5::md5;

/// No source file that a person wrote is larger.
const MAX_SIZE: u64 = 4 << 20;

/// What is known of a file that was compiled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compiled {
    /// Its MD5, which DWARF 5 can have.
    pub(super) md5: Option<[u8; 16]>,
    /// When the program's file was last changed: a source file that was changed later is another
    /// one.
    pub(super) not_after: Option<SystemTime>,
}

/// The source files that have been read, by path; `None` for one that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: SortedMap<String, Option<Source>>,
}

#[derive(Debug)]
struct Source {
    text: String,
    modified: Option<SystemTime>,
    md5: Option<[u8; 16]>,
}

impl Sources {
    /// The text of a line (counted from 1), trimmed. Secrets in the source are masked like any
    /// others.
    pub(super) fn line(&mut self, file: &str, line: u32, compiled: Compiled) -> Option<String> {
        if self.files.get(file).is_none() {
            self.files.insert(file.to_owned(), Source::read(Path::new(file)));
        }
        let source = self.files.get_mut(file)?.as_mut()?;
        if !source.is(compiled) {
            return None;
        }
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let line = source.text.lines().nth(index)?.trim();
        (!line.is_empty()).then(|| gmr_mask::text(line).into_owned())
    }
}

impl Source {
    fn read(path: &Path) -> Option<Self> {
        let file = open(path).ok()?;
        let metadata = file.metadata().ok()?;
        // A program may run as a user who can read more than those who read its reports.
        let for_all = metadata.permissions().mode() & 0o004 != 0;
        if !metadata.is_file() || !for_all || metadata.len() > MAX_SIZE {
            return None;
        }
        let mut text = String::new();
        file.take(MAX_SIZE).read_to_string(&mut text).ok()?;
        Some(Self { text, modified: metadata.modified().ok(), md5: None })
    }

    /// Whether this is the file that was compiled.
    fn is(&mut self, compiled: Compiled) -> bool {
        match compiled.md5 {
            Some(expected) => *self.md5.get_or_insert_with(|| md5(self.text.as_bytes())) == expected,
            None => self.modified.zip(compiled.not_after).is_some_and(|(modified, limit)| modified <= limit),
        }
    }
}

/// Opens a file without following a symbolic link, which could lead to a private file, and without
/// blocking, as a named pipe would.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Before Linux 5.6, and in containers that do not know this call.
        Err(Errno::NOSYS | Errno::PERM) if std::fs::canonicalize(path)? == path => {
            Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
        }
        opened => Ok(opened?.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    const NOW: Compiled = Compiled { md5: None, not_after: None };

    fn by_time(not_after: SystemTime) -> Compiled {
        Compiled { not_after: Some(not_after), ..NOW }
    }

    /// After all files of a test were written.
    fn later() -> Compiled {
        by_time(SystemTime::now() + Duration::from_mins(1))
    }

    fn first_line(path: &Path, compiled: Compiled) -> Option<String> {
        Sources::default().line(path.to_str().unwrap(), 1, compiled)
    }

    /// A directory for one test, removed at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().canonicalize().unwrap();
            let path = path.join(format!("gmr-source-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_line_is_found_trimmed_and_masked() {
        let directory = Directory::new("line");
        let path = directory.file("shop.rs", "  connect()  \n\nlet password = \"hunter2hunter2\";\n", 0o644);
        let mut sources = Sources::default();
        let later = later();
        let mut line = |number| sources.line(path.to_str().unwrap(), number, later);
        assert_eq!(line(1).unwrap(), "connect()");
        assert_eq!(line(2), None, "an empty line");
        assert!(!line(3).unwrap().contains("hunter2"), "{:?}", line(3));
        assert_eq!(line(0), None);
        assert_eq!(line(1_000_000), None);
    }

    #[test]
    fn a_file_that_was_changed_after_it_was_compiled_is_not_shown() {
        let directory = Directory::new("changed");
        let path = directory.file("shop.rs", "pay()", 0o644);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(first_line(&path, by_time(modified)).unwrap(), "pay()");
        assert_eq!(first_line(&path, by_time(modified - Duration::from_nanos(1))), None);
        assert_eq!(first_line(&path, NOW), None, "nothing is known of it");
        // A checksum takes precedence over times.
        let sum = |text: &str| Compiled { md5: Some(md5(text.as_bytes())), not_after: Some(modified) };
        assert_eq!(first_line(&path, Compiled { not_after: None, ..sum("pay()") }).unwrap(), "pay()");
        assert_eq!(first_line(&path, sum("pay(1)")), None);
    }

    #[test]
    fn a_file_that_is_not_for_all_is_not_shown() {
        let directory = Directory::new("private");
        let later = later();
        let line = |mode| first_line(&directory.file("shop.rs", "pay()", mode), later);
        assert_eq!(line(0o644).unwrap(), "pay()");
        assert_eq!(line(0o600), None);
        assert_eq!(line(0o640), None);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let directory = Directory::new("link");
        let later = later();
        fs::create_dir(directory.0.join("real")).unwrap();
        directory.file("real/shop.rs", "pay()", 0o644);
        symlink(directory.0.join("real"), directory.0.join("other")).unwrap();
        symlink(directory.0.join("real/shop.rs"), directory.0.join("link.rs")).unwrap();
        assert_eq!(first_line(&directory.0.join("real/shop.rs"), later).unwrap(), "pay()");
        assert_eq!(first_line(&directory.0.join("other/shop.rs"), later), None);
        assert_eq!(first_line(&directory.0.join("link.rs"), later), None);
    }

    #[test]
    fn what_is_not_a_regular_file_is_not_shown() {
        let directory = Directory::new("pipe");
        let later = later();
        assert_eq!(first_line(Path::new("/nonexistent/main.rs"), later), None);
        assert_eq!(first_line(Path::new("/dev/zero"), later), None);
        assert_eq!(first_line(&directory.0, later), None);
        let pipe = directory.0.join("pipe.rs");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o644)).unwrap();
        assert_eq!(first_line(&pipe, later), None, "and it does not wait for a writer");
    }
}
