//! What the operator may say without touching the program: the `GMR_*` variables.
//!
//! They are read once, while gmr is installed: later the environment may be behind a lock that a stuck thread holds.

use crate::views::text::Detail;

/// `GMR_SIGNAL`: which signal asks for reports, over what the program says.
pub(crate) fn signal() -> Option<String> {
    std::env::var("GMR_SIGNAL").ok().filter(|value| !value.trim().is_empty())
}

/// `GMR_BACKTRACE=full`: shows the frames of the runtime as well.
pub(crate) fn detail() -> Detail {
    match std::env::var("GMR_BACKTRACE").as_deref() {
        Ok("full") => Detail::Full,
        _ => Detail::Short,
    }
}
