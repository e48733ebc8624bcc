//! Names for a report that was made where they could not be had, for the command `gmr symbolize`: of a
//! stripped executable, from its file with debug information. It reads files, on the calling thread,
//! for as long as they take.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Symbol;
use super::platform::ModuleFiles;
use super::split_files::SplitFiles;
use super::symbolize::SIGNAL;
use crate::capture::Address;
use crate::model::{Content, Frame, Report, Stack};
use crate::sys::Module;
use crate::sys::sorted_map::SortedMap;

/// What became of the frames of a module that lacked names or lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbolized {
    /// The path of the module in the process.
    pub module: String,
    /// Its build-id; `None` if the report has none.
    pub build_id: Option<String>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// How many frames lacked a line.
    pub addresses: usize,
    /// How many of them lacked the function as well.
    pub nameless: usize,
    /// How many of them have more now.
    pub resolved: usize,
    /// What is missing, and why.
    pub missing: Option<String>,
}

/// An address in the file of a module.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// Whether it is that after a call, and not that of the instruction itself.
    pub is_return: bool,
}

/// A function at a place.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// Its name.
    pub function: Option<String>,
    /// Its source file.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u32>,
}

/// The functions at each of these places, innermost first, and what is missing.
///
/// # Errors
/// The file cannot be read, or is not that of the build-id.
pub(crate) fn functions(
    path: &Path,
    build_id: &str,
    places: &[Place],
    split: &SplitFiles,
) -> Result<(Vec<Vec<Function>>, Option<String>), String> {
    let address = |place: &Place| {
        let read_as = if place.is_return { Address::Return } else { Address::Exact };
        read_as(place.address)
    };
    let frames: Vec<(usize, Address)> = places.iter().map(address).enumerate().collect();
    let (found, missing) = resolve(path, build_id, &frames, split)?;
    let mut functions = vec![Vec::new(); places.len()];
    for (index, symbols) in found {
        let function = |Symbol { function, file, line, .. }| Function { function, file, line };
        functions[index] = symbols.into_iter().map(function).collect();
    }
    Ok((functions, missing))
}

/// How an address in a stack is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Return,
}

/// Adds names and lines to the frames that lack them. `find` leads to a file of this build-id, or says
/// why there is none. `split` is where split debug information may be.
pub(crate) fn symbolize(
    report: &mut Report,
    find: &mut dyn FnMut(&str) -> Result<PathBuf, String>,
    split: &SplitFiles,
) -> Vec<Symbolized> {
    let kinds = kinds(report);
    // By path and build-id, which are of the same module.
    let mut modules: SortedMap<(String, Option<String>), Frames> = SortedMap::new();
    for (index, (frame, kind)) in report.frames.iter().zip(kinds).enumerate() {
        // A frame without a line may be one of several functions.
        let (Some(module), Some(offset), Some(kind)) = (&frame.module, frame.module_offset, kind) else {
            continue;
        };
        if frame.line.is_none() {
            let address = match kind {
                Kind::Exact => Address::Exact(offset),
                Kind::Return => Address::Return(offset),
            };
            modules.entry((module.clone(), frame.build_id.clone())).push((index, address));
        }
    }
    let mut known: Vec<Option<Vec<Symbol>>> = vec![None; report.frames.len()];
    let mut all = Vec::new();
    for ((module, build_id), frames) in modules {
        let found = build_id.as_deref().map(&mut *find);
        let is_nameless = |(index, _): &&(usize, Address)| report.frames[*index].function.is_none();
        let mut symbolized = Symbolized {
            module,
            build_id: build_id.clone(),
            file: None,
            addresses: frames.len(),
            nameless: frames.iter().filter(is_nameless).count(),
            resolved: 0,
            missing: None,
        };
        match (found, &build_id) {
            (Some(Ok(file)), Some(id)) => {
                match resolve(&file, id, &frames, split) {
                    Ok((found, missing)) => {
                        symbolized.missing = missing;
                        for (index, symbols) in found {
                            symbolized.resolved += usize::from(tells_more(&report.frames[index], &symbols));
                            known[index] = Some(symbols);
                        }
                    }
                    Err(reason) => symbolized.missing = Some(reason),
                }
                symbolized.file = Some(file);
            }
            (Some(Err(reason)), _) => symbolized.missing = Some(reason),
            (None, _) | (_, None) => {
                symbolized.missing = Some("it has no build-id, so no file is certain".to_owned());
            }
        }
        all.push(symbolized);
    }
    replace(report, known);
    all
}

