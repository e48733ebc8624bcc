//! Which tests run in which machine, and which are left out, with the reason.

use std::path::PathBuf;

const NO_COMPILER: &str = "the machine has no compiler";
const NO_MODULES: &str = "the machine has no lxml and no jsonschema";
const SAME_EVERYWHERE: &str = "the same on every processor";

/// The tests that no machine runs, by the start of their paths. Those with `#[ignore]` are left out
/// too.
const NOT_RUN: [(&str, &str); 9] = [
    ("agreement::of_a_program_whose_panics_abort", NO_COMPILER),
    ("agreement::of_a_static_program_with_musl", "musl's target is x86_64"),
    ("imports::", SAME_EVERYWHERE),
    ("isolation::where_panics_abort", NO_COMPILER),
    ("linking::", NO_COMPILER),
    ("symbols::linux::tests::", NO_COMPILER),
    ("threads::each_thread_of_a_static_program", "musl's target is x86_64"),
    ("tools::", SAME_EVERYWHERE),
    ("views::every_view_says_the_same", NO_MODULES),
];

/// A test, and the program that has it.
#[derive(Clone)]
pub(super) struct Test {
    pub(super) program: PathBuf,
    pub(super) name: String,
}

/// A test that is not run, and why.
pub(super) struct LeftOut {
    pub(super) name: String,
    pub(super) reason: String,
}

impl LeftOut {
    /// What a test program prints of a test with `#[ignore]`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = rest.strip_prefix(", ").unwrap_or("ignored, without a reason");
        Some(Self { name: name.to_owned(), reason: reason.to_owned() })
    }
}

pub(super) struct Plan {
    /// The tests that are run. Machines name them by their numbers.
    pub(super) tests: Vec<Test>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Plan {
    /// Of these tests, those whose paths contain one of the words, or all if there is no word.
    pub(super) fn new(tests: Vec<Test>, ignored: Vec<LeftOut>, words: &[&str]) -> Self {
        let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
        let mut plan = Self { tests: Vec::new(), left_out: ignored };
        plan.left_out.retain(|test| is_wanted(&test.name));
        for test in tests.into_iter().filter(|test| is_wanted(&test.name)) {
            if plan.left_out.iter().any(|ignored| ignored.name == test.name) {
                continue;
            }
            match NOT_RUN.iter().find(|(start, _)| test.name.starts_with(start)) {
                Some((_, reason)) => {
                    plan.left_out.push(LeftOut { name: test.name, reason: (*reason).to_owned() });
                }
                None => plan.tests.push(test),
            }
        }
        plan
    }

    /// A line for each test, for each machine: the test's number, its name, and its program, whose
    /// path can have spaces. Neighbours take similar times, so they go to different machines.
    pub(super) fn parts(&self, machines: usize) -> Vec<String> {
        let line =
            |(number, test): (usize, &Test)| format!("{number} {} {}\n", test.name, test.program.display());
        let part =
            |machine| self.tests.iter().enumerate().skip(machine).step_by(machines).map(line).collect();
        (0..machines).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        Test { program: "/a program".into(), name: name.to_owned() }
    }

    #[test]
    fn each_test_is_in_one_part_or_left_out() {
        let names = ["signals::one", "tools::two", "waits::three", "waits::four", "waits::five"];
        let ignored = vec![LeftOut { name: "waits::four".to_owned(), reason: "slow".to_owned() }];
        let plan = Plan::new(names.map(test).to_vec(), ignored, &[]);
        let parts = ["0 signals::one /a program\n2 waits::five /a program\n", "1 waits::three /a program\n"];
        assert_eq!(plan.parts(2), parts);
        let left_out: Vec<_> = plan.left_out.iter().map(|test| (&*test.name, &*test.reason)).collect();
        assert_eq!(left_out, [("waits::four", "slow"), ("tools::two", SAME_EVERYWHERE)]);
    }

    #[test]
    fn words_choose_tests() {
        let ignored = vec![LeftOut { name: "waits::four".to_owned(), reason: "slow".to_owned() }];
        let tests = ["signals::one", "tools::two", "waits::four"].map(test).to_vec();
        let plan = Plan::new(tests, ignored, &["signals", "other"]);
        assert_eq!(plan.parts(1), ["0 signals::one /a program\n"]);
        assert!(plan.left_out.is_empty());
    }
}
