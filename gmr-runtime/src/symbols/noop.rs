//! Platforms on which modules are not known: nothing can be resolved.

use std::convert::Infallible;

use super::Symbol;
use super::split_files::SplitFiles;
use crate::capture::Address;
use crate::sys::Module;
use crate::sys::sorted_map::SortedMap;

/// The files of a module; never opened on this platform.
pub(crate) struct ModuleFiles(Infallible);

impl ModuleFiles {
    /// Always an error, without a reason to show.
    pub(crate) fn open(_module: &Module) -> Result<Self, String> {
        Err(String::new())
    }

    /// Never called.
    pub(crate) fn names(&self, _module: &Module, _addresses: &[Address]) -> SortedMap<u64, String> {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn has_lines(&self, _module: &Module) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn resolve(
        &self,
        _module: &Module,
        _elsewhere: &SplitFiles,
        _addresses: &[Address],
        _names: &SortedMap<u64, String>,
        _each: &(impl Fn(Address, Vec<Symbol>) + Sync),
    ) -> Option<String> {
        match self.0 {}
    }
}

/// Always 0: nothing is resolved.
#[cfg(feature = "__fuzz")]
pub(crate) fn resolve_bytes(_bytes: &[u8], _addresses: &[u64]) -> usize {
    0
}
