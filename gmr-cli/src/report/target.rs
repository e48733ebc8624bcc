//! A process that can be asked for a report: looks whether it is safe to send it the signal.
//! Nothing is sent here.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::{LOOKS_SINCE, Mark, REPORTS_SINCE, signal_name};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::processes::{Process, Signals, Status, may_not_be_looked_at};

/// For how long to wait while another report signal is pending. A thread takes it within
/// microseconds, or gmr's own within 200 ms.
const PENDING_FOR: Duration = Duration::from_secs(1);

/// For how long the address map need not be read again. With a thousand threads, that takes some
/// milliseconds.
const KNOWN_FOR: Duration = Duration::from_millis(100);

/// The end of an error before the process was sent anything.
pub(super) const UNSENT: &str = ". Nothing was sent to it";

/// A process that can be asked.
pub(crate) struct Target {
    process: Process,
    /// Stays with the process when its id is used again.
    pub(super) pidfd: OwnedFd,
    pub(super) signal: i32,
    /// What it must understand.
    layout: u32,
    /// Its address map, open: there is nothing to read in it once another program has replaced this
    /// one.
    maps: Option<File>,
    /// When its address map was read.
    read: Instant,
}

impl Target {
    /// Looks at the process. Nothing is sent to it.
    ///
    /// # Errors
    /// It can't be asked, for this reason.
    pub(super) fn new(process: Process) -> Result<Self, String> {
        Self::that_understands(process, REPORTS_SINCE)
    }

    /// The same for a process that can be looked at many times.
    pub(super) fn for_looks(process: Process) -> Result<Self, String> {
        Self::that_understands(process, LOOKS_SINCE)
    }

    fn that_understands(process: Process, layout: u32) -> Result<Self, String> {
        let pid = process.pid();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| format!("{pid} is no id of a process"))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|error| match error {
            Errno::SRCH | Errno::INVAL => {
                format!("there is no process {pid}; `gmr list` lists those with gmr")
            }
            Errno::NOSYS => "this kernel has no pidfds: `gmr report` needs Linux 5.3".to_owned(),
            error => format!("could not open process {pid}: {}", io::Error::from(error)),
        })?;
        is_same(&pidfd, pid)?;
        let status = status(process)?;
        if status.state() == 'Z' && !has_living_threads(process) {
            return Err(format!("process {pid} has ended, and its parent has not waited for it"));
        }
        let read = Instant::now();
        // Before the marks: they are those of this program.
        let maps = File::open(process.path("maps")).ok();
        let marks = process.marks().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => format!("{}{UNSENT}", may_not_be_looked_at(pid)),
            _ => format!("could not look at process {pid}: {error}"),
        })?;
        let signal = signal(pid, &marks, layout).map_err(|reason| format!("{reason}{UNSENT}"))?;
        let target = Self { process, pidfd, signal, layout, maps, read };
        target.look().map_err(|reason| format!("{reason}{UNSENT}"))?;
        target.wait_for_pending()?;
        Ok(target)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn process(&self) -> Process {
        self.process
    }

    /// Whether the process can be sent the signal now: it may have become another program.
    ///
    /// # Errors
    /// It can't, for this reason. Whether anything has been sent before is not said.
    pub(super) fn check(&self) -> Result<(), String> {
        let pid = self.pid();
        let marks =
            self.process.marks().map_err(|error| format!("could not look at process {pid}: {error}"))?;
        if signal(pid, &marks, self.layout)? != self.signal {
            return Err(format!("process {pid} has changed its report signal; try again"));
        }
        self.look()
    }

    /// Whether its address map has just been read, as [`check`](Self::check) would do again.
    pub(super) fn is_known(&self) -> bool {
        self.read.elapsed() < KNOWN_FOR
    }

    /// The same, soon after a check. Its address map is not read again: this takes microseconds, also
    /// for a process with thousands of threads, whose map is not locked for longer.
    ///
    /// # Errors
    /// As above.
    pub(super) fn check_again(&self) -> Result<(), String> {
        let is_same_program = |maps: &File| maps.read_at(&mut [0], 0).is_ok_and(|length| length > 0);
        if self.maps.as_ref().is_some_and(is_same_program) { self.look() } else { self.check() }
    }

    /// The same, as far as the state of the process is concerned.
    fn look(&self) -> Result<(), String> {
        let (pid, name) = (self.pid(), signal_name(self.signal));
        let status = status(self.process)?;
        if self.has_ended() {
            return Err(format!("process {pid} has ended"));
        }
        if let 'T' | 't' = status.state() {
            return Err(format!(
                "process {pid} is stopped, and takes no signal until it continues: `kill -CONT {pid}`, or leave the \
                 debugger"
            ));
        }
        if status.has(Signals::Caught, self.signal) != Some(true) {
            return Err(format!(
                "process {pid} has no handler for {name} any more; `gmr doctor {pid}` says more"
            ));
        }
        let queue = status.value("SigQ").and_then(|queue| queue.split_once('/'));
        let queue = queue.and_then(|(length, limit)| Some((length.parse().ok()?, limit.parse().ok()?)));
        if queue.is_some_and(|(length, limit): (u64, u64)| length >= limit) {
            return Err(format!(
                "the queue of signals of the user of process {pid} is full, so that the request would be lost; \
                 `{}` has the report written to its standard error",
                kill(pid, self.signal)
            ));
        }
        Ok(())
    }

    pub(super) fn is_pending(&self) -> bool {
        status(self.process).is_ok_and(|status| status.has(Signals::Pending, self.signal) == Some(true))
    }

    fn wait_for_pending(&self) -> Result<(), String> {
        let until = Instant::now() + PENDING_FOR;
        while self.is_pending() {
            if Instant::now() > until {
                return Err(self.not_taken("was pending before"));
            }
            self.wait(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn name_of(&self, tid: u32) -> Option<String> {
        let name = self.process.read(&format!("task/{tid}/comm")).ok()?;
        Some(name.trim_end().to_owned())
    }

    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Waits this long, or until the process ends.
    pub(crate) fn wait(&self, time: Duration) {
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&time));
    }

    pub(super) fn not_taken(&self, when: &str) -> String {
        let pid = self.pid();
        let state = self.process.read(&format!("task/{pid}/status")).ok();
        let state = state.and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("State:"))?;
            Some(format!("; its main thread: {}", line.trim()))
        });
        format!(
            "process {pid} has not taken {}, which {when}{}. `gmr doctor {pid}` says more",
            signal_name(self.signal),
            state.unwrap_or_default()
        )
    }
}

