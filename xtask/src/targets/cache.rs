//! Directories that are filled once and kept, in the user's cache: another clone of the repository
//! finds them. It knows nothing about their contents.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::cargo::root;
use crate::process::on;

/// Increase this with each change to the contents, so that directories that an earlier version of
/// this program has filled are not used.
const VERSION: u32 = 1;

/// Written last: a directory without it is left over from an interrupted run.
const MARKER: &str = "complete";

/// The directory of this name, which need not exist.
pub(crate) fn path(name: &str) -> PathBuf {
    parent().join(name)
}

/// Whether the directory of this name has been filled.
pub(crate) fn is_filled(name: &str) -> bool {
    path(name).join(MARKER).is_file()
}

/// Fills the directory of this name, unless it has been filled.
pub(crate) fn fill(name: &str, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    fill_in(&parent(), name, fill)
}

fn parent() -> PathBuf {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    cache.unwrap_or_else(|| root().join("target")).join(format!("gmr-targets-{VERSION}"))
}

fn fill_in(parent: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    fs::create_dir_all(parent).map_err(on("create", parent))?;
    // For a second run at the same time, perhaps from another clone.
    let lock = parent.join(format!("{name}.lock"));
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(on("lock", &lock))?;
    let directory = parent.join(name);
    let marker = directory.join(MARKER);
    if !marker.exists() {
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(on("remove", &directory))?;
        }
        fs::create_dir(&directory).map_err(on("create", &directory))?;
        fill(&directory)?;
        fs::write(&marker, "").map_err(on("write", &marker))?;
    }
    drop(lock);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_run_has_left_is_removed() {
        let parent = env::temp_dir().join(format!("gmr-cache-{}", std::process::id()));
        let write = |directory: &Path, file: &str| fs::write(directory.join(file), "").unwrap();
        let interrupted = fill_in(&parent, "tool", |directory| {
            write(directory, "half");
            Err("no network".to_owned())
        });
        assert_eq!(interrupted, Err("no network".to_owned()));
        for _ in 0..2 {
            let mut files = Vec::new();
            fill_in(&parent, "tool", |directory| {
                files = fs::read_dir(directory).unwrap().collect();
                write(directory, "whole");
                Ok(())
            })
            .unwrap();
            assert!(files.is_empty(), "{files:?}");
        }
        // The second run has not filled it again.
        fill_in(&parent, "tool", |_| panic!("it is complete")).unwrap();
        assert!(parent.join("tool/whole").exists());
        fs::remove_dir_all(parent).unwrap();
    }
}
