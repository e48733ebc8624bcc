//! A program under test: starts it, talks to it, signals it, reads its reports, and ends it with
//! the test.
//!
//! Programs write JSON unless a test sets `GMR_FORMAT` to something else. Nothing waits longer than
//! [`LIMIT`], so a program that hangs fails its test, and the message says how far it got.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::report::Report;

/// The path of one of the programs in `tests/programs`.
macro_rules! program {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}
pub(crate) use program;

/// How long a test waits for a line, for the end of a program, or for a condition. A report takes
/// less than 20 s by its own deadlines; the rest is for machines that do other work.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

/// How often to repeat something. `GMR_TEST_SCALE`, in percent, reduces this where a report takes
/// seconds, such as in an emulated machine.
pub(crate) fn scaled(times: usize) -> usize {
    let scale = std::env::var("GMR_TEST_SCALE").ok();
    let percent: usize = scale.map_or(100, |percent| percent.parse().expect("a number of percent"));
    (times * percent / 100).max(1)
}

/// The variables that an operator can set. Only the tests set them, regardless of the environment
/// they run in.
const SETTINGS: [&str; 25] = [
    "GMR_BACKTRACE",
    "GMR_FORMAT",
    "GMR_LOG_DIR",
    "GMR_LOG_GZIP",
    "GMR_LOG_JOURNAL",
    "GMR_LOG_MAX_BYTES",
    "GMR_LOG_MAX_FILES",
    "GMR_LOG_TO_STDERR",
    "GMR_LOG_TRACING",
    "GMR_MASK",
    "GMR_MAX_BYTES",
    "GMR_MAX_PER_HOUR",
    "GMR_MIN_INTERVAL",
    "GMR_ON_DESCRIPTORS",
    "GMR_ON_FATAL",
    "GMR_ON_MEMORY",
    "GMR_ON_PANIC",
    "GMR_ON_THREADS",
    "GMR_SECTIONS",
    "GMR_SIGNAL",
    "GMR_SLOW_SHUTDOWN",
    "GMR_SLOW_START",
    "GMR_SLOW_TASK",
    "GMR_TRIGGER_FILE",
    "GMR_WATCHDOG",
];

pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<ChildStdout>,
    errors: Lines<ChildStderr>,
}

impl Program {
    /// Starts a program that reports in JSON, and waits until it says that it is ready. Examples
    /// add how to request a report.
    pub(crate) fn start(path: impl AsRef<OsStr>) -> Self {
        Self::start_with(Command::new(path))
    }

    /// Starts a program with the arguments and variables of this command.
    pub(crate) fn start_with(command: Command) -> Self {
        Self::try_start(command).unwrap_or_else(|said| panic!("it is not ready: {said}"))
    }

    /// Starts a program that may not be able to do what the test is about.
    ///
    /// # Errors
    /// What it says instead of that it is ready.
    pub(crate) fn try_start(command: Command) -> Result<Self, String> {
        let mut program = Self::spawn(command).map_err(|error| error.to_string())?;
        match program.hear() {
            said if said == "ready" || said.starts_with("ready: ") => Ok(program),
            said if said.is_empty() => Err(program.next_error_line()),
            said => Err(said),
        }
    }

