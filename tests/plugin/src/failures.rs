//! What a report lacks. The program that loads the plugin counts in the same way.

/// How many sections have failed, and how many threads that live have no stack. Those of another
/// copy of gmr may be running, and are not signalled.
pub(crate) fn of(report: &gmr::Report) -> usize {
    let Some(gmr::model::Content::Threads(threads)) =
        report.section("Threads").map(|section| &section.content)
    else {
        return 1 + report.summary.failed;
    };
    let has_none = |thread: &&gmr::model::Thread| {
        let has_exited = thread.stack.incomplete.as_ref().is_some_and(|reason| reason.contains("exited"));
        thread.stack.frames.is_empty() && !has_exited && !thread.name.starts_with("gmr")
    };
    report.summary.failed + threads.threads.iter().filter(has_none).count()
}
