//! Platforms on which modules are not known: nothing can be resolved.

use super::Symbol;
use crate::capture::Address;
use crate::sys::Module;

/// Does nothing: without modules there is nothing to resolve.
pub(crate) fn resolve(_module: &Module, _addresses: &[Address], _each: impl FnMut(Address, Vec<Symbol>)) {}

/// Always 0: nothing is resolved.
#[cfg(feature = "__fuzz")]
pub(crate) fn resolve_bytes(_bytes: &[u8], _addresses: &[u64]) -> usize {
    0
}
