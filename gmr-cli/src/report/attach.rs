//! Asks a process for a report: sends it the signal, and finds the file that the process offers.
//!
//! Between the last look and the signal, the process can become another program (`exec`) without a
//! handler, which the signal would end. The looks are a few microseconds before it. No other
//! process can get the signal: the pidfd stays with the process, whatever becomes of its id.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::{Attach, file_begin, send};
use rustix::io::Errno;

use super::offered::Offered;
use super::target::{Target, UNSENT};

/// The thread of a process that has the file.
const THREAD: &str = "gmr attach";

/// How long a process may take to offer the file. It takes about a millisecond.
const WITHIN: Duration = Duration::from_secs(5);

/// The same for one whose threads show that it makes another report, which takes about ten seconds
/// if sections hang.
const WITHIN_IF_BUSY: Duration = Duration::from_secs(20);

/// After what time the signal is sent once more. Another report signal that was pending at that
/// moment makes the kernel drop it. The process knows by the token that it is the same request.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The same for a look, the next of which is due soon.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A random number.
pub(super) fn token() -> u32 {
    // Seeded by the system. It only has to differ from those of others.
    let random = RandomState::new().hash_one(std::process::id());
    u32::try_from(random >> 32).expect("the upper half")
}

/// Asks for a report, and returns the file that the process offers.
pub(super) fn request(target: &Target, attach: Attach) -> Result<Offered, String> {
    request_from(target, attach, None)
}

/// The same for a look, which this thread of the process is likely to have: it had the one before.
pub(super) fn request_from(target: &Target, attach: Attach, thread: Option<u32>) -> Result<Offered, String> {
    let thread = thread.filter(|tid| target.name_of(*tid).as_deref() == Some(THREAD));
    let again_after = if attach.is_look { LOOK_AGAIN_AFTER } else { AGAIN_AFTER };
    let before = if thread.is_none() { target.process().threads().unwrap_or_default() } else { Vec::new() };
    let before: HashSet<u32> = before.into_iter().collect();
    let begin = format!("/memfd:{}", file_begin(attach.token));
    let started = Instant::now();
    let mut sent: Option<Instant> = None;
    for round in 0_u32.. {
        if sent.is_none_or(|at| at.elapsed() > again_after && !target.is_pending()) {
            let unsent = if sent.is_none() { UNSENT } else { "" };
            let is_known = thread.is_some() || target.is_known();
            let checked = if is_known { target.check_again() } else { target.check() };
            checked.map_err(|reason| format!("{reason}{unsent}"))?;
            ask(target, attach)?;
            sent = Some(Instant::now());
        }
        let until = started + WITHIN_IF_BUSY;
        // The thread is a new one, or the one of the look before. Now and then, look at all: ids are
        // used again, and that one may have ended.
        let found = match thread {
            Some(tid) if round % 64 != 63 => find_at(target, tid, &begin, until)?,
            _ => find(target, &begin, until, |tid| round % 64 == 63 || !before.contains(tid))?,
        };
        if let Some(offered) = found {
            return Ok(offered);
        }
        if target.has_ended() {
            return Err(format!("process {} has ended", target.pid()));
        }
        let waited = started.elapsed();
        if waited > WITHIN_IF_BUSY || waited > WITHIN && !is_busy(target) {
            return Err(no_file(target));
        }
        // Most have it within a millisecond.
        target.wait(Duration::from_micros(if round < 40 { 250 } else { 2_000 }));
    }
    unreachable!("the time is up before")
}

fn ask(target: &Target, attach: Attach) -> Result<(), String> {
    send(target.pidfd.as_fd(), target.signal, attach).map_err(|error| {
        let reason = match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::PERM) => {
                "you may not send it signals; run this command as its user or as root".to_owned()
            }
            Some(Errno::SRCH) => "it has ended".to_owned(),
            _ => error.to_string(),
        };
        format!("could not ask process {}: {reason}", target.pid())
    })
}

/// The file with this beginning of a name, among those of the threads that have it. A hostile process
/// can have very many, so it looks until a time.
fn find(
    target: &Target,
    begin: &str,
    until: Instant,
    is_wanted: impl Fn(&u32) -> bool,
) -> Result<Option<Offered>, String> {
    let mut threads = target.process().threads().unwrap_or_default();
    threads.retain(is_wanted);
    // The latest usually has the highest id.
    threads.sort_unstable_by(|a, b| b.cmp(a));
    for tid in threads {
        if target.name_of(tid).as_deref() == Some(THREAD)
            && let Some(offered) = find_at(target, tid, begin, until)?
        {
            return Ok(Some(offered));
        }
    }
    Ok(None)
}

/// The same, among the files of this thread.
fn find_at(target: &Target, tid: u32, begin: &str, until: Instant) -> Result<Option<Offered>, String> {
    let Ok(entries) = fs::read_dir(target.process().path(&format!("task/{tid}/fd"))) else { return Ok(None) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if Instant::now() > until {
            return Ok(None);
        }
        let Ok(link) = fs::read_link(&path) else { continue };
        if let Some(format) = link.to_str().and_then(|link| link.strip_prefix(begin)) {
            let format = format.split(' ').next().unwrap_or_default();
            return Offered::open(target, tid, &path, format).map(Some);
        }
    }
    Ok(None)
}

/// Whether it makes or writes another report.
fn is_busy(target: &Target) -> bool {
    let mut names = target.process().threads().unwrap_or_default().into_iter();
    // Those that are there only while a report is made or written.
    let of_report = [THREAD, "gmr stderr", "gmr section", "gmr symbols", "gmr reply"];
    names.any(|tid| target.name_of(tid).is_some_and(|name| of_report.contains(&&*name)))
}

/// Why there is no file in time.
fn no_file(target: &Target) -> String {
    let pid = target.pid();
    if target.is_pending() {
        return target.not_taken("was sent");
    }
    format!(
        "process {pid} has taken the signal, but offers no report within {} s: its reporter is stuck, or may not \
         make files. Its standard error may have a report; `gmr doctor {pid}` says more",
        WITHIN.as_secs()
    )
}
