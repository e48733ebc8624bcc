//! Tests that hang under `#[gmr::test]`. The planted ones are tests of this file that only run when
//! their name is passed to this same executable.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The command that runs a planted test.
fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command.args(["--ignored", "--exact", &format!("hanging::planted::{name}")]);
    command.env_remove("GMR_TEST_TIMEOUT").stdin(Stdio::null());
    command
}

fn run(name: &str) -> Output {
    command(name).output().expect("it ends")
}

/// What the test runner prints about a planted test that fails.
fn failure(name: &str) -> String {
    let output = run(name);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert!(said.contains("1 failed"), "{said}");
    said
}

/// The number of the line of this file that contains this text, but is not this call.
fn line_of(text: &str) -> usize {
    let source = include_str!("hanging.rs");
    let line = source.lines().position(|line| line.trim() == text);
    line.expect("a line of the source") + 1
}

#[test]
fn a_test_that_hangs_fails_with_its_place_after_a_report() {
    let said = failure("hangs");
    let place = format!("hanging.rs:{}", line_of("std::thread::park(); // hangs"));
    let problem =
        said.split_once("test `hanging::planted::hangs` has not ended within 100 ms").expect(&said).1;
    let line = problem.lines().next().unwrap_or_default();
    assert!(line.contains("planted::forever") && line.contains(&place), "{line}");
    // The test's thread is the first one of the report.
    let first = said.split("------").find(|title| title.contains("Thread #")).expect(&said);
    let at = said.find(first).expect(&said);
    let next = at + said[at..].find("\n------ ").expect(&said);
    assert!(said[at..next].contains(&place), "{said}");
    assert!(said.contains("automatic (test)"), "{said}");
}

#[test]
fn an_async_test_that_hangs_fails_with_the_place_of_its_await() {
    for name in ["awaits", "of_many_threads"] {
        let said = failure(name);
        let place = format!("hanging.rs:{}", line_of(&format!("Notify::new().notified().await; // {name}")));
        let line = said.lines().find(|line| line.starts_with("test `hanging")).expect(&said);
        assert!(line.contains(&format!("planted::{name}")) && line.contains(&place), "{line}");
    }
    // The test's future is not known.
    let said = failure("below_another_attribute");
    assert!(
        said.lines().any(|line| line.starts_with("test `hanging") && line.contains("hanging.rs:")),
        "{said}"
    );
}

/// However the attributes are ordered.
#[test]
fn each_test_is_registered_once() {
    let mut list = Command::new(std::env::current_exe().expect("this executable"));
    list.args(["--list", "--ignored", "hanging::planted"]);
    let said = String::from_utf8(list.output().expect("it ends").stdout).expect("UTF-8");
    let mut names: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed, "{said}");
    assert_eq!(listed, 16, "{said}");
}

#[test]
fn a_test_that_ends_is_left_alone() {
    let good = [
        "passes",
        "below_test",
        "returns",
        "panics_as_expected",
        "of_case::case_1",
        "of_case::case_2",
        "of_case_below::case_1",
        "async_case::case_1",
    ];
    for name in good {
        let output = run(name);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{name}: {said}");
        assert!(output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for (name, why) in [("fails", "not this"), ("panics", "thread 'hanging::planted::panics'")] {
        let said = failure(name);
        assert!(said.contains(why) && !said.contains("Guru Meditation"), "{said}");
    }
}

#[test]
fn the_variable_overrides_the_limit() {
    let said = failure("slow");
    assert!(said.contains("has not ended within 1 ms"), "{said}");
    let output = command("slow").env("GMR_TEST_TIMEOUT", "off").output().expect("it ends");
    assert!(output.status.success());
    let output = command("slow").env("GMR_TEST_TIMEOUT", "soon").output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("GMR_TEST_TIMEOUT"), "{said}");
}

/// As cargo-nextest ends tests that take too long.
#[test]
fn a_report_comes_before_the_end_by_sigterm() {
    let mut child =
        command("terminated").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while said != "ready\n" {
        said.clear();
        assert!(errors.read_line(&mut said).expect("UTF-8") > 0, "it has ended");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
    errors.read_to_string(&mut said).expect("UTF-8");
    assert_eq!(child.wait().expect("it has ended").signal(), Some(Signal::TERM.as_raw()), "{said}");
    let place = format!("hanging.rs:{}", line_of("std::thread::park(); // hangs"));
    assert!(said.contains("Guru Meditation"), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("hanging::planted::terminated") && last.contains(&place), "{said}");
}

#[allow(clippy::unnecessary_wraps, reason = "tests may return results")]
mod planted {
    use std::error::Error;
    use std::io::Write as _;
    use std::time::Duration;

    use rstest::rstest;
    use tokio::sync::Notify;

    #[inline(never)]
    fn forever() {
        loop {
            std::thread::park(); // hangs
        }
    }

    #[gmr::test(timeout = "100ms")]
    #[ignore = "planted"]
    fn hangs() {
        forever();
    }

    #[gmr::test(timeout = "100ms")]
    #[tokio::test]
    #[ignore = "planted"]
    async fn awaits() {
        Notify::new().notified().await; // awaits
    }

    #[gmr::test(timeout = "100ms")]
    #[ignore = "planted"]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_threads() -> Result<(), Box<dyn Error>> {
        Notify::new().notified().await; // of_many_threads
        Ok(())
    }

    #[tokio::test]
    #[ignore = "planted"]
    // Comments and attributes may be between them.
    #[gmr::test(timeout = "100ms")]
    async fn below_another_attribute() {
        Notify::new().notified().await;
    }

    #[gmr::test(timeout = "1h")]
    #[ignore = "planted"]
    fn terminated() {
        std::io::stderr().write_all(b"ready\n").unwrap();
        forever();
    }

    #[gmr::test(timeout = "1ms")]
    #[ignore = "planted"]
    fn slow() {
        std::thread::sleep(Duration::from_millis(300));
    }

    #[gmr::test]
    #[ignore = "planted"]
    fn passes() {}

    #[test]
    #[ignore = "planted"]
    #[gmr::test]
    fn below_test() {}

    /// The error is not `Send`.
    #[gmr::test]
    #[ignore = "planted"]
    fn returns() -> Result<(), Box<dyn Error>> {
        let _: u8 = "7".parse()?;
        Ok(())
    }

    #[gmr::test]
    #[ignore = "planted"]
    fn fails() -> Result<(), Box<dyn Error>> {
        Err("not this".into())
    }

    #[gmr::test]
    #[ignore = "planted"]
    fn panics() {
        panic!("as planted");
    }

    #[gmr::test]
    #[should_panic(expected = "as planted")]
    #[ignore = "planted"]
    fn panics_as_expected() {
        panic!("as planted");
    }

    #[gmr::test]
    #[rstest]
    #[case(1)]
    #[case(2)]
    #[ignore = "planted"]
    fn of_case(#[case] number: u8) {
        assert!(number > 0);
    }

    #[rstest]
    #[case(1)]
    #[ignore = "planted"]
    #[gmr::test]
    fn of_case_below(#[case] number: u8) {
        assert!(number > 0);
    }

    #[gmr::test]
    #[rstest]
    #[case(1)]
    #[ignore = "planted"]
    #[tokio::test]
    async fn async_case(#[case] number: u8) {
        tokio::task::yield_now().await;
        assert!(number > 0);
    }
}
