//! What came of each test in the machines, and the summary of all.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::plan::Plan;

/// What a machine's lines about outcomes begin with.
pub(super) const MARK: &str = "gmr-outcome:";

/// What came of one test.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    /// The test's number in the plan.
    number: usize,
    /// The exit status of its process, as a shell has it.
    status: u32,
    /// How long it took, by the machine's clock, in seconds.
    seconds: f64,
    /// What the test has not checked, and why, if it has said so.
    skipped: Option<String>,
}

impl Outcome {
    /// What a machine writes after each test: number, status, the clock before and after it, and
    /// what the test has said that it skips.
    pub(super) fn parse(line: &str, plan: &Plan) -> Option<Self> {
        let (line, skipped) = match line.split_once(" skipped: ") {
            Some((line, reason)) => (line, Some(reason.to_owned())),
            None => (line, None),
        };
        let mut fields = line.strip_prefix(MARK)?.split_ascii_whitespace();
        let number = fields.next()?.parse().ok().filter(|number| *number < plan.tests.len())?;
        let status = fields.next()?.parse().ok()?;
        let begin: f64 = fields.next()?.parse().ok()?;
        let end: f64 = fields.next()?.parse().ok()?;
        Some(Self { number, status, seconds: end - begin, skipped })
    }

    /// A line for people.
    pub(super) fn shown(&self, plan: &Plan) -> String {
        let word = match (self.status, &self.skipped) {
            (0, None) => "passed",
            (0, Some(_)) => "skipped",
            _ => "FAILED",
        };
        let mut line = format!("{word:7} {:7.2} s  {}", self.seconds, plan.tests[self.number].name);
        if ![0, 101].contains(&self.status) {
            let _ = write!(line, " (exit status {})", self.status);
        }
        line
    }
}

/// What came of all tests.
pub(super) struct Summary<'a> {
    passed: usize,
    left_out: Vec<(&'a str, &'a str)>,
    /// Those that have skipped a part of what they check, or all of it.
    skipped: Vec<(&'a str, &'a str)>,
    failed: Vec<&'a str>,
    /// Those of which no machine has written an outcome.
    not_reached: Vec<&'a str>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(plan: &'a Plan, outcomes: &'a [Outcome]) -> Self {
        let by_number: BTreeMap<_, _> = outcomes.iter().map(|outcome| (outcome.number, outcome)).collect();
        let mut summary = Self {
            passed: 0,
            left_out: plan.left_out.iter().map(|test| (&*test.name, &*test.reason)).collect(),
            skipped: Vec::new(),
            failed: Vec::new(),
            not_reached: Vec::new(),
        };
        for (number, test) in plan.tests.iter().enumerate() {
            match by_number.get(&number) {
                Some(Outcome { status: 0, skipped: Some(reason), .. }) => {
                    summary.skipped.push((&test.name, reason));
                }
                Some(Outcome { status: 0, .. }) => summary.passed += 1,
                Some(_) => summary.failed.push(&test.name),
                None => summary.not_reached.push(&test.name),
            }
        }
        summary
    }

    /// Fails unless all tests have passed.
    pub(super) fn result(&self) -> Result<(), String> {
        if self.failed.is_empty() && self.not_reached.is_empty() {
            return Ok(());
        }
        Err(format!("{} tests failed, and {} were not reached", self.failed.len(), self.not_reached.len()))
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, tests) in [("failed", &self.failed), ("not reached", &self.not_reached)] {
            if !tests.is_empty() {
                writeln!(formatter, "{title}:\n  {}\n", tests.join("\n  "))?;
            }
        }
        for (title, tests) in [("left out", &self.left_out), ("skipped, at least in part", &self.skipped)] {
            if !tests.is_empty() {
                writeln!(formatter, "{title}:")?;
                for (name, reason) in tests {
                    writeln!(formatter, "  {name} ({reason})")?;
                }
                writeln!(formatter)?;
            }
        }
        write!(
            formatter,
            "{} passed, {} failed, {} not reached, {} skipped, {} left out",
            self.passed,
            self.failed.len(),
            self.not_reached.len(),
            self.skipped.len(),
            self.left_out.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{LeftOut, Test};
    use super::*;

    fn plan() -> Plan {
        let test = |name: &str| Test { program: "/program".into(), name: name.to_owned() };
        let left_out = vec![LeftOut { name: "browser".to_owned(), reason: "no browser".to_owned() }];
        Plan { tests: ["one", "two", "three"].map(test).to_vec(), left_out }
    }

    #[test]
    fn outcomes_are_read_from_lines() {
        let plan = plan();
        let read = |line: &str| Outcome::parse(line, &plan);
        let outcome = read("gmr-outcome: 1 137 10.25 12.75").unwrap();
        assert_eq!(outcome.shown(&plan), "FAILED     2.50 s  two (exit status 137)");
        assert_eq!(
            read("gmr-outcome: 2 0 1.00 1.50").unwrap(),
            Outcome { number: 2, status: 0, seconds: 0.5, skipped: None }
        );
        let skipped = read("gmr-outcome: 0 0 1.00 1.50 skipped: no unshare: install it").unwrap();
        assert_eq!(skipped.skipped.as_deref(), Some("no unshare: install it"));
        assert_eq!(skipped.shown(&plan), "skipped    0.50 s  one");
        for line in ["", "test one ... ok", "gmr-outcome: 3 0 1.00 1.50", "gmr-outcome: 1 0 1.00"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn a_test_without_an_outcome_is_a_failure() {
        let plan = plan();
        let outcome = |number, status, skipped: Option<&str>| Outcome {
            number,
            status,
            seconds: 0.0,
            skipped: skipped.map(str::to_owned),
        };
        let all = [outcome(0, 0, None), outcome(1, 0, None), outcome(2, 0, Some("no gdb"))];
        assert_eq!(Summary::new(&plan, &all).result(), Ok(()));
        let some = [outcome(0, 0, Some("no gdb")), outcome(1, 101, None)];
        let summary = Summary::new(&plan, &some);
        assert_eq!(summary.result(), Err("1 tests failed, and 1 were not reached".to_owned()));
        let shown = "\
failed:
  two

not reached:
  three

left out:
  browser (no browser)

skipped, at least in part:
  one (no gdb)

0 passed, 1 failed, 1 not reached, 1 skipped, 1 left out";
        assert_eq!(summary.to_string(), shown);
    }
}