/// Checks that the pidfd is that of the process with this id in `/proc`, which can be that of another
/// PID namespace than this command's: there, the id is another process's.
fn is_same(pidfd: &OwnedFd, pid: u32) -> Result<(), String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok();
    let shown = info.as_deref().and_then(|info| {
        let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        line.trim().parse::<u32>().ok()
    });
    if shown == Some(pid) {
        return Ok(());
    }
    Err(format!(
        "/proc is that of another PID namespace than this command's, so {pid} can be another process here; run \
         the command outside of the container, or with a /proc of its own{UNSENT}"
    ))
}

fn status(process: Process) -> Result<Status, String> {
    process.status().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no process {}; `gmr list` lists those with gmr", process.pid())
        }
        _ => format!("could not look at process {}: {error}", process.pid()),
    })
}

/// The signal by which a process with these marks can be asked for what this layout has.
fn signal(pid: u32, marks: &[Mark], layout: u32) -> Result<i32, String> {
    let Some(first) = marks.first() else {
        return Err(format!(
            "process {pid} has no mark of gmr, and the report signal might end it; `gmr doctor {pid}` says more"
        ));
    };
    if let Some(mark) = marks.iter().find(|mark| mark.attach >= Some(layout))
        && let Some(signal) = mark.signal
    {
        return Ok(signal);
    }
    Err(match first.signal {
        None => format!("process {pid} handles no report signal: the program or GMR_SIGNAL has it so"),
        Some(_) if marks.iter().any(|mark| mark.attach.is_some()) => format!(
            "gmr {} in process {pid} understands no requests for looks, which this command (gmr {}) makes; \
             `gmr report {pid}` shows one report",
            first.gmr,
            env!("CARGO_PKG_VERSION"),
        ),
        Some(signal) => format!(
            "gmr {} in process {pid} does not understand this command's requests (gmr {}); `{}` has the report \
             written to its standard error",
            first.gmr,
            env!("CARGO_PKG_VERSION"),
            kill(pid, signal)
        ),
    })
}

/// How to send the signal without this command.
fn kill(pid: u32, signal: i32) -> String {
    // Real-time signals have numbers only.
    let name = signal_name(signal);
    format!("kill -{} {pid}", name.trim_start_matches("SIG").trim_start_matches("signal "))
}

/// The main thread can end before the others.
fn has_living_threads(process: Process) -> bool {
    let threads = process.threads().unwrap_or_default();
    threads.into_iter().any(|tid| Status::of_thread(process, tid).is_ok_and(|status| status.state() != 'Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pidfd_is_compared_with_proc() {
        let this = rustix::process::getpid();
        let pidfd = pidfd_open(this, PidfdFlags::empty()).expect("this process");
        let pid = std::process::id();
        assert_eq!(is_same(&pidfd, pid), Ok(()));
        assert!(is_same(&pidfd, pid + 1).expect_err("another one").contains("another PID namespace"));
    }

    /// What `check_again` relies on.
    #[test]
    fn the_open_address_map_of_a_program_is_empty_once_another_one_has_replaced_it() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut command = Command::new("sh");
        let command = command.args(["-c", "read line; exec sleep 600"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let maps = File::open(format!("/proc/{}/maps", child.id())).expect("it lives");
        let has_lines = || maps.read_at(&mut [0], 0).is_ok_and(|length| length > 0);
        assert!(has_lines());
        child.stdin.take().expect("it is piped").write_all(b"\n").expect("it reads");
        while has_lines() {
            std::thread::yield_now();
        }
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }

    #[test]
    fn only_a_process_that_says_so_is_asked() {
        let mark = |signal, attach| Mark { signal, attach, gmr: "0.9".to_owned(), ..Mark::default() };
        for later in 0..3 {
            let understands = mark(Some(12), Some(REPORTS_SINCE + later));
            assert_eq!(signal(7, std::slice::from_ref(&understands), REPORTS_SINCE), Ok(12));
            // Another copy of gmr in it does.
            assert_eq!(signal(7, &[mark(Some(10), None), understands], REPORTS_SINCE), Ok(12));
        }
        let refused = |marks: &[Mark]| signal(7, marks, REPORTS_SINCE).expect_err("it is not asked");
        assert!(refused(&[]).contains("no mark of gmr"));
        assert!(refused(&[mark(Some(12), None)]).contains("`kill -USR2 7`"));
        assert!(refused(&[mark(None, None)]).contains("handles no report signal"));
        let before_looks = [mark(Some(12), Some(REPORTS_SINCE))];
        let error = signal(7, &before_looks, LOOKS_SINCE).expect_err("it would write a report");
        assert!(error.contains("gmr 0.9") && error.contains("`gmr report 7`"), "{error}");
        assert_eq!(signal(7, &[mark(Some(12), Some(LOOKS_SINCE))], LOOKS_SINCE), Ok(12));
    }
}
