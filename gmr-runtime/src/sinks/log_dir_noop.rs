//! A directory of reports on platforms other than Linux: there is none.

use std::path::{Path, PathBuf};

/// Where it would be.
#[derive(Debug)]
pub(crate) struct LogDir(PathBuf);

impl LogDir {
    pub(crate) fn new(path: &Path, _service: &str, _extension: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// Keeps nothing.
    pub(crate) fn keeping(self, _files: Option<u32>, _bytes: Option<u64>) -> Self {
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// # Errors
    /// Always.
    pub(crate) fn check(&self) -> Result<(), String> {
        Err("this needs Linux".to_owned())
    }

    /// # Errors
    /// Always.
    pub(crate) fn create(&self) -> Result<LogFile, String> {
        Err("this needs Linux".to_owned())
    }
}

/// There are no values of this type.
pub(crate) enum LogFile {}

impl LogFile {
    pub(crate) fn write(&mut self, _bytes: &[u8]) -> Result<(), String> {
        match *self {}
    }

    pub(crate) fn finish(&mut self) -> Result<PathBuf, String> {
        match *self {}
    }

    pub(crate) fn remove_others(&self) {
        match *self {}
    }
}