    /// Starts a program, and does not wait until it is ready.
    ///
    /// # Errors
    /// It can't be started.
    pub(crate) fn spawn(mut command: Command) -> std::io::Result<Self> {
        let of_test: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
        for name in SETTINGS.into_iter().filter(|name| !of_test.iter().any(|other| other == name)) {
            match name {
                "GMR_FORMAT" => command.env(name, "json"),
                // Tests request one report after the other.
                "GMR_MIN_INTERVAL" => command.env(name, "off"),
                _ => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let output = Lines::new(child.stdout.take().expect("it is piped"));
        let errors = Lines::new(child.stderr.take().expect("it is piped"));
        Ok(Self { child, input, output, errors })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output.
    pub(crate) fn hear(&mut self) -> String {
        self.output.next().trim_end().to_owned()
    }

    /// Writes a line to its standard input, and returns its answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has not been ended");
        writeln!(input, "{line}").expect("it reads its standard input");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it lives");
    }

    /// Sends SIGUSR2 and reads the report.
    pub(crate) fn report(&mut self) -> Report {
        self.signal(Signal::USR2);
        self.next_report()
    }

    /// Whether a report is being written.
    pub(crate) fn is_writing(&self) -> bool {
        is_writing(self.pid())
    }

    /// How many reports are being written, or wait for that. More than one only with several copies
    /// of gmr.
    pub(crate) fn writers(&self) -> usize {
        writers(self.pid())
    }

    /// The process that this one has started first.
    pub(crate) fn first_child(&self) -> Pid {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let first = children.expect("it lives").split_ascii_whitespace().next().map(str::parse);
        Pid::from_raw(first.expect("a child").expect("a number")).expect("not 0")
    }

    /// Requests reports of a child until one fulfils the condition, and returns that one.
    pub(crate) fn report_of_when(
        &mut self,
        child: Pid,
        what: &str,
        mut holds: impl FnMut(&Report) -> bool,
    ) -> Report {
        let until = Instant::now() + LIMIT;
        loop {
            kill_process(child, Signal::USR2).expect("it lives");
            let report = self.next_report();
            if holds(&report) {
                return report;
            }
            assert!(Instant::now() < until, "not within {LIMIT:?}: {what}\n{report}");
        }
    }

    /// Requests reports until one fulfils the condition, and returns that one.
    pub(crate) fn report_when(&mut self, what: &str, mut holds: impl FnMut(&Report) -> bool) -> Report {
        let until = Instant::now() + LIMIT;
        loop {
            let report = self.report();
            if holds(&report) {
                return report;
            }
            assert!(Instant::now() < until, "not within {LIMIT:?}: {what}\n{report}");
        }
    }

    /// Reads the next report, in JSON, from standard error.
    pub(crate) fn next_report(&mut self) -> Report {
        Report::parse(&self.next_error_line())
    }

    /// The same, after lines that are no report.
    pub(crate) fn next_report_among_lines(&mut self) -> Report {
        loop {
            let line = self.next_error_line();
            assert!(!line.is_empty(), "it has ended without a report");
            if line.starts_with('{') {
                return Report::parse(&line);
            }
        }
    }

    /// Whether it writes to its standard error in this time.
    pub(crate) fn writes_within(&self, time: Duration) -> bool {
        let timeout = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let ready = poll(&mut [PollFd::new(&self.errors.pipe, PollFlags::IN)], Some(&timeout));
        ready.is_ok_and(|ready| ready > 0)
    }

    /// Waits until it writes more to its standard error, and reads the beginning of that.
    pub(crate) fn wait_for_errors(&mut self) {
        self.errors.read(Instant::now() + LIMIT);
    }

    /// The next line of its standard error, with its end; empty at the end of the stream.
    pub(crate) fn next_error_line(&mut self) -> String {
        self.errors.next()
    }

    /// Closes its standard input, which ends it, and returns how it ended and what was left on
    /// standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.input = None;
        let mut rest = String::new();
        loop {
            match self.errors.next() {
                line if line.is_empty() => break,
                line => rest.push_str(&line),
            }
        }
        (self.child.wait().expect("it ends"), rest)
    }
}

// A test that fails must not leave its program behind.
impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if the program has ended, as it has if the test succeeded.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a report of this process is being written to standard error, which a separate thread
/// does.
pub(crate) fn is_writing(pid: u32) -> bool {
    writers(pid) > 0
}

fn writers(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim_end() == "gmr stderr").count()
}

/// Tries until the condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "not within {LIMIT:?}: {what}");
        std::thread::yield_now();
    }
}

/// What a program writes to a pipe, line by line.
struct Lines<R> {
    pipe: R,
    unread: Vec<u8>,
    /// Where to look for the end of the next line: there is none before this.
    searched: usize,
}

impl<R: Read + AsFd> Lines<R> {
    fn new(pipe: R) -> Self {
        Self { pipe, unread: Vec::new(), searched: 0 }
    }

    /// The next line with its end, or what is left without one; empty at the end of the stream.
    fn next(&mut self) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(end) = self.unread[self.searched..].iter().position(|byte| *byte == b'\n') {
                return self.take(self.searched + end + 1);
            }
            self.searched = self.unread.len();
            if self.read(until) == 0 {
                return self.take(self.unread.len());
            }
        }
    }

    fn take(&mut self, length: usize) -> String {
        self.searched = 0;
        let rest = self.unread.split_off(length);
        let line = std::mem::replace(&mut self.unread, rest);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Reads what there is, after waiting for there to be something; 0 at the end of the stream.
    fn read(&mut self, until: Instant) -> usize {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout =
                Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => panic!(
                    "the program wrote no whole line within {LIMIT:?}; so far: {}",
                    String::from_utf8_lossy(&self.unread)
                ),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => panic!("its output cannot be waited for: {error}"),
            }
        }
        let mut piece = [0; 8 << 10];
        let length = self.pipe.read(&mut piece).expect("its output can be read");
        self.unread.extend_from_slice(&piece[..length]);
        length
    }
}
