//! Platforms on which gmr cannot capture stacks: the same functions, which report this.

use super::Trace;
use crate::sys::Modules;
use crate::threads::ThreadInfo;

/// Does nothing: there is nothing to prepare.
pub(crate) fn prepare(_avoid: Option<i32>) -> std::io::Result<()> {
    Ok(())
}

/// Does nothing: signal masks stay as they are.
pub(crate) fn shield_thread(_open: Option<i32>) {}

/// Always `None`: there is no capture signal.
pub(crate) fn signal() -> Option<i32> {
    None
}

/// A trace without frames for each thread, with the reason.
pub(crate) fn trace_all(threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
    threads.iter().map(|thread| trace(thread, modules)).collect()
}

/// A trace without frames, with the reason.
pub(crate) fn trace(_thread: &ThreadInfo, _modules: &Modules) -> Trace {
    let reason = "stacks can be captured on Linux (x86_64, aarch64) only";
    Trace { incomplete: Some(reason.to_owned()), ..Trace::default() }
}

/// Always 0: nothing is unwound.
#[cfg(feature = "__fuzz")]
pub(crate) fn unwind_bytes(_image: &[u8], _code: &[u64], _registers: [u64; 3], _stack: &[u64]) -> usize {
    0
}
