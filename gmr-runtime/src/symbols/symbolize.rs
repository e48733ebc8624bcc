//! From addresses to functions, files and lines.
//!
//! Each distinct address is resolved once for all stacks, and once for all reports. Names come
//! first, since reading them is fast: a report that has to end early has names without lines, for
//! each address what is known by then. Symbolizing reads files, which may be on a disk that does
//! not answer, so it runs on a thread of its own and its caller waits until a deadline. You can
//! resolve module and offset later, on another machine.

use crate::sys::hash::{NumberMap, address};
use std::ops::Range;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::{self, Symbols};
use super::platform::ModuleFiles;
use super::split_files::SplitFiles;
use super::{Symbol, Symbolized};
use crate::capture::{Address, Trace};
use crate::model::{Frame, Stack};
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::deadline::Deadline;
use crate::sys::sorted_map::SortedMap;
use crate::sys::timed_mutex::{TimedGuard, TimedMutex};
use crate::sys::{Module, Modules, own_threads};

/// How long to wait for symbols. Reading the debug information of a large binary for the first time
/// is slow. Without symbols the report still has its addresses. The deadline of the Threads section
/// is five seconds longer than this, because on an overloaded machine the steps before are slow
/// too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4);

/// The frame between a signal handler and the code that it interrupted, as gdb shows it.
pub(super) const SIGNAL: &str = "<signal handler called>";

/// Reading symbol tables, for names.
static NAMES: Stage = Stage::new();

/// Reading debug information, for lines.
static LINES: Stage = Stage::new();

/// What one thread does at a time: if it gets stuck, no second one gets stuck at the same place.
struct Stage {
    running: TimedMutex,
    /// The module that is being read.
    reading: Mutex<Option<String>>,
}

impl Stage {
    const fn new() -> Self {
        Self { running: TimedMutex::new(), reading: Mutex::new(None) }
    }

    fn enter(&'static self, until: Instant) -> Option<Turn> {
        let running = self.running.lock_until(until)?;
        Some(Turn { stage: self, _running: running })
    }

    /// The module that is being read. None if there is none, or if this is a child process of one
    /// in which another thread was just setting it.
    fn reading(&self) -> Option<String> {
        self.reading.try_lock().ok()?.clone()
    }
}

/// The thread's turn in a stage. Ends when it is dropped.
struct Turn {
    stage: &'static Stage,
    _running: TimedGuard,
}

impl Turn {
    fn reads(&self, module: Option<&Module>) {
        let mut reading = self.stage.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = module.map(|module| module.path.clone());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.reads(None);
    }
}

/// Resolves the frames of all these traces.
///
/// Symbols that are not known after `timeout` are missing.
pub(crate) fn symbolize(traces: &[Trace], modules: &Modules, timeout: Duration) -> Symbolized {
    // Threads that share a trace are resolved once.
    let place = |trace: &Trace| address(Arc::as_ptr(&trace.frames));
    let distinct: NumberMap<&[Address]> = traces.iter().map(|trace| (place(trace), &*trace.frames)).collect();
    let mut all = distinct.values().concat();
    all.sort_unstable();
    all.dedup();
    let find = |address: Address| {
        if let Address::Signal(_) = address {
            let symbol = Symbol { function: Some(SIGNAL.to_owned()), ..Symbol::default() };
            return Found { symbols: [symbol].into(), is_whole: true };
        }
        Found::in_cache(address, modules).unwrap_or_default()
    };
    let mut found: SortedMap<Address, Found> = all.iter().map(|&address| (address, find(address))).collect();
    // What earlier reports have found to be missing in these modules, and what this one does.
    let mut missing: SortedMap<String, String> = SortedMap::new();
    for module in all.iter().filter_map(|address| modules.find(address.lookup())) {
        if missing.get(&module.path).is_none()
            && let Some(note) = cache::note(module)
        {
            missing.insert(module.path.clone(), note);
        }
    }
    let late = resolve_all(modules, timeout, &mut found, &mut missing);

    let mut table = Table { modules, frames: Vec::new(), by_address: SortedMap::new() };
    for (address, Found { symbols, .. }) in found.iter() {
        table.add(*address, symbols);
    }
    let mut named: NumberMap<Arc<[u32]>> = NumberMap::default();
    let stacks = traces
        .iter()
        .map(|trace| Stack {
            frames: Arc::clone(named.entry(place(trace), || table.named(&trace.frames))),
            incomplete: trace.incomplete.clone(),
            taken: trace.taken,
        })
        .collect();
    let missing = missing.into_iter().map(|(path, note)| format!("{path}: {note}"));
    Symbolized { stacks, frames: table.frames, notes: late.into_iter().chain(missing).collect() }
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Found {
    symbols: Symbols,
    /// Whether that is all there is.
    is_whole: bool,
}

impl Found {
    fn in_cache(address: Address, modules: &Modules) -> Option<Self> {
        let module = modules.find(address.lookup())?;
        cache::get(address, module).map(|symbols| Self { symbols, is_whole: true })
    }
}

/// The frames, each address's once, and where they are.
struct Table<'a> {
    modules: &'a Modules,
    frames: Vec<Frame>,
    by_address: SortedMap<Address, Range<u32>>,
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

    /// The frames of these addresses.
    fn named(&self, addresses: &[Address]) -> Arc<[u32]> {
        addresses.iter().filter_map(|address| self.by_address.get(address)).cloned().flatten().collect()
    }
}

