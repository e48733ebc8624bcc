//! From addresses to functions, files and lines.
//!
//! Each distinct address is resolved once for all stacks, and once for all reports. Symbolizing
//! reads files, which may be on a disk that does not answer, so it runs on a thread of its own and
//! its caller waits until a deadline. Addresses that are not resolved by then are shown as module
//! and offset; you can resolve those later, on another machine.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::cache::{self, Symbols};
use super::source::Sources;
use super::{Symbol, Symbolized, platform};
use crate::capture::{Address, Trace};
use crate::model::{Frame, Stack};
use crate::sys::timed_mutex::TimedMutex;
use crate::sys::{Module, Modules, own_threads};

/// How long to wait for symbols. Reading the debug information of a large binary for the first time
/// is slow. Without symbols the report still has its addresses. The deadline of the Threads section
/// is five seconds longer than this, because on an overloaded machine the steps before are slow
/// too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4);

/// The frame between a signal handler and the code that it interrupted, as gdb shows it.
const SIGNAL: &str = "<signal handler called>";

/// Held by the symbolizer thread while it runs: if it gets stuck, no second one is started.
static RUNNING: TimedMutex = TimedMutex::new();

/// Resolves the frames of all these traces.
///
/// Symbols that are not known after `timeout` are missing.
pub(crate) fn symbolize(traces: &[Trace], modules: &Modules, timeout: Duration) -> Symbolized {
    let mut table = Table { modules, frames: Vec::new(), by_address: HashMap::new() };
    let mut unknown = BTreeSet::new();
    // Threads that share a trace are resolved once.
    let distinct: HashMap<*const [Address], &[Address]> =
        traces.iter().map(|trace| (Arc::as_ptr(&trace.frames), &*trace.frames)).collect();
    for &address in distinct.values().copied().flatten() {
        if table.by_address.contains_key(&address) || unknown.contains(&address) {
            continue;
        }
        if let Address::Signal(_) = address {
            let named = Symbol { function: Some(SIGNAL.to_owned()), ..Symbol::default() };
            table.add(address, &[named]);
            continue;
        }
        match modules.find(address.lookup()).and_then(|module| cache::get(address, module)) {
            Some(symbols) => table.add(address, &symbols),
            None => drop(unknown.insert(address)),
        }
    }
    let note = resolve_all(&unknown, modules, timeout, |address, symbols| table.add(address, &symbols));
    for address in unknown {
        if !table.by_address.contains_key(&address) {
            table.add(address, &[]);
        }
    }
    let named = |addresses: &[Address]| -> Arc<[u32]> {
        addresses.iter().flat_map(|address| table.by_address[address].clone()).collect()
    };
    let named: HashMap<_, _> = distinct.iter().map(|(place, addresses)| (*place, named(addresses))).collect();
    let stacks = traces
        .iter()
        .map(|trace| Stack {
            frames: Arc::clone(&named[&Arc::as_ptr(&trace.frames)]),
            incomplete: trace.incomplete.clone(),
        })
        .collect();
    Symbolized { stacks, frames: table.frames, notes: note.into_iter().collect() }
}

/// The frames, each address's once, and where they are.
struct Table<'a> {
    modules: &'a Modules,
    frames: Vec<Frame>,
    by_address: HashMap<Address, Range<u32>>,
}

impl Table<'_> {
    /// Adds the frames of an address, innermost first.
    fn add(&mut self, address: Address, symbols: &[Symbol]) {
        let end =
            |frames: &[Frame]| u32::try_from(frames.len()).expect("four billion frames fill the memory");
        let start = end(&self.frames);
        let module = self.modules.find(address.lookup());
        let nameless = [Symbol::default()];
        let symbols = if symbols.is_empty() { &nameless } else { symbols };
        self.frames.extend(symbols.iter().cloned().enumerate().map(|(index, symbol)| Frame {
            address: address.value(),
            function: symbol.function,
            file: symbol.file,
            line: symbol.line,
            source: symbol.source,
            inlined: index + 1 < symbols.len(),
            module: module.map(|module| module.path.clone()),
            module_offset: module.map(|module| address.value().wrapping_sub(module.bias)),
            build_id: module.and_then(|module| module.build_id.clone()),
        }));
        self.by_address.insert(address, start..end(&self.frames));
    }
}

