//! Platforms of which gmr knows nothing: the same functions, which say so.

/// Not known here.
pub(crate) fn current_tid() -> u32 {
    0
}

/// Runs it.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    run()
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