/// What the symbolizer's thread finds.
enum Event {
    /// The name of the function at an address. Its line is still to come.
    Named(Address, Symbols),
    /// All that there is.
    Resolved(Address, Symbols),
    /// What is missing of a module, by its path.
    Missing(String, String),
}

/// Resolves the addresses that are not known: adds to `found` what is known of each by the
/// deadline, and to `missing` what is missing of modules. Returns a note if some addresses are
/// late.
fn resolve_all(
    modules: &Modules,
    timeout: Duration,
    found: &mut SortedMap<Address, Found>,
    missing: &mut SortedMap<String, String>,
) -> Option<String> {
    let work =
        by_module(found.iter().filter(|(_, found)| !found.is_whole).map(|(address, _)| *address), modules);
    let mut pending: Vec<Address> = work.iter().flat_map(|(_, addresses)| addresses).copied().collect();
    if pending.is_empty() {
        return None;
    }
    let all = pending.len();
    let mut deadline = Deadline::after(timeout);
    let mut failed = None;
    if let Some(turn) = NAMES.enter(deadline.at()) {
        let (sender, receiver) = channel::channel();
        let until = deadline.at();
        // On the calling thread, a disk that does not respond holds up the report.
        let resolve = move || resolve(work, turn, until, &sender);
        match own_threads::spawn_or_run("gmr symbols", || (), resolve) {
            Ok(()) => receive(&receiver, &mut deadline, found, missing),
            Err(error) => failed = Some(format!("could not start a thread: {error}")),
        }
    }
    // Another thread may have resolved them: that of an earlier report, or of another section.
    pending.retain(|&address| {
        let of_address = found.entry(address);
        if !of_address.is_whole
            && let Some(in_cache) = Found::in_cache(address, modules)
        {
            *of_address = in_cache;
        }
        !of_address.is_whole
    });
    if pending.is_empty() {
        return None;
    }
    let reason = failed.unwrap_or_else(|| {
        let reading = |stage: &Stage, what: &str| {
            let path = stage.reading()?;
            Some(format!("the {what} of {path} is still being read after {} s", timeout.as_secs_f64()))
        };
        reading(&NAMES, "symbol table")
            .or_else(|| reading(&LINES, "debug information"))
            .unwrap_or_else(|| format!("they were not read within {} s", timeout.as_secs_f64()))
    });
    let is_nameless = |address: &&Address| found.get(*address).is_none_or(|found| found.symbols.is_empty());
    let (late, nameless) = (pending.len(), pending.iter().filter(is_nameless).count());
    Some(match nameless {
        0 => format!("lines are missing at {late} of {all} addresses: {reason}"),
        _ => format!("lines are missing at {late} of {all} addresses, and functions at {nameless}: {reason}"),
    })
}

/// Receives what the symbolizer's thread finds, until it ends or until the deadline.
fn receive(
    events: &Receiver<Event>,
    deadline: &mut Deadline,
    found: &mut SortedMap<Address, Found>,
    missing: &mut SortedMap<String, String>,
) {
    loop {
        match events.recv_timeout(deadline.left()) {
            Ok(Event::Named(address, symbols)) => found.entry(address).symbols = symbols,
            Ok(Event::Resolved(address, symbols)) => {
                *found.entry(address) = Found { symbols, is_whole: true }
            }
            Ok(Event::Missing(path, note)) => missing.insert(path, note),
            Err(RecvTimeoutError::Timeout) if !deadline.is_over() => {}
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return,
        }
    }
}