/// Resolves these addresses and calls `each` as soon as one is resolved. Returns a note if some are
/// missing.
fn resolve_all(
    addresses: &BTreeSet<Address>,
    modules: &Modules,
    timeout: Duration,
    mut each: impl FnMut(Address, Symbols),
) -> Option<String> {
    let work = by_module(addresses, modules);
    if addresses.is_empty() {
        return None;
    }
    let until = Instant::now() + timeout;
    let Some(guard) = RUNNING.lock_until(until) else {
        return Some("functions are missing: the symbolizer is still busy with another report".to_owned());
    };
    let (sender, receiver) = mpsc::channel();
    let spawned = own_threads::spawn("gmr symbols", move || {
        let mut sources = Sources::default();
        for (module, addresses) in work {
            platform::resolve(&module, &addresses, |address, mut symbols| {
                for symbol in &mut symbols {
                    symbol.source = symbol
                        .file
                        .as_deref()
                        .zip(symbol.line)
                        .and_then(|(file, line)| sources.line(file, line));
                }
                let symbols: Symbols = symbols.into();
                cache::put(address, &module, &symbols);
                // The caller may have given up; the cache still serves the next report.
                let _ = sender.send((address, symbols));
            });
        }
        drop(guard);
    });
    if let Err(error) = spawned {
        return Some(format!("functions are missing: could not start the symbolizer thread: {error}"));
    }
    let mut resolved = 0;
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((address, symbols)) => {
                resolved += 1;
                each(address, symbols);
            }
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                let (all, seconds) = (addresses.len(), timeout.as_secs_f64());
                return Some(format!(
                    "functions are missing: only {resolved} of {all} addresses were resolved within {seconds} s"
                ));
            }
        }
    }
}

/// Groups the addresses by module. Addresses outside all modules have no symbols and are left out.
fn by_module(addresses: &BTreeSet<Address>, modules: &Modules) -> Vec<(Module, Vec<Address>)> {
    let mut work: Vec<(Module, Vec<Address>)> = Vec::new();
    // They are sorted by kind of address first, so a module can come up once for each kind.
    for &address in addresses {
        let Some(module) = modules.find(address.lookup()) else { continue };
        match work.iter_mut().find(|(other, _)| other.bias == module.bias && other.path == module.path) {
            Some((_, addresses)) => addresses.push(address),
            None => work.push((module.clone(), vec![address])),
        }
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_function_with_a_name(number: u64) -> u64 {
        std::hint::black_box(number) + 1
    }

    #[test]
    fn a_function_is_named_with_file_line_and_source() {
        let trace = Trace {
            frames: Arc::new([Address::Exact(a_function_with_a_name as *const () as u64)]),
            incomplete: None,
        };
        let Symbolized { stacks, frames, notes } =
            symbolize(&[trace.clone(), trace], &Modules::load(), DEADLINE);
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(stacks[0], stacks[1]);
        let frame = frames.last().unwrap();
        assert!(frame.function.as_ref().unwrap().ends_with("a_function_with_a_name"), "{frame:?}");
        assert!(frame.file.as_ref().unwrap().ends_with("symbolize.rs"), "{frame:?}");
        assert!(frame.source.as_ref().unwrap().contains("fn a_function_with_a_name"), "{frame:?}");
        assert!(Arc::ptr_eq(&stacks[0].frames, &stacks[1].frames), "shared, not copied");
        // And it is known the next time.
        let address = frames[0].address;
        let modules = Modules::load();
        assert!(cache::get(Address::Exact(address), modules.find(address).unwrap()).is_some());
    }

    #[test]
    fn an_address_outside_all_modules_stays_an_address() {
        let trace = Trace { frames: Arc::new([Address::Return(0x10)]), incomplete: Some("cut".into()) };
        let Symbolized { stacks, frames, .. } = symbolize(&[trace], &Modules::default(), DEADLINE);
        assert_eq!(*stacks[0].frames, [0]);
        assert_eq!(frames, [Frame { address: 0x10, ..Frame::default() }]);
        assert_eq!(stacks[0].incomplete.as_deref(), Some("cut"));
    }
}
