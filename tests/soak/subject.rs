//! A program of the campaign, and what its reports say, judged from outside.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{COUNTS, Figures, THREADS};
use crate::program::{Program, wait_until};
use crate::report::{Report, list, text};

/// A program and what is known of it from outside.
pub(super) struct Subject {
    pub(super) program: Program,
    pub(super) counts: Option<File>,
    pub(super) log: PathBuf,
    /// Its sections, learned from its first report.
    pub(super) titles: Vec<String>,
    /// The time of the last signal that has not been answered.
    pub(super) owed: Option<SystemTime>,
    /// The numbers of the reports that came, and of those that the next one says were lost.
    pub(super) known: BTreeSet<u64>,
    /// Why the last reports that were read are not whole.
    pub(super) shortened: Vec<String>,
    pub(super) whole: u64,
}

/// The reason without what differs each time.
fn kind_of(reason: &str) -> String {
    let words = reason.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ").chars().take(100).collect()
}

impl Subject {
    fn read_counts(&self) -> Option<Vec<u64>> {
        let file = self.counts.as_ref()?;
        let mut bytes = [0; COUNTS.len() * 8];
        file.read_exact_at(&mut bytes, 0).expect("the file of the counts");
        Some(bytes.as_chunks::<8>().0.iter().map(|count| u64::from_ne_bytes(*count)).collect())
    }

    /// Waits until each of its threads has done something, and it has answered.
    pub(super) fn must_go_on(&mut self, question: &str) {
        if let Some(before) = self.read_counts() {
            let mut after = Vec::new();
            wait_until("each thread of the program goes on", || {
                after = self.read_counts().expect("it has counts");
                (0..THREADS).all(|thread| after[thread] > before[thread])
            });
            assert_eq!(after[COUNTS.len() - 1], 0, "the program was disturbed");
        }
        let answer = self.program.ask(question);
        assert!(!answer.is_empty() || question.is_empty(), "the program has ended: {}", self.state());
        assert!(!answer.contains("disturbed=") || answer.ends_with("disturbed=0"), "{answer}");
    }

    /// Its line in `/proc`, at whose end is its exit code, for messages.
    fn state(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/stat", self.program.pid())).unwrap_or_default()
    }

    pub(super) fn signal(&mut self) {
        self.owed = Some(SystemTime::now());
        self.program.signal(Signal::USR2);
    }

    /// Reads standard error until the report that is owed has arrived.
    pub(super) fn settle(&mut self) {
        while self.owed.is_some() {
            let line = self.program.next_error_line();
            assert!(!line.is_empty(), "the program has ended: {}", self.state());
            self.take_line(&line);
        }
    }

    /// A line of standard error: a report in JSON, a warning, or the beginning of a raw report.
    pub(super) fn take_line(&mut self, line: &str) {
        if line.starts_with('{') {
            match serde_json::from_str(line) {
                Ok(report) => self.take_report(&Report::new(report), true),
                // The next report must say that this one was cut off.
                Err(_) => self.shortened.push("cut off".to_owned()),
            }
        } else if line.starts_with("==== Guru Meditation: emergency report ") {
            self.take_raw_report(line);
        } else {
            let is_known = line.trim().is_empty() || line.starts_with("gmr: warning: ");
            assert!(is_known, "unexpected on standard error: {line}");
        }
    }

    fn answer_with(&mut self, made_at: &str, precision: Duration) {
        let made_at = humantime::parse_rfc3339(made_at).expect("a time");
        self.owed = self.owed.filter(|owed| made_at + precision <= *owed);
    }

