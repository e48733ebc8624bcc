//! Where the reports of an installation go: what the program and the operator say, and whether it
//! can be done. It writes no report.

use std::path::PathBuf;

use super::warning::{operators, warn};
use crate::env;
use crate::reporter::{Files, Target};
use crate::sinks::LogDir;
use crate::views::Format;

/// What the program says.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) dir: Option<PathBuf>,
    pub(super) to_stderr: bool,
    /// How many files are kept; 0 for any number.
    pub(super) max_files: Option<u32>,
    /// How many bytes they may have together; 0 for any number.
    pub(super) max_bytes: Option<u64>,
    pub(super) gzip: bool,
}

impl Logs {
    /// Where reports go. Warns if they cannot be written to the directory now. Files are named
    /// after the product, or else after the executable.
    pub(super) fn target(self, product: Option<&str>, format: Format) -> Target {
        let also_stderr = operators(env::log_to_stderr()).unwrap_or(self.to_stderr);
        let max_files = operators(env::log_max_files()).or(self.max_files);
        let max_bytes = operators(env::log_max_bytes()).or(self.max_bytes);
        let gzip = operators(env::log_gzip()).unwrap_or(self.gzip);
        let files = env::log_dir(self.dir).map(|path| {
            let executable = || std::env::current_exe().ok()?.file_name()?.to_str().map(str::to_owned);
            let service = product.map(str::to_owned).or_else(executable).unwrap_or_default();
            let dir = LogDir::new(&path, &service, format.extension());
            Files::new(dir.keeping(max_files, max_bytes).compressing(gzip))
        });
        if let Some(files) = &files
            && let Err(reason) = files.check()
        {
            let path = files.path();
            warn(&format!("reports cannot be written to {path}, and go to standard error: {reason}"));
        }
        Target { files, also_stderr }
    }
}
