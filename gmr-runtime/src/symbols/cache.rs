//! The cache of symbols that earlier reports have resolved.
//!
//! Several reports are usually requested from a stuck process, and its stacks hardly change in
//! between. The symbols take a few hundred bytes for each address; reading the debug information
//! again takes tens of milliseconds and megabytes. Only gmr's own threads lock it.

use crate::sys::hash::NumberMap;
use crate::sys::sorted_map::SortedMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Symbol;
use crate::capture::Address;
use crate::sys::Module;

/// The cache is cleared when it has this many addresses. With inlined functions, one takes a
/// kilobyte or two, so this is three megabytes. A thousand waiting threads have about a hundred
/// addresses, and running threads add a few with each report.
const CAPACITY: usize = 2_000;

/// By module, then by offset in it.
static CACHE: Mutex<Cache> = Mutex::new(SortedMap::new());

type Cache = SortedMap<String, NumberMap<Symbols>>;

/// What is missing of modules, by the same key.
static NOTES: Mutex<SortedMap<String, String>> = Mutex::new(SortedMap::new());

/// The symbols of one address, innermost first.
pub(super) type Symbols = Arc<[Symbol]>;

/// The symbols of this address, if an earlier report has resolved it.
pub(super) fn get(address: Address, module: &Module) -> Option<Symbols> {
    let (module, offset) = (key(module)?, address.lookup().wrapping_sub(module.bias));
    lock().get(module)?.get(offset).cloned()
}

/// Remembers the symbols of an address.
pub(super) fn put(address: Address, module: &Module, symbols: &Symbols) {
    let offset = address.lookup().wrapping_sub(module.bias);
    let Some(module) = key(module) else { return };
    let mut cache = lock();
    if cache.iter().map(|(_, offsets)| offsets.values().len()).sum::<usize>() >= CAPACITY {
        *cache = Cache::new();
    }
    // Not `entry`, which would copy the name of the module for each address.
    if cache.get(module).is_none() {
        cache.insert(module.to_owned(), NumberMap::default());
    }
    if let Some(offsets) = cache.get_mut(module) {
        offsets.insert(offset, Arc::clone(symbols));
    }
}

/// What is missing of this module's symbols, as an earlier report has found.
pub(super) fn note(module: &Module) -> Option<String> {
    notes().get(key(module)?).cloned()
}

/// Remembers what is missing of this module's symbols.
pub(super) fn put_note(module: &Module, note: &str) {
    if let Some(module) = key(module) {
        notes().insert(module.to_owned(), note.to_owned());
    }
}

/// Clears the cache, so that the next symbolization is a first one.
#[cfg(feature = "__bench")]
pub(crate) fn forget() {
    *lock() = Cache::new();
    *notes() = SortedMap::new();
}

/// A key that identifies the same file for as long as the process runs: the build-id. Without one
/// it is the path, but only for the module that contains gmr: any other module can be unloaded, and
/// another one loaded from the same path.
fn key(module: &Module) -> Option<&str> {
    match &module.build_id {
        Some(build_id) => Some(build_id),
        None if module.covers(key as *const () as u64) => Some(&module.path),
        None => None,
    }
}

fn lock() -> MutexGuard<'static, Cache> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn notes() -> MutexGuard<'static, SortedMap<String, String>> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}
