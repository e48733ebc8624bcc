//! Platforms without reports of fatal signals.

use std::sync::Arc;

use crate::sinks::LogDir;
use crate::views::Format;

/// # Errors
/// Always.
pub(crate) fn install(_format: Format, _log_dir: Option<Arc<LogDir>>) -> Result<(), String> {
    Err("there are no reports of fatal signals on this platform".to_owned())
}

/// Does nothing.
pub(crate) fn uninstall() {}
