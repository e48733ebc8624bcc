//! The `GMR_*` environment variables, by which operators configure gmr without changing the
//! program.
//!
//! They are read once, during installation: later, a stuck thread may hold the lock around the
//! environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::reporter::LogTracing;
use crate::section::panics::on_panic::OnPanic;
use crate::trigger::conditions::OnThreads;
use crate::views::{Detail, Format};

/// `GMR_SIGNAL`: the report signal. It overrides the program's.
pub(crate) fn signal() -> Option<String> {
    std::env::var("GMR_SIGNAL").ok().filter(|value| !value.trim().is_empty())
}

/// `GMR_FORMAT`: the format of reports on standard error. It overrides the program's.
///
/// # Errors
/// There is no such format, or its feature is disabled.
pub(crate) fn format() -> Result<Option<Format>, String> {
    match std::env::var("GMR_FORMAT") {
        Ok(name) if !name.trim().is_empty() => {
            name.parse().map(Some).map_err(|error: Error| format!("GMR_FORMAT: {error}"))
        }
        _ => Ok(None),
    }
}

/// `GMR_BACKTRACE`: `full` shows the runtime's frames as well. As in `RUST_BACKTRACE`, `1` is the
/// short form.
///
/// # Errors
/// It has another value.
pub(crate) fn detail() -> Result<Detail, String> {
    let value = std::env::var("GMR_BACKTRACE").unwrap_or_default();
    match value.trim().to_ascii_lowercase().as_str() {
        "full" => Ok(Detail::Full),
        "" | "0" | "1" | "short" => Ok(Detail::Short),
        _ => {
            Err(format!("GMR_BACKTRACE: unknown value `{value}`; expected `short` or `full`; using `short`"))
        }
    }
}

/// `GMR_POLL_TASKS`: whether reports poll async tasks. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn poll_tasks() -> Result<Option<bool>, String> {
    switch("GMR_POLL_TASKS")
}

/// `GMR_MASK`: names whose values are masked, and names after a dash whose values are shown. They
/// are added to the program's, and override it. In a program with more rights than whoever started
/// it, they do not count: that one could have its secrets shown.
pub(crate) fn mask() -> String {
    #[cfg(target_os = "linux")]
    if crate::sys::secure::is_privileged() {
        return String::new();
    }
    std::env::var("GMR_MASK").unwrap_or_default()
}

/// `GMR_LOG_DIR`: the directory of reports; `off` if they go to standard error. It overrides the
/// program's.
pub(crate) fn log_dir(programs: Option<PathBuf>) -> Option<PathBuf> {
    path_or_off("GMR_LOG_DIR", programs)
}

/// `GMR_TRIGGER_FILE`: the file that requests reports; `off` if there is none. It overrides the
/// program's.
pub(crate) fn trigger_file(programs: Option<PathBuf>) -> Option<PathBuf> {
    path_or_off("GMR_TRIGGER_FILE", programs)
}

/// In a program with more rights than whoever started it, the variable does not count: files would
/// be made wherever that one likes, and names of others' files found out.
fn path_or_off(name: &str, programs: Option<PathBuf>) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    if crate::sys::secure::is_privileged() {
        return programs;
    }
    match std::env::var_os(name).filter(|path| !path.is_empty()) {
        Some(path) => (path != "off").then(|| path.into()),
        None => programs,
    }
}

/// `GMR_LOG_TO_STDERR`: whether reports in a directory also go to standard error. It overrides the
/// program.
///
/// # Errors
/// It has another value.
pub(crate) fn log_to_stderr() -> Result<Option<bool>, String> {
    switch("GMR_LOG_TO_STDERR")
}

/// `GMR_LOG_GZIP`: whether the files of reports are compressed. It overrides the program.
///
/// # Errors
/// It has another value, or this build cannot compress.
pub(crate) fn log_gzip() -> Result<Option<bool>, String> {
    match switch("GMR_LOG_GZIP") {
        Ok(Some(true)) if !cfg!(feature = "gzip") => {
            Err("GMR_LOG_GZIP: gmr cannot compress reports: the feature `gzip` is disabled".to_owned())
        }
        other => other,
    }
}

/// `GMR_LOG_JOURNAL`: whether reports go to systemd's journal. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn log_journal() -> Result<Option<bool>, String> {
    switch("GMR_LOG_JOURNAL")
}

