//! Under the attribute of tokio.

#[tokio::main]
#[gmr::main(version = "1")]
async fn main() -> Result<(), String> {
    armed();
    main_is_a_task();
    tokio::task::spawn_blocking(main_is_shown_where_it_waits).await.expect("it does not panic"); // here
    // The error's type is known from the return type alone.
    Err("no error").or_else(|_| "1".parse::<u8>().map(|_| ()).map_err(|_| "no number"))?;
    Ok(())
}

/// Fails unless the future that this is called in is the task `main`.
fn main_is_a_task() {
    let report = gmr::Report::capture();
    let tasks: Vec<_> = tasks(&report).iter().map(|task| (task.id, &task.name[..])).collect();
    assert_eq!(tasks, [(1, "main")]);
    let place = &crate::tasks(&report)[0].spawned_at;
    assert!(place.ends_with(":5:10"), "the line of `async fn main`: {place}");
}

/// Returns once a report shows the line at which `main` waits for this function.
fn main_is_shown_where_it_waits() {
    let is_there = |report: &gmr::Report, task: &gmr::model::Task| {
        let frames = task.stacks.iter().flat_map(|stack| report.stack_frames(stack));
        let sources: Vec<_> = frames.filter_map(|frame| frame.source.as_deref()).collect();
        sources.iter().any(|source| source.ends_with("// here"))
    };
    for _ in 0..1_000 {
        // `main` may not have begun to wait.
        let report = gmr::Report::capture();
        if is_there(&report, &tasks(&report)[0]) {
            return;
        }
    }
    panic!("no report shows where main waits");
}

fn tasks(report: &gmr::Report) -> &[gmr::model::Task] {
    let section = report.section("Green Threads").expect("each report has it");
    let gmr::model::Content::GreenThreads(section) = &section.content else { panic!("{section:?}") };
    &section.tasks
}

/// Fails unless gmr is installed: a second installation is an error.
fn armed() {
    assert_eq!(gmr::Builder::new().install().unwrap_err().kind(), gmr::ErrorKind::AlreadyInstalled);
}
