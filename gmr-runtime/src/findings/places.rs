//! Where in the program's own code a stack is. It finds nothing by itself.

use crate::model::Frame;

/// Directories with the sources of Rust's standard libraries and of dependencies.
const OF_LIBRARIES: [&str; 4] = ["/rustc/", "/rustlib/src/", "/registry/src/", "/git/checkouts/"];

/// The crates whose functions are not the program's, where no file tells.
const LIBRARIES: [&str; 22] = [
    "alloc",
    "async_channel",
    "async_executor",
    "async_io",
    "async_lock",
    "async_task",
    "core",
    "event_listener",
    "flume",
    "futures_channel",
    "futures_executor",
    "futures_lite",
    "futures_util",
    "hyper",
    "hyper_util",
    "mio",
    "parking_lot",
    "parking_lot_core",
    "pollster",
    "smol",
    "std",
    "tokio",
];

/// These frames.
pub(super) fn frames<'a>(numbers: &'a [u32], all: &'a [Frame]) -> impl Iterator<Item = &'a Frame> {
    numbers.iter().filter_map(|number| all.get(usize::try_from(*number).ok()?))
}

/// The innermost of these frames that is the program's, or else the innermost.
pub(super) fn of_program(numbers: &[u32], all: &[Frame]) -> Option<u32> {
    let frame = |number: &u32| all.get(usize::try_from(*number).ok()?);
    let programs = numbers.iter().find(|number| frame(number).is_some_and(is_programs));
    programs.or_else(|| numbers.first()).copied()
}

/// The innermost of these frames that is the program's.
pub(crate) fn program_frame<'a>(numbers: &'a [u32], all: &'a [Frame]) -> Option<&'a Frame> {
    frames(numbers, all).find(|frame| is_programs(frame))
}

/// Whether the frame is of the program itself.
pub(super) fn is_programs(frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    if let Some(file) = &frame.file {
        return !OF_LIBRARIES.iter().any(|directory| file.contains(directory));
    }
    let path = function.trim_start_matches(['<', '&', '*']);
    path.contains("::") && !LIBRARIES.contains(&path.split("::").next().unwrap_or_default())
}

/// Whether debug information tells the lines of all these functions that are not the standard
/// libraries', so that it also tells what is inlined into them.
pub(super) fn are_lines_known(numbers: &[u32], all: &[Frame]) -> bool {
    let of_rust = |frame: &&Frame| {
        let path = frame.function.as_deref().unwrap_or_default().trim_start_matches(['<', '&', '*']);
        path.contains("::")
            && !["std", "core", "alloc"].contains(&path.split("::").next().unwrap_or_default())
    };
    let mut frames = frames(numbers, all).filter(of_rust).peekable();
    frames.peek().is_some() && frames.all(|frame| frame.line.is_some())
}
