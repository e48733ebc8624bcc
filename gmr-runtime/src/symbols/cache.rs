//! What is known already: the symbols of addresses that earlier reports have resolved.
//!
//! A stuck process is asked more than once, and its stacks are much the same each time. Its symbols are a few hundred bytes an address; reading its debug
//! information anew costs tens of milliseconds and megabytes. Only gmr's own threads come here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Symbol;
use crate::capture::Address;
use crate::sys::Module;

/// Beyond this many addresses, all is forgotten. With what is inlined, one takes a kilobyte or two, so this is three megabytes; a thousand waiting threads have some hundred addresses,
/// and threads that compute bring a few new ones with each report.
const MOST: usize = 2_000;

/// By module, then by offset in it.
static KNOWN: Mutex<Option<HashMap<String, HashMap<u64, Symbols>>>> = Mutex::new(None);

/// The symbols of one address, innermost first.
pub(super) type Symbols = Arc<[Symbol]>;

/// The symbols of this address, if an earlier report has resolved it.
pub(super) fn get(address: Address, module: &Module) -> Option<Symbols> {
    let (module, offset) = place(address, module)?;
    lock().as_ref()?.get(module)?.get(&offset).cloned()
}

/// Remembers the symbols of an address.
pub(super) fn put(address: Address, module: &Module, symbols: &Symbols) {
    let Some((module, offset)) = place(address, module) else { return };
    let mut known = lock();
    let known = known.get_or_insert_default();
    if known.values().map(HashMap::len).sum::<usize>() >= MOST {
        known.clear();
    }
    // Not `entry`, which would copy the name for each address.
    if !known.contains_key(module) {
        known.insert(module.to_owned(), HashMap::new());
    }
    if let Some(offsets) = known.get_mut(module) {
        offsets.insert(offset, Arc::clone(symbols));
    }
}

/// Forgets everything, so that the next look is a first one.
#[cfg(feature = "__bench")]
pub(crate) fn forget() {
    *lock() = None;
}

/// A name that stands for the same code for as long as the process runs: the build-id; without one, the path, and that only for the module that this very code is
/// in, since any other may be unloaded and another loaded from the same path.
fn place(address: Address, module: &Module) -> Option<(&str, u64)> {
    let name = match &module.build_id {
        Some(build_id) => build_id,
        None if module.covers(place as *const () as u64) => &module.path,
        None => return None,
    };
    Some((name, address.lookup().wrapping_sub(module.bias)))
}

fn lock() -> MutexGuard<'static, Option<HashMap<String, HashMap<u64, Symbols>>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
