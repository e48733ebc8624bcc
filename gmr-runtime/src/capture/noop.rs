//! Platforms on which gmr cannot capture stacks: the same functions, which report this.

use super::{Address, Trace};
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
    Trace { incomplete: Some(LINUX_ONLY.to_owned()), ..Trace::default() }
}

const LINUX_ONLY: &str = "stacks can be captured on Linux (x86_64, aarch64) only";

/// Nothing: no stack is read.
#[derive(Debug)]
pub(crate) struct Root;

impl Root {
    pub(crate) fn new() -> Self {
        Self
    }
}

/// Nothing: registers are not read.
pub(crate) struct OwnRegisters;

impl OwnRegisters {
    pub(crate) fn here() -> Self {
        Self
    }
}

/// Never made: a thread's own stack is not read.
pub(crate) enum OwnStack<'a> {
    #[allow(dead_code, reason = "it is never made")]
    Never(std::convert::Infallible, std::marker::PhantomData<&'a ()>),
}

impl OwnStack<'_> {
    /// Always the reason why it can't be read.
    pub(crate) fn new(_registers: &OwnRegisters, _root: &Root) -> Result<Self, &'static str> {
        Err(LINUX_ONLY)
    }

    pub(crate) fn copy(&self) -> StackCopy {
        match *self {
            Self::Never(never, _) => match never {},
        }
    }

    pub(crate) fn len(&self) -> usize {
        match *self {
            Self::Never(never, _) => match never {},
        }
    }
}

/// Never constructed, like [`OwnStack`]. The field is private, so that the compiler does not warn
/// about code elsewhere that would use a copy.
pub(crate) struct StackCopy(std::convert::Infallible);

impl StackCopy {
    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }
}

/// Unwinds nothing: no copies are made.
pub(crate) struct CopyUnwinder;

impl CopyUnwinder {
    pub(crate) fn new(_modules: &Modules) -> Self {
        Self
    }

    pub(crate) fn unwind(&mut self, copy: &StackCopy) -> Trace {
        match copy.0 {}
    }
}

/// Has no shapes: no copy is made.
pub(crate) struct Shapes<T>(std::marker::PhantomData<T>);

impl<T> Shapes<T> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }

    pub(crate) fn find<S>(&self, _stack: &S) -> Option<&T> {
        None
    }

    pub(crate) fn add(&self, copy: &StackCopy, _frames: &[Address], _of_shape: T) {
        match copy.0 {}
    }
}

/// Always 0: nothing is unwound.
#[cfg(feature = "__fuzz")]
pub(crate) fn unwind_bytes(_image: &[u8], _code: &[u64], _registers: [u64; 3], _stack: &[u64]) -> usize {
    0
}
