//! What the operator may say without touching the program: the `GMR_*` variables.
//!
//! They are read once, while gmr is installed: later the environment may be behind a lock that a stuck thread holds.

/// `GMR_SIGNAL`: which signal asks for reports, over what the program says.
pub(crate) fn signal() -> Option<String> {
    std::env::var("GMR_SIGNAL").ok().filter(|value| !value.trim().is_empty())
}
