//! A file that is written inside the handler of a fatal signal: without allocating, and without
//! waiting for the disk. What the kernel has taken stays when the process ends.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, openat, openat2, renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::LogDir;
use crate::sys::short::Short;

/// How many names are tried.
const ATTEMPTS: u64 = 16;

/// The longest name: 100 bytes of the service's, and what follows them.
type Name = Short<255>;

impl LogDir {
    /// Writes a file of this extension, and returns its name. The file is not there before it is
    /// whole.
    ///
    /// # Errors
    /// What could not be done, and why.
    pub(crate) fn write_in_handler(
        &self,
        bytes: &[u8],
        extension: &str,
    ) -> Result<Name, (&'static str, Errno)> {
        let mut path = [0; 4096];
        let given = self.path.as_os_str().as_bytes();
        path.get_mut(..given.len()).ok_or(("open", Errno::NAMETOOLONG))?.copy_from_slice(given);
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| ("open", Errno::NAMETOOLONG))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(|error| ("open", error))?;
        let mut time = Short::<32>::default();
        let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
        let _ = write!(time, "{}", humantime::format_rfc3339_seconds(now));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut name = Name::default();
            self.names.write_name(&mut name, time.as_str(), number, extension);
            let mut temporary = Name::default();
            let _ = write!(temporary, ".{}.tmp\0", name.as_str());
            let _ = name.write_str("\0");
            let (temporary, whole) = (c_string(&temporary), c_string(&name));
            let file = match openat(&directory, temporary, flags, Mode::RUSR | Mode::WUSR) {
                Err(Errno::EXIST) => continue,
                file => file.map_err(|error| ("create a file in", error))?,
            };
            let written =
                write_all(&file, bytes).map_err(|error| ("write a file in", error)).and_then(|()| {
                    let renamed =
                        renameat_with(&directory, temporary, &directory, whole, RenameFlags::NOREPLACE);
                    renamed.map_err(|error| ("name a file in", error))
                });
            match written {
                Ok(()) => return Ok(name),
                Err((what, error)) => {
                    let _ = unlinkat(&directory, temporary, AtFlags::empty());
                    if error != Errno::EXIST {
                        return Err((what, error));
                    }
                }
            }
        }
        Err(("find a name in", Errno::EXIST))
    }
}

fn write_all(file: impl std::os::fd::AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn c_string<const N: usize>(text: &Short<N>) -> &CStr {
    CStr::from_bytes_until_nul(text.as_str().as_bytes()).unwrap_or_default()
}