    /// Judges a report in JSON, which came from standard error or was captured.
    fn take_report(&mut self, report: &Report, is_answer: bool) {
        if is_answer {
            self.answer_with(text(&report.heading()["made_at"]), Duration::from_millis(1));
        }
        assert_eq!(report.heading()["pid"], self.program.pid(), "{report}");
        for note in list(&report.heading()["notes"]).iter().map(text) {
            if note.contains(" lost its last ") {
                let mut numbers = note.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse::<u64>);
                self.known.extend(numbers.next());
            }
        }
        assert!(self.known.insert(report.number()) || !is_answer || report.trigger()["kind"] == "signal");
        if self.titles.is_empty() {
            self.titles = report.titles().into_iter().map(str::to_owned).collect();
        }
        assert_eq!(report.titles(), self.titles, "{report}");
        let before = self.shortened.len();
        for section in report.sections() {
            let content = &section["content"];
            if ["error", "panicked", "timed_out", "skipped"].contains(&text(&content["kind"])) {
                let reason = format!("{}: {}", text(&section["title"]), content["data"]);
                assert!(reason.len() > 10, "without a reason: {content}");
                self.shortened.push(kind_of(&reason));
            }
        }
        if report.content("Threads")["kind"] == "threads" {
            let data = report.data("Threads", "threads");
            self.shortened.extend(list(&data["notes"]).iter().map(|note| kind_of(text(note))));
            let threads = report.threads();
            if self.counts.is_some() {
                let names: BTreeSet<_> = threads.iter().map(|thread| thread.name()).collect();
                assert!(COUNTS[..THREADS].iter().all(|name| names.contains(name)), "{report}");
            }
            let of_program = threads.iter().filter(|thread| matches!(thread.role(), "main" | "program"));
            for thread in of_program {
                // This panics if a stack is missing without a reason.
                if let Some(reason) = thread.stack().incomplete.filter(|_| !thread.stack().is_whole()) {
                    self.shortened.push(kind_of(&format!("stack: {reason}")));
                } else {
                    assert!(!thread.stack().is_missing());
                }
            }
        } else {
            assert!(self.shortened.len() > before, "{report}");
        }
        // One reason is enough.
        self.shortened.dedup();
        self.shortened.truncate(before + 1);
        self.whole += u64::from(self.shortened.len() == before);
    }

    fn take_raw_report(&mut self, first: &str) {
        let number = first.trim_end().trim_end_matches(" ====").rsplit(' ').next().expect("a number");
        let end = format!("==== end of emergency report {number} ====");
        let mut lines = vec![first.to_owned()];
        while lines.last().is_some_and(|line| line.trim_end() != end) {
            let line = self.program.next_error_line();
            assert!(!line.is_empty() && !line.starts_with('{'), "not to its end: {lines:#?}");
            lines.push(line);
        }
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim_end);
        let reason = field("reason = ").unwrap_or_else(|| panic!("without a reason: {lines:#?}"));
        self.shortened.push(kind_of(&format!("raw: {reason}")));
        for name in COUNTS[..THREADS].iter().filter(|_| self.counts.is_some()) {
            let is_there = lines.iter().any(|line| line.contains(&format!("\"{name}\"")));
            assert!(is_there, "{name} is not in {lines:#?}");
        }
        let made_at = field("made_at = ").expect("a time").to_owned();
        self.known.insert(number.parse().expect("a number"));
        self.answer_with(&made_at, Duration::from_secs(1));
    }

    /// Has a fault happen inside the program.
    pub(super) fn have(&mut self, fault: &str) {
        assert_eq!(self.program.ask(fault), "done", "{fault}: {}", self.state());
    }

    pub(super) fn capture(&mut self) -> Report {
        let report = Report::parse(&self.program.ask("capture"));
        self.take_report(&report, false);
        report
    }

    /// Ends the program, after a last report, and looks whether each number is accounted for.
    pub(super) fn end(mut self, figures: &mut Figures) {
        self.signal();
        self.settle();
        figures.asked += 1;
        let last = *self.known.last().expect("the last report");
        let unknown: Vec<u64> = (1..last).filter(|number| !self.known.contains(number)).collect();
        assert!(unknown.is_empty(), "lost without a note: {unknown:?} of {last}");
        self.count(figures);
        let (status, rest) = self.program.end();
        assert!(status.success(), "{status}");
        assert!(!rest.contains("emergency"), "{rest}");
    }

    pub(super) fn count(&mut self, figures: &mut Figures) {
        figures.whole += std::mem::take(&mut self.whole);
        for reason in std::mem::take(&mut self.shortened) {
            *figures.shortened.entry(reason).or_default() += 1;
        }
    }
}