fn tells_more(frame: &Frame, symbols: &[Symbol]) -> bool {
    let new = |symbol: &Symbol| symbol.line.is_some() || symbol.function.is_some();
    frame.function.is_none() && symbols.iter().any(new) || symbols.iter().any(|symbol| symbol.line.is_some())
}

/// Frames of the report by their indices, with their addresses in the file.
type Frames = Vec<(usize, Address)>;

type Found = Vec<(usize, Vec<Symbol>)>;

/// Resolves addresses in the file of a module.
///
/// # Errors
/// It cannot be read, or is not that of the build-id.
fn resolve(
    path: &Path,
    build_id: &str,
    frames: &[(usize, Address)],
    split: &SplitFiles,
) -> Result<(Found, Option<String>), String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let path = path.to_str().ok_or("its path is not UTF-8")?.to_owned();
    // The offsets are addresses in the file.
    let module = Module { path, build_id: Some(build_id.to_owned()), ..Module::default() };
    let files = ModuleFiles::open(&module)?;
    let mut addresses: Vec<Address> = frames.iter().map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let names = files.names(&module, &addresses);
    let found: Mutex<SortedMap<Address, Vec<Symbol>>> = Mutex::default();
    let put = |address: Address, symbols: Vec<Symbol>| {
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(address, symbols);
    };
    let missing = if files.has_lines(&module) {
        files.resolve(&module, split, &addresses, &names, &put)
    } else {
        for address in &addresses {
            if let Some(name) = names.get(&address.lookup()) {
                put(*address, vec![Symbol { function: Some(name.clone()), ..Symbol::default() }]);
            }
        }
        Some("lines are missing: the file has no debug information".to_owned())
    };
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let symbols_of = |address: &Address| found.get(address).filter(|symbols| !symbols.is_empty()).cloned();
    let symbols = frames.iter().filter_map(|(index, address)| Some((*index, symbols_of(address)?)));
    Ok((symbols.collect(), missing))
}

/// How the address of each frame is to be read. `None` for frames of no stack, and for those that have
/// no code of their own.
fn kinds(report: &Report) -> Vec<Option<Kind>> {
    let mut kinds = vec![None; report.frames.len()];
    let signal: Vec<bool> =
        report.frames.iter().map(|frame| frame.function.as_deref() == Some(SIGNAL)).collect();
    for section in &report.sections {
        each_stack(&section.content, &mut |stack, first| {
            let mut kind = first;
            for index in stack.frames.iter().filter_map(|index| usize::try_from(*index).ok()) {
                if signal.get(index) == Some(&true) {
                    kind = Kind::Exact;
                    continue;
                }
                // An address that is both is shown as what it is in more places: gmr makes no such report.
                if let Some(known) = kinds.get_mut(index)
                    && *known != Some(Kind::Return)
                {
                    *known = Some(kind);
                }
                // Functions that are inlined have the address of the one that they are in.
                if report.frames.get(index).is_some_and(|frame| !frame.inlined) {
                    kind = Kind::Return;
                }
            }
        });
    }
    kinds
}

