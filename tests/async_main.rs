//! What the tests of `#[gmr::main]` check inside an async `main`.

use gmr::model::{Content, Task};
use gmr::{Builder, ErrorKind, Report};

/// Fails unless gmr is installed, and the future that this is called in is the only task. Returns
/// it.
///
/// # Panics
/// If one of these does not hold.
pub fn task_of_main() -> Task {
    // A second installation is an error.
    let error = Builder::new().install().expect_err("gmr is installed");
    assert_eq!(error.kind(), ErrorKind::AlreadyInstalled);
    let report = Report::capture();
    let [task] = tasks(&report) else { panic!("one task: {report}") };
    assert_eq!((task.id, &task.name[..]), (1, "main"));
    task.clone()
}

/// Returns once a report shows the line at which `main` waits, which ends with this text.
///
/// # Panics
/// If no report does.
pub fn main_waits_at(text: &str) {
    for _ in 0..1_000 {
        // `main` may not have begun to wait.
        let report = Report::capture();
        let stacks = tasks(&report).iter().flat_map(|task| task.stacks.iter());
        let mut frames = stacks.flat_map(|stack| report.stack_frames(stack));
        if frames.any(|frame| frame.source.as_ref().is_some_and(|source| source.ends_with(text))) {
            return;
        }
    }
    panic!("no report shows where main waits");
}

fn tasks(report: &Report) -> &[Task] {
    let section = report.section("Green Threads").expect("each report has it");
    let Content::GreenThreads(section) = &section.content else { panic!("{section:?}") };
    &section.tasks
}
