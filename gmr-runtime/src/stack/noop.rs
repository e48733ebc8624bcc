//! Platforms on which gmr cannot take stacks: the same functions, which say so.

use std::sync::Arc;

use super::{Address, Symbol, Task, Trace};

/// Threads can be listed on Linux only.
pub(crate) fn tasks() -> std::io::Result<Vec<Task>> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "that can be done on Linux for x86_64 and aarch64 only",
    ))
}

/// Nothing to prepare.
pub(crate) fn prepare(_avoid: Option<i32>) -> std::io::Result<()> {
    Ok(())
}

/// Signals are left as they are.
pub(crate) fn shield_thread(_open: Option<i32>) {}

/// Not known here.
pub(crate) fn current_tid() -> u32 {
    0
}

/// Runs it.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    run()
}

/// A thread of which nothing is known but its id.
pub(crate) fn task(tid: u32) -> Task {
    Task { tid, ..Task::default() }
}

/// Every thread's stack is missing, for the same reason.
pub(crate) fn trace(tasks: &[Task], _modules: &Modules) -> Vec<Trace> {
    let missing = Trace {
        frames: Arc::default(),
        incomplete: Some("stacks can be taken on Linux for x86_64 and aarch64 only".into()),
    };
    vec![missing; tasks.len()]
}

/// Not known here.
#[cfg(unix)]
pub(crate) fn sender(_info: &libc::siginfo_t) -> Option<(u32, u32)> {
    None
}

/// No modules are known.
#[derive(Debug, Default)]
pub(crate) struct Modules;

/// Never made on this platform.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub(crate) path: String,
    pub(crate) bias: u64,
    pub(crate) build_id: Option<String>,
}

impl Modules {
    /// None.
    pub(crate) fn load() -> Self {
        Self
    }

    /// None.
    #[cfg(target_os = "linux")]
    pub(crate) fn named(&self, _path: &str) -> Option<&Module> {
        None
    }

    /// None.
    pub(crate) fn find(&self, _address: u64) -> Option<&Module> {
        None
    }
}

impl Module {
    /// Never.
    pub(crate) fn covers(&self, _address: u64) -> bool {
        false
    }
}

/// Without modules there is nothing to resolve.
pub(crate) fn resolve(_module: &Module, _addresses: &[Address], _each: impl FnMut(Address, Vec<Symbol>)) {}
