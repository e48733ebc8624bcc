//! Unsupported platforms: the functions that every platform needs. They return that nothing is
//! known.

/// Always 0: thread ids are not known.
pub(crate) fn current_tid() -> u32 {
    0
}

/// What only one copy of gmr in a process may do at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Report,
    Output,
}

/// A claim; never constructed on this platform.
#[derive(Debug)]
pub(crate) struct Claim;

/// Always `None`: copies of gmr do not wait for each other.
pub(crate) fn claim(
    _purpose: Purpose,
    _timeout: std::time::Duration,
    _meanwhile: impl FnMut(),
) -> Option<Claim> {
    None
}

/// A mark; never constructed on this platform.
#[derive(Debug)]
pub(crate) struct Marking;

/// Always `None`: the command `gmr` does not look for processes on this platform.
pub(crate) fn mark(_mark: &super::mark::Mark) -> Option<Marking> {
    None
}

/// Does nothing: thread ids are not known, and nothing else changes in a child.
pub(crate) fn in_children(_prepare: extern "C" fn(), _run: extern "C" fn()) {}

/// Always false: programs on this platform are not checked.
pub(crate) fn has_embassy() -> bool {
    false
}

/// Always false: filters of system calls are not known.
pub(crate) fn program_has_filters_of_its_own() -> bool {
    false
}

/// A CPU quota; never constructed on this platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttling {
    pub(crate) periods: u64,
    pub(crate) slowdown: u32,
}

impl Throttling {
    /// Always `None`.
    pub(crate) fn read() -> Option<Self> {
        None
    }
}

/// Runs `run` on this thread.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    run()
}

/// Does nothing: threads have no name of the kernel.
pub(crate) fn name_thread(_name: &[u8]) {}

/// Does nothing: the thread uses the program's descriptor table.
pub(crate) fn separate_files() {}

/// Always false, as above.
#[cfg(target_os = "linux")]
pub(crate) fn leave_files() -> bool {
    false
}

/// Always false, as above.
#[cfg(target_os = "linux")]
pub(crate) fn leave_or_close_files() -> bool {
    false
}

/// Nothing: the attributes of threads are not known.
#[derive(Debug)]
pub(crate) struct ProgramAttributes;

impl ProgramAttributes {
    pub(crate) fn read() -> Self {
        Self
    }

    pub(crate) fn adopt(&self) {}
}

/// Does nothing.
pub(crate) fn remember_mask() {}

/// The same bytes, for readers who may take their time.
pub(crate) fn lasting(bytes: Vec<u8>) -> super::Lasting {
    std::sync::Arc::new(bytes)
}

/// Sleeps for this long.
pub(crate) fn sleep(duration: std::time::Duration) {
    std::thread::sleep(duration);
}

/// Always true: limits are not known.
pub(crate) fn memory_is_left(_bytes: usize) -> bool {
    true
}

/// Always `None`: memory is not searched.
pub(crate) fn find_word(_word: u64) -> Option<u64> {
    None
}

/// Always `None`, as above.
pub(crate) fn word_at(_address: u64) -> Option<u64> {
    None
}

/// Always `None`: the sender is not known.
#[cfg(unix)]
pub(crate) fn sender(_info: &libc::siginfo_t) -> Option<(u32, u32)> {
    None
}

/// Always `None`: values of signals are not read.
#[cfg(target_os = "linux")]
pub(crate) fn queued_value(_info: &libc::siginfo_t) -> Option<u64> {
    None
}

/// Always fails: no process on this platform has the mark.
#[cfg(all(feature = "__cli", unix))]
pub(crate) fn queue(_pidfd: std::os::fd::BorrowedFd<'_>, _signal: i32, _value: u64) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// An empty list of modules.
#[derive(Debug, Default)]
pub(crate) struct Modules;

/// A module; never constructed on this platform.
#[derive(Debug, Clone, Default)]
pub(crate) struct Module {
    pub(crate) path: String,
    pub(crate) bias: u64,
    pub(crate) build_id: Option<String>,
}

impl Modules {
    /// The empty list.
    pub(crate) fn load() -> Self {
        Self
    }

    /// Always false: on this platform, an empty list is not a failure.
    pub(crate) fn are_unread(&self) -> bool {
        false
    }

    /// Always `None`.
    #[cfg(target_os = "linux")]
    pub(crate) fn named(&self, _path: &str) -> Option<&Module> {
        None
    }

    /// Always `None`.
    pub(crate) fn find(&self, _address: u64) -> Option<&Module> {
        None
    }
}

impl Module {
    /// Always false.
    pub(crate) fn covers(&self, _address: u64) -> bool {
        false
    }
}
