//! Platforms on which no module is known: there is nothing to resolve.

use super::Symbol;
use crate::capture::Address;
use crate::sys::Module;

/// Without modules there is nothing to resolve.
pub(crate) fn resolve(_module: &Module, _addresses: &[Address], _each: impl FnMut(Address, Vec<Symbol>)) {}
