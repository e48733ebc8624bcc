//! Above an attribute of another runtime, which takes the body of the function out.

#[gmr::main]
#[gmr_test_runtime::unwrapping]
async fn main() {
    armed();
    main_is_a_task();
    std::future::ready(()).await;
    let _: fn() = exported::main;
}

mod exported {
    gmr_tests::entry! {
        #[gmr_test_runtime::unwrapping]
        pub async fn main() {}
    }
}

/// Fails unless the future that this is called in is the task `main`.
fn main_is_a_task() {
    let report = gmr::Report::capture();
    let section = report.section("Green Threads").expect("each report has it");
    let gmr::model::Content::GreenThreads(section) = &section.content else { panic!("{section:?}") };
    let names: Vec<_> = section.tasks.iter().map(|task| &task.name[..]).collect();
    assert_eq!(names, ["main"]);
    assert_eq!(section.tasks[0].id, 1);
}

/// Fails unless gmr is installed: a second installation is an error.
fn armed() {
    assert_eq!(gmr::Builder::new().install().unwrap_err().kind(), gmr::ErrorKind::AlreadyInstalled);
}
