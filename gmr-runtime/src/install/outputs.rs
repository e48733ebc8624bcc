//! The settings of where reports go, and of files that request them. They only keep what they are
//! given.

use std::path::PathBuf;

use super::Builder;

impl Builder {
    /// A directory for reports: each that a signal requests becomes a file there, instead of going to
    /// standard error, which gets one line that says where the file is. `GMR_LOG_DIR` overrides it;
    /// `off` switches it off.
    ///
    /// The names are `SERVICE_gurumeditation_YYYYMMDDThhmmssZ_PID_NUMBER.EXTENSION`, where `SERVICE` is
    /// the [product](Self::product), and only the user of the process can read the files. A file gets
    /// its name when it is whole, and replaces no other one. The last 100 of a service are kept, and
    /// at most 100 MiB. The directory must exist. No part of its path may be a symbolic link. If a
    /// file cannot be written, the report goes to standard error, after the reason.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().product("shop").log_dir("/var/log/shop");
    /// ```
    #[must_use]
    pub fn log_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.log_dir = Some(directory.into());
        self
    }

    /// Whether reports also go to standard error, if there is [a directory](Self::log_dir) for them.
    /// The default is `false`; `GMR_LOG_TO_STDERR` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_dir("/var/log/shop").log_to_stderr(true);
    /// ```
    #[must_use]
    pub fn log_to_stderr(mut self, also: bool) -> Self {
        self.log_to_stderr = also;
        self
    }
}
