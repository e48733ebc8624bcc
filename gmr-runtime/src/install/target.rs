//! Where the reports of an installation go: what the program and the operator say, and whether it can
//! be done. It writes no report.

use std::path::PathBuf;

use super::warning::{operators, warn};
use crate::env;
use crate::reporter::{Files, Target};
use crate::sinks::LogDir;
use crate::views::Format;

/// Where reports go. Warns if they cannot be written to the directory now.
///
/// `log_dir` and `also_stderr` are what the program says. Files are named after the product, or else
/// after the executable.
pub(super) fn find(
    log_dir: Option<PathBuf>,
    also_stderr: bool,
    product: Option<&str>,
    format: Format,
) -> Target {
    let also_stderr = operators(env::log_to_stderr()).unwrap_or(also_stderr);
    let files = env::log_dir(log_dir).map(|path| {
        let executable = || std::env::current_exe().ok()?.file_name()?.to_str().map(str::to_owned);
        let service = product.map(str::to_owned).or_else(executable).unwrap_or_default();
        Files::new(LogDir::new(&path, &service, format.extension()))
    });
    if let Some(files) = &files
        && let Err(reason) = files.check()
    {
        let path = files.path();
        warn(&format!("reports cannot be written to {path}, and go to standard error: {reason}"));
    }
    Target { files, also_stderr }
}
