//! A program under test: started, talked to, signalled, its reports read, and ended with the test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::report::Report;

/// The path of one of the programs in `tests/programs`.
macro_rules! program {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}
pub(crate) use program;

pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Program {
    /// Starts it, and waits until it says that it is ready.
    pub(crate) fn start(path: impl AsRef<OsStr>) -> Self {
        Self::start_with(Command::new(path))
    }

    pub(crate) fn start_with(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut program = Self { child, input, output, errors };
        assert_eq!(program.hear(), "ready");
        program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output can be read");
        line.trim_end().to_owned()
    }

    /// Says a line to it, and returns its answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let input = self.input.as_mut().expect("it has not been ended");
        writeln!(input, "{line}").expect("it listens");
        self.hear()
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

    /// Reads standard error up to the end of the next report.
    pub(crate) fn next_report(&mut self) -> Report {
        Report::parse(&self.next_report_text())
    }

    pub(crate) fn next_report_text(&mut self) -> String {
        let mut text = String::new();
        loop {
            let line = self.next_error_line();
            assert!(!line.is_empty(), "standard error was closed before the report's end:\n{text}");
            text.push_str(&line);
            if Report::is_last_line(text.lines().next_back().unwrap_or_default()) {
                return text;
            }
        }
    }

    /// The next line of its standard error, with its end; empty if there is none any more.
    pub(crate) fn next_error_line(&mut self) -> String {
        let mut line = Vec::new();
        self.errors.read_until(b'\n', &mut line).expect("its standard error can be read");
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Closes its standard input, which ends it, and returns how it ended and what was left on standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.input = None;
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).expect("its standard error can be read");
        (self.child.wait().expect("it ends"), rest)
    }
}

// A test that fails must not leave its program behind.
impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
