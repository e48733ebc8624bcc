//! Counts what is missing from a report. The program that loads the plugin includes this file, too.

/// How many sections have failed, plus how many live threads have no stack. gmr's threads do not
/// count: those of another copy may be running, and are not signalled.
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