/// Resolves these addresses, and sends what is found. The receiver may be gone: the cache still
/// serves the next report.
fn resolve(work: Vec<(Module, Vec<Address>)>, names_turn: Turn, until: Instant, sender: &Sender<Event>) {
    let send = |event| drop(sender.send(event));
    let resolved = |address: Address, module: &Module, symbols: Symbols| {
        cache::put(address, module, &symbols);
        send(Event::Resolved(address, symbols));
    };
    let mut with_lines = Vec::new();
    for (module, addresses) in work {
        names_turn.reads(Some(&module));
        let files = match ModuleFiles::open(&module) {
            Ok(files) => files,
            Err(reason) => {
                if !reason.is_empty() {
                    send(Event::Missing(module.path, format!("functions and lines are missing: {reason}")));
                }
                // Not for the cache: the next report tries again.
                for address in addresses {
                    send(Event::Resolved(address, Symbols::default()));
                }
                continue;
            }
        };
        let names = files.names(&module, &addresses);
        let has_lines = files.has_lines(&module);
        for &address in &addresses {
            let name = names.get(&address.lookup()).cloned();
            let symbols: Symbols =
                name.into_iter().map(|name| Symbol { function: Some(name), ..Symbol::default() }).collect();
            match has_lines {
                true if symbols.is_empty() => {}
                true => send(Event::Named(address, symbols)),
                false => resolved(address, &module, symbols),
            }
        }
        if has_lines {
            with_lines.push((module, addresses, files, names));
        }
    }
    drop(names_turn);
    if with_lines.is_empty() {
        return;
    }
    let Some(lines_turn) = LINES.enter(until) else { return };
    for (module, mut addresses, files, names) in with_lines {
        lines_turn.reads(Some(&module));
        // The thread before may have resolved some.
        addresses.retain(|&address| match cache::get(address, &module) {
            Some(symbols) => {
                send(Event::Resolved(address, symbols));
                false
            }
            None => true,
        });
        let missing =
            files.resolve(&module, &SplitFiles::default(), &addresses, &names, &|address, symbols| {
                resolved(address, &module, symbols.into());
            });
        if let Some(missing) = missing {
            cache::put_note(&module, &missing);
            send(Event::Missing(module.path, missing));
        }
    }
}

/// Groups the addresses by module. Addresses outside all modules have no symbols and are left out.
fn by_module(addresses: impl Iterator<Item = Address>, modules: &Modules) -> Vec<(Module, Vec<Address>)> {
    let mut work: Vec<(Module, Vec<Address>)> = Vec::new();
    // They are sorted by kind of address first, so a module can come up once for each kind.
    for address in addresses {
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
            ..Trace::default()
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
    fn what_is_known_at_the_deadline_is_kept() {
        // As if the debug information of another module was being read forever.
        let turn = LINES.enter(Instant::now() + DEADLINE).unwrap();
        turn.reads(Some(&Module { path: "/srv/slow".to_owned(), ..Module::default() }));
        let address = Address::Exact(what_is_known_at_the_deadline_is_kept as *const () as u64);
        let trace = Trace { frames: Arc::new([address]), ..Trace::default() };
        let modules = Modules::load();
        let timeout = Duration::from_secs(1);
        let Symbolized { frames, notes, .. } = symbolize(std::slice::from_ref(&trace), &modules, timeout);
        assert!(frames[0].function.as_ref().unwrap().ends_with("what_is_known_at_the_deadline_is_kept"));
        assert_eq!(frames[0].line, None);
        let note = "lines are missing at 1 of 1 addresses: \
                    the debug information of /srv/slow is still being read after 1 s";
        assert_eq!(notes, [note]);
        // It does not count as the final result.
        drop(turn);
        let Symbolized { frames, notes, .. } = symbolize(&[trace], &modules, DEADLINE);
        assert!(frames[0].line.is_some());
        assert_eq!(notes, Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_of_a_module_is_said_in_each_report() {
        let (module, other) = (module("01"), module("02"));
        assert_eq!(cache::note(&module), None);
        cache::put_note(&module, "it is gone");
        assert_eq!(cache::note(&module).unwrap(), "it is gone");
        assert_eq!(cache::note(&other), None);
    }

    fn module(build_id: &str) -> Module {
        Module { build_id: Some(build_id.to_owned()), ..Module::default() }
    }

    #[test]
    fn an_address_outside_all_modules_stays_an_address() {
        let trace = Trace {
            frames: Arc::new([Address::Return(0x10)]),
            incomplete: Some("cut".into()),
            ..Trace::default()
        };
        let Symbolized { stacks, frames, .. } = symbolize(&[trace], &Modules::default(), DEADLINE);
        assert_eq!(*stacks[0].frames, [0]);
        assert_eq!(frames, [Frame { address: 0x10, ..Frame::default() }]);
        assert_eq!(stacks[0].incomplete.as_deref(), Some("cut"));
    }
}
