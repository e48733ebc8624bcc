//! What the operator may say without touching the program: the `GMR_*` variables.
//!
//! They are read once, while gmr is installed: later the environment may be behind a lock that a stuck thread holds.

use crate::error::Error;
use crate::views::{Detail, Format};

/// `GMR_SIGNAL`: which signal asks for reports, over what the program says.
pub(crate) fn signal() -> Option<String> {
    std::env::var("GMR_SIGNAL").ok().filter(|value| !value.trim().is_empty())
}

/// `GMR_FORMAT`: what reports on standard error are written as, over what the program says.
///
/// # Errors
/// There is no such format, or the program was built without it.
pub(crate) fn format() -> Result<Option<Format>, String> {
    match std::env::var("GMR_FORMAT") {
        Ok(name) if !name.trim().is_empty() => {
            name.parse().map(Some).map_err(|error: Error| format!("GMR_FORMAT: {error}"))
        }
        _ => Ok(None),
    }
}

/// `GMR_BACKTRACE=full`: shows the frames of the runtime as well. As with `RUST_BACKTRACE`, `1` is the short form.
///
/// # Errors
/// It says something else.
pub(crate) fn detail() -> Result<Detail, String> {
    let value = std::env::var("GMR_BACKTRACE").unwrap_or_default();
    match value.trim().to_ascii_lowercase().as_str() {
        "full" => Ok(Detail::Full),
        "" | "0" | "1" | "short" => Ok(Detail::Short),
        _ => Err(format!(
            "GMR_BACKTRACE: `{value}` is not known; `full` shows the frames of the runtime as well"
        )),
    }
}