/// Calls `each` with all stacks, and how the first address of each is to be read. The first frame of a
/// task, and that of a panic, is the one that called what the program did not write.
fn each_stack(content: &Content, each: &mut dyn FnMut(&Stack, Kind)) {
    match content {
        Content::Threads(all) => {
            for thread in &all.threads {
                each(&thread.stack, Kind::Exact);
            }
        }
        Content::GreenThreads(all) => {
            for stack in all.tasks.iter().flat_map(|task| task.stacks.iter()) {
                each(stack, Kind::Return);
            }
        }
        Content::Configuration(groups) => {
            for group in groups {
                each_stack(&group.content, each);
            }
        }
        Content::Panicked(panicked) => each(&panicked.stack, Kind::Return),
        Content::TimedOut(timed_out) => each(&timed_out.overdue.stack, Kind::Exact),
        Content::StillRunning(overdue) => each(&overdue.stack, Kind::Exact),
        _ => {}
    }
}

/// Puts the frames of these symbols in the place of each frame for which there are some.
fn replace(report: &mut Report, known: Vec<Option<Vec<Symbol>>>) {
    let mut frames = Vec::with_capacity(report.frames.len());
    let mut places: Vec<Range<u32>> = Vec::with_capacity(report.frames.len());
    let end = |frames: &[Frame]| u32::try_from(frames.len()).unwrap_or(u32::MAX);
    for (frame, symbols) in std::mem::take(&mut report.frames).into_iter().zip(known) {
        let start = end(&frames);
        match symbols {
            None => frames.push(frame),
            Some(symbols) => {
                let count = symbols.len();
                frames.extend(symbols.into_iter().enumerate().map(|(index, symbol)| Frame {
                    function: symbol.function.or_else(|| frame.function.clone()),
                    file: symbol.file.map(masked),
                    line: symbol.line,
                    source: symbol.source.map(masked),
                    inlined: index + 1 < count,
                    ..frame.clone()
                }));
            }
        }
        places.push(start..end(&frames));
    }
    report.frames = frames;
    let of = |index: u32| usize::try_from(index).ok().and_then(|index| places.get(index)).cloned();
    for section in &mut report.sections {
        each_index(&mut section.content, &of);
    }
    for evidence in report.findings.iter_mut().flat_map(|finding| &mut finding.evidence) {
        first(&mut evidence.frame, &of);
    }
}

fn masked(text: String) -> String {
    match gmr_mask::text(&text) {
        std::borrow::Cow::Owned(masked) => masked,
        std::borrow::Cow::Borrowed(_) => text,
    }
}

type Places<'a> = dyn Fn(u32) -> Option<Range<u32>> + 'a;

/// A single frame stands for the innermost one of its address.
fn first(frame: &mut Option<u32>, places: &Places<'_>) {
    *frame = frame.and_then(|index| Some(places(index)?.start));
}

fn each_index(content: &mut Content, places: &Places<'_>) {
    let stack = |stack: &mut Stack| {
        stack.frames = stack.frames.iter().filter_map(|index| places(*index)).flatten().collect();
    };
    match content {
        Content::Threads(all) => {
            for thread in &mut all.threads {
                stack(&mut thread.stack);
            }
            for lock in &mut all.locks {
                let waiters = lock.waiters.iter_mut().map(|waiter| &mut waiter.frame);
                let holders = lock.holders.iter_mut().map(|holder| &mut holder.frame);
                for frame in waiters.chain(holders) {
                    first(frame, places);
                }
            }
        }
        Content::GreenThreads(all) => {
            for task in &mut all.tasks {
                let mut stacks = task.stacks.to_vec();
                stacks.iter_mut().for_each(stack);
                task.stacks = stacks.into();
            }
        }
        Content::Configuration(groups) => {
            for group in groups {
                each_index(&mut group.content, places);
            }
        }
        Content::Panicked(panicked) => stack(&mut panicked.stack),
        Content::TimedOut(timed_out) => stack(&mut timed_out.overdue.stack),
        Content::StillRunning(overdue) => stack(&mut overdue.stack),
        _ => {}
    }
}
