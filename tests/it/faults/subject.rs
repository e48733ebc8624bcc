//! The program whose calls fail: asks it for reports, and finds out what they lack.

use std::process::Command;
use std::time::Instant;

use libc::c_long;

use super::judging::{Lack, RAW, REPORT, REPORT_ITSELF, lack};
use super::{Call, Error};
use crate::program::{LIMIT, Program, program, wait_until};
use crate::report::{Report, list, text};

/// How a report ends.
pub(super) enum Next {
    Report(Report),
    /// In its raw form, with the reason.
    Raw(String),
    /// The process has ended.
    Nothing,
}

/// The program, and what it has written besides reports.
pub(super) struct Subject {
    pub(super) program: Program,
    pub(super) said: String,
}

impl Subject {
    /// `calls` are those that can fail. `None` where there can be no filter of system calls.
    pub(super) fn start(calls: &str, format: &str) -> Option<Self> {
        let mut command = Command::new(program!("faults"));
        command.arg(calls).env("GMR_FORMAT", format);
        Self::run(command)
    }

    /// The call fails while gmr is installed.
    pub(super) fn install(call: Call, error: Error) -> Option<Self> {
        let mut command = Command::new(program!("faults"));
        command.args(words(call, error).split(' '));
        Self::run(command)
    }

    fn run(command: Command) -> Option<Self> {
        match Program::try_start(command) {
            Ok(program) => Some(Self { program, said: String::new() }),
            Err(reason) => {
                assert!(reason.starts_with("skipped: "), "it is not ready: {reason}");
                eprintln!("{reason}");
                None
            }
        }
    }

    pub(super) fn ask(&mut self, question: &str) -> String {
        let answer = self.program.ask(question);
        if answer.is_empty() && question != "calls" {
            while let Next::Report(_) | Next::Raw(_) = self.next() {}
            panic!("it has ended before `{question}`: {}", self.said);
        }
        answer
    }

    pub(super) fn fail(&mut self, call: Call, error: Error) {
        assert_eq!(self.ask(&format!("fail {}", words(call, error))), "fails");
    }

    /// Whether the call was made, and has failed.
    pub(super) fn has_failed(&mut self) -> bool {
        self.ask("failed") == "yes"
    }

    /// The calls that gmr has made since the last time.
    pub(super) fn calls(&mut self) -> Vec<c_long> {
        let calls = self.ask("calls");
        calls.split_ascii_whitespace().map(|number| number.parse().expect("a number")).collect()
    }

    fn next(&mut self) -> Next {
        let mut reason = None;
        loop {
            let line = self.program.next_error_line();
            match line.trim_end() {
                _ if line.is_empty() => return Next::Nothing,
                line if line.starts_with('{') => return Next::Report(Report::parse(line)),
                line if line.starts_with("==== end of emergency report ") => {
                    return Next::Raw(reason.expect("a raw report has a reason"));
                }
                line => {
                    reason = reason.or_else(|| line.strip_prefix("reason = ").map(str::to_owned));
                    self.said.push_str(line);
                    self.said.push('\n');
                }
            }
        }
    }

    pub(super) fn report(&mut self) -> Next {
        assert_eq!(self.ask("report"), "sent");
        let next = self.next();
        assert_eq!(self.ask("rest"), "rests");
        next
    }

    /// What each report lacks while this call fails. `suffices` is whether that is little enough.
    /// On a machine that does other work, a report may lack more, because a deadline has passed:
    /// then what the next one has does not count as missing.
    pub(super) fn lacks(
        &mut self,
        call: Call,
        error: Error,
        mut suffices: impl FnMut(&Lack) -> bool,
    ) -> Lack {
        if REPORT_ITSELF.contains(&call.name) && !error.every_other {
            self.loses_report(call, error);
            return Lack::from([REPORT.to_owned()]);
        }
        self.fail(call, error);
        let until = Instant::now() + LIMIT;
        let mut lack = self.lacks_once(call);
        // Later reports make some calls that the first one does not make.
        let mut is_tried = self.has_failed();
        while !(is_tried && suffices(&lack)) && Instant::now() < until {
            lack = lack.intersection(&self.lacks_once(call)).cloned().collect();
            is_tried = true;
        }
        lack
    }

    fn lacks_once(&mut self, call: Call) -> Lack {
        match self.report() {
            Next::Report(report) => lack(&report),
            Next::Raw(reason) => {
                assert!(reason.contains("memory"), "{reason}");
                Lack::from([RAW.to_owned()])
            }
            Next::Nothing => panic!("{} harms the process: {}", call.name, self.said),
        }
    }

    /// No report comes while its output fails. The next one must say so.
    fn loses_report(&mut self, call: Call, error: Error) {
        self.fail(call, error);
        assert_eq!(self.ask("report"), "sent");
        // The call may fail first in the thread that notices pending signals. The one that writes
        // is a new one.
        wait_until("the report is given up", || {
            self.ask("failed in a new thread") == "yes" && !self.program.is_writing()
        });
        assert_eq!(self.ask("heal"), "healed");
        assert_eq!(self.ask("report"), "sent");
        let Next::Report(report) = self.next() else { panic!("no report: {}", self.said) };
        assert_eq!(self.ask("rest"), "rests");
        let notes = list(&report.heading()["notes"]);
        assert!(notes.iter().any(|note| text(note).contains("lost")), "{report}");
    }

    /// The process goes on in spite of the failures, and its calls succeed from now on.
    pub(super) fn works_and_heals(&mut self, what: &str) {
        assert_eq!(self.ask("works"), "works", "{what}");
        assert_eq!(self.ask("heal"), "healed");
        assert!(!self.said.contains("panicked"), "{what}: {}", self.said);
    }

    /// Reports are whole once the calls succeed.
    pub(super) fn reports_are_whole(&mut self, what: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            let Next::Report(report) = self.report() else {
                panic!("{what}: no report afterwards: {}", self.said)
            };
            let lack = lack(&report);
            if lack.is_empty() {
                break;
            }
            assert!(Instant::now() < until, "{what}: afterwards, {lack:?} are missing:\n{report}");
        }
    }

    pub(super) fn end(self, what: &str) {
        let (status, rest) = self.program.end();
        assert!(status.success(), "{what}: {status}: {}{rest}", self.said);
    }
}

/// As the program reads them.
fn words(call: Call, error: Error) -> String {
    let which = if error.every_other { " every-other" } else { "" };
    format!("{} {}{which}", call.number, error.number)
}