/// `GMR_LOG_TRACING`: what events of `tracing` say of reports. It overrides the program.
///
/// # Errors
/// It has another value, or this build cannot make events.
pub(crate) fn log_tracing() -> Result<Option<LogTracing>, String> {
    let value = std::env::var("GMR_LOG_TRACING").unwrap_or_default();
    let is_off = matches!(value.trim(), "" | "off");
    if !cfg!(feature = "tracing") && !is_off {
        return Err("GMR_LOG_TRACING: gmr makes no events: the feature `tracing` is disabled".to_owned());
    }
    match value.trim() {
        "" => Ok(None),
        "off" => Ok(Some(LogTracing::Off)),
        "summary" => Ok(Some(LogTracing::Summary)),
        "full" => Ok(Some(LogTracing::Full)),
        _ => Err(format!("GMR_LOG_TRACING: unknown value `{value}`; expected `summary`, `full` or `off`")),
    }
}

/// `GMR_LOG_MAX_FILES`: how many files of the service are kept in the directory of reports; `off`
/// for any number, which is zero. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn log_max_files() -> Result<Option<u32>, String> {
    number_or_off("GMR_LOG_MAX_FILES", "20", |text| text.parse().ok())
}

/// `GMR_LOG_MAX_BYTES`: how many bytes they may have together, as in `20MiB`; `off` for any number,
/// which is zero. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn log_max_bytes() -> Result<Option<u64>, String> {
    number_or_off("GMR_LOG_MAX_BYTES", "20MiB", parse_bytes)
}

/// `GMR_MAX_PER_HOUR`: how many reports an option may request by itself in an hour; `off` for any
/// number, which is zero. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn max_per_hour() -> Result<Option<u32>, String> {
    number_or_off("GMR_MAX_PER_HOUR", "6", |text| text.parse().ok())
}

/// `GMR_MAX_BYTES`: how many bytes a report may have, as in `1MiB`; `off` for any number, which is
/// zero. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn max_bytes() -> Result<Option<u64>, String> {
    number_or_off("GMR_MAX_BYTES", "1MiB", parse_bytes)
}

/// A number, or zero for `off`.
fn number_or_off<T: From<u8>>(
    name: &str,
    example: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let value = std::env::var(name).unwrap_or_default();
    let value = value.trim();
    if value.is_empty() || is_off(value) {
        return Ok((!value.is_empty()).then(|| T::from(0)));
    }
    let expected = format!("expected a number such as `{example}`, or `off` for any number");
    parse(value).map(Some).ok_or_else(|| format!("{name}: unknown value `{value}`; {expected}"))
}

/// A number of bytes, as in `20MiB`. The attribute has the same form.
fn parse_bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let (number, shift) =
        units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn switch(name: &str) -> Result<Option<bool>, String> {
    let value = std::env::var(name).unwrap_or_default();
    match value.trim().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "1" | "on" | "true" | "yes" => Ok(Some(true)),
        "0" | "off" | "false" | "no" => Ok(Some(false)),
        _ => Err(format!("{name}: unknown value `{value}`; expected `on` or `off`")),
    }
}

/// `GMR_ON_PANIC`: which panics make a report. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn on_panic() -> Result<Option<OnPanic>, String> {
    let value = std::env::var("GMR_ON_PANIC").unwrap_or_default();
    match value.trim().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "1" | "on" | "true" | "yes" => Ok(Some(OnPanic::Ending)),
        "any" => Ok(Some(OnPanic::Any)),
        "0" | "off" | "false" | "no" => Ok(Some(OnPanic::Off)),
        _ => Err(format!("GMR_ON_PANIC: unknown value `{value}`; expected `1`, `any` or `0`")),
    }
}

/// `GMR_ON_FATAL`: whether fatal signals are reported. It overrides the program. In a program with
/// more rights than whoever started it, it does not count: that one would see addresses and
/// registers.
///
/// # Errors
/// It has another value.
pub(crate) fn on_fatal() -> Result<Option<bool>, String> {
    #[cfg(target_os = "linux")]
    if crate::sys::secure::is_privileged() {
        return Ok(None);
    }
    switch("GMR_ON_FATAL")
}

/// `GMR_SECOND_LOOK`: after what time a report takes its second look, as in `50ms`, or `off`. It
/// overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn second_look() -> Result<Option<Duration>, String> {
    time_or_off("GMR_SECOND_LOOK", "50ms")
}

/// `GMR_SLOW_START`: how long the program may take until it is ready without a report, as in `30s`,
/// or `off`. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn slow_start() -> Result<Option<Duration>, String> {
    time_or_off("GMR_SLOW_START", "30s")
}

/// `GMR_SLOW_SHUTDOWN`: how long the process may take to end after SIGTERM without a report, as in
/// `25s`, or `off`. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn slow_shutdown() -> Result<Option<Duration>, String> {
    time_or_off("GMR_SLOW_SHUTDOWN", "25s")
}

