//! Platforms on which gmr cannot take stacks: the same functions, which say so.

use std::sync::Arc;

use super::Trace;
use crate::sys::Modules;
use crate::threads::ThreadInfo;

/// Nothing to prepare.
pub(crate) fn prepare(_avoid: Option<i32>) -> std::io::Result<()> {
    Ok(())
}

/// Signals are left as they are.
pub(crate) fn shield_thread(_open: Option<i32>) {}

/// None is needed.
pub(crate) fn signal() -> Option<i32> {
    None
}

/// Every thread's stack is missing, for the same reason.
pub(crate) fn trace(threads: &[ThreadInfo], _modules: &Modules) -> Vec<Trace> {
    let missing = Trace {
        frames: Arc::default(),
        incomplete: Some("stacks can be taken on Linux for x86_64 and aarch64 only".into()),
    };
    vec![missing; threads.len()]
}
