//! Where the reports of an installation go: what the program and the operator say, and whether it
//! can be done. It writes no report.

use std::path::PathBuf;

use super::warning::{operators, warn};
use crate::env;
use crate::reporter::{Destination, LogTracing, Target};
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
    pub(super) journal: bool,
    pub(super) tracing: LogTracing,
}

impl Logs {
    /// Where reports go. Warns if they cannot be written there now. Files and entries are named
    /// after the product, or else after the executable.
    pub(super) fn target(self, product: Option<&str>, format: Format) -> Target {
        let also_stderr = operators(env::log_to_stderr()).unwrap_or(self.to_stderr);
        let max_files = operators(env::log_max_files()).or(self.max_files);
        let max_bytes = operators(env::log_max_bytes()).or(self.max_bytes);
        let gzip = operators(env::log_gzip()).unwrap_or(self.gzip);
        let service = || {
            let executable = || std::env::current_exe().ok()?.file_name()?.to_str().map(str::to_owned);
            product.map(str::to_owned).or_else(executable).unwrap_or_default()
        };
        let dir = env::log_dir(self.dir).map(|path| {
            let dir = LogDir::new(&path, &service(), format.extension());
            Destination::dir(dir.keeping(max_files, max_bytes).compressing(gzip))
        });
        let has_journal = operators(env::log_journal()).unwrap_or(self.journal);
        let journal = has_journal.then(|| Destination::journal(service(), format));
        let tracing = operators(env::log_tracing()).unwrap_or(self.tracing);
        let destinations = dir.into_iter().chain(journal).chain(subscriber(tracing));
        let destinations: Vec<Destination> = destinations.collect();
        for destination in &destinations {
            if let Err(reason) = destination.check() {
                warn(&format!(
                    "reports cannot be written to {destination}, and go to standard error: {reason}"
                ));
            }
        }
        Target { destinations, also_stderr }
    }
}

#[cfg(feature = "tracing")]
fn subscriber(what: LogTracing) -> Option<Destination> {
    (what != LogTracing::Off).then(|| Destination::subscriber(what))
}

/// Nothing asks for what the build cannot do.
#[cfg(not(feature = "tracing"))]
fn subscriber(_: LogTracing) -> Option<Destination> {
    None
}