/// `GMR_WATCHDOG`: for how long the runtimes of tokio may poll no new task without a report, as in
/// `5s`, or `off`. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn watchdog() -> Result<Option<Duration>, String> {
    time_or_off("GMR_WATCHDOG", "5s")
}

/// `GMR_ON_MEMORY`: how much of its memory a cgroup may use without a report, as in `90%`, or
/// `off`, which is zero. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn on_memory() -> Result<Option<u8>, String> {
    percentage("GMR_ON_MEMORY")
}

/// `GMR_ON_DESCRIPTORS`: how many of its descriptors the process may have open without a report, as
/// `GMR_ON_MEMORY` has it. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn on_descriptors() -> Result<Option<u8>, String> {
    percentage("GMR_ON_DESCRIPTORS")
}

/// `GMR_ON_THREADS`: how many threads the process may have without a report, as in `500`, or which
/// share of its cgroup's, as in `90%`, or `off`. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn on_threads() -> Result<Option<OnThreads>, String> {
    let name = "GMR_ON_THREADS";
    let value = std::env::var(name).unwrap_or_default();
    let value = value.trim();
    if is_off(value) {
        return Ok(Some(OnThreads::Off));
    }
    match value.parse() {
        _ if value.is_empty() => Ok(None),
        Ok(count) => Ok(Some(OnThreads::Count(count))),
        Err(_) => percent_of(value).map(OnThreads::Percent).map(Some).ok_or_else(|| {
            let expected =
                "expected a number of threads, such as `500`, a share of the limit, such as `90%`, or `off`";
            format!("{name}: unknown value `{value}`; {expected}")
        }),
    }
}

/// A share, or zero for `off`.
fn percentage(name: &str) -> Result<Option<u8>, String> {
    let value = std::env::var(name).unwrap_or_default();
    let value = value.trim();
    if value.is_empty() || is_off(value) {
        return Ok((!value.is_empty()).then_some(0));
    }
    let expected = "expected a share of the limit, such as `90%`, or `off`";
    percent_of(value).map(Some).ok_or_else(|| format!("{name}: unknown value `{value}`; {expected}"))
}

fn is_off(value: &str) -> bool {
    ["0", "off", "false", "no"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

fn percent_of(value: &str) -> Option<u8> {
    let percent = value.strip_suffix('%').unwrap_or(value).trim().parse().ok();
    percent.filter(|percent| (1..=100).contains(percent))
}

/// `GMR_SLOW_TASK`: how long a task may take without a report, if others of its kind do not take so
/// long, as in `60s`, or `off`. It overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn slow_task() -> Result<Option<Duration>, String> {
    time_or_off("GMR_SLOW_TASK", "60s")
}

/// `GMR_MIN_INTERVAL`: the least time between two reports for signals, as in `5s`, or `off`. It
/// overrides the program.
///
/// # Errors
/// It has another value.
pub(crate) fn min_interval() -> Result<Option<Duration>, String> {
    time_or_off("GMR_MIN_INTERVAL", "1s")
}

/// `GMR_TEST_TIMEOUT`: how long a test under `#[gmr::test]` may take, as in `30s`, or `off`. It
/// overrides the test.
///
/// # Errors
/// It has another value.
pub(crate) fn test_timeout() -> Result<Option<Duration>, String> {
    time_or_off("GMR_TEST_TIMEOUT", "30s")
}

/// A time, or zero for `off`.
fn time_or_off(name: &str, example: &str) -> Result<Option<Duration>, String> {
    let value = std::env::var(name).unwrap_or_default();
    match value.trim() {
        "" => Ok(None),
        "off" | "0" | "false" | "no" => Ok(Some(Duration::ZERO)),
        time => humantime::parse_duration(time).map(Some).map_err(|error| {
            format!("{name}: `{value}` is neither `off` nor a time such as `{example}` ({error})")
        }),
    }
}

/// `GMR_SECTIONS`: which of the built-in sections reports have. It is applied after the program's
/// list.
pub(crate) fn sections() -> String {
    std::env::var("GMR_SECTIONS").unwrap_or_default()
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_binary_units() {
        let parsed = ["4096", "4KiB", "20 MiB", "1GiB", "1KB", "x", "KiB", "99999999999GiB"].map(parse_bytes);
        let expected = [Some(4_096), Some(4_096), Some(20 << 20), Some(1 << 30), None, None, None, None];
        assert_eq!(parsed, expected);
    }
}
