//! Private functions for the commands `gmr` and `gmr-fleet`, compiled with the feature `__cli`
//! only. Not part of the public interface.

mod found;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::model::{Package, Report};

pub use self::found::{Finder, Found};
pub use crate::symbols::offline::{Function, Place, Symbolized};
pub use crate::symbols::split_files::SplitFiles;
pub use crate::sys::attach::Attach;
pub use crate::sys::mark::Mark;
#[cfg(feature = "html")]
pub use crate::views::Flame;
pub use crate::views::{Line, Lines};

/// The style of a report's page.
#[cfg(feature = "html")]
pub const STYLE: &str = crate::views::STYLE;

/// The script of a page that has a [`Flame`].
#[cfg(feature = "html")]
pub const FLAME_SCRIPT: &str = crate::views::FLAME_SCRIPT;

/// A number, as in `1,940`.
pub fn number(number: u64) -> String {
    crate::units::separated(number)
}

/// A number of things, as in `1 thread`, `1,940 threads`, `3 processes` or `2 batches`.
pub fn counted(count: u64, noun: &str) -> String {
    crate::units::many(count, noun)
}

/// A number of bytes, as in `84.1 MiB`.
pub fn bytes(bytes: u64) -> String {
    crate::units::bytes(bytes)
}

/// The mark of a process, from the name of a mapping in `/proc/PID/maps`.
pub fn mark(name: &str) -> Option<Mark> {
    Mark::parse(name)
}

/// The first layout of requests for reports, and the first for looks.
pub const REPORTS_SINCE: u32 = 1;
pub const LOOKS_SINCE: u32 = 2;

/// Sends the report signal with a request to the process of this pidfd.
#[cfg(unix)]
pub fn send(pidfd: std::os::fd::BorrowedFd<'_>, signal: i32, attach: Attach) -> std::io::Result<()> {
    crate::sys::queue(pidfd, signal, attach.encode())
}

/// What the name of the file for a request begins with. Its format follows.
pub fn file_begin(token: u32) -> String {
    Attach::file_begin(token)
}

/// The name of a signal, as in `SIGUSR2`.
pub fn signal_name(number: i32) -> String {
    crate::trigger::signals_by_name::name_of(number)
}

/// How long a process has been running, in milliseconds, as in `3 h 4 min 6 s`.
pub fn uptime(ms: u64) -> String {
    crate::units::uptime(ms)
}

/// Milliseconds, as in `999 ms` or `9.3 s`.
pub fn duration(ms: u64) -> String {
    crate::units::duration(ms)
}

/// A time in a report, in seconds since 1970.
pub fn seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(time).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Adds names and lines to the frames of a report that lack them. `find` leads to a file of this
/// build-id, or says why there is none. `split` is where split debug information may be.
pub fn symbolize(
    report: &mut Report,
    find: &mut dyn FnMut(&str) -> Result<PathBuf, String>,
    split: &SplitFiles,
) -> Vec<Symbolized> {
    let symbolized = crate::symbols::offline::symbolize(report, find, split);
    crate::generators::complete_tasks(report);
    symbolized
}

/// The functions at each of these places in a file, innermost first, and what is missing.
///
/// # Errors
/// The file cannot be read, or is not that of the build-id.
pub fn resolve(
    file: &Path,
    build_id: &str,
    places: &[Place],
    split: &SplitFiles,
) -> Result<(Vec<Vec<Function>>, Option<String>), String> {
    crate::symbols::offline::functions(file, build_id, places, split)
}

/// Text on one line, without anything that a terminal would interpret.
pub fn printable(text: &str) -> Cow<'_, str> {
    crate::views::printable(text)
}

/// The name of the program: its product, or else its executable.
pub fn program(package: &Package) -> Option<&str> {
    let executable = || package.executable.as_deref().map(|path| path.rsplit('/').next().unwrap_or(path));
    package.product.as_deref().or_else(executable)
}

/// Where the program runs: its pod, or else its host.
pub fn host(package: &Package) -> Option<&str> {
    let pod = package.kubernetes.iter().find(|stated| stated.name == "pod");
    pod.map(|pod| &*pod.value).or(package.host.as_deref())
}

/// What the message of a finding says, without the numbers in it: an id, an address or a time.
pub fn said(message: &str) -> String {
    let mut said = String::new();
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        if let Some(address) = rest.strip_prefix("0x") {
            rest = address.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            continue;
        }
        if !(c.is_ascii_digit() || ".,".contains(c)) {
            said.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    said
}
