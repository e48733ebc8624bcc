//! Runtimes that gmr has no handle of, recognized by the stacks of their threads. Reads the
//! sections of the report that is being made, and nothing else.

use crate::model::{Content, Frame, Section, Thread, UncountedRuntime};

/// Each library with the beginnings of its functions' names.
const LIBRARIES: [(&str, &[&str]); 4] = [
    ("tokio", &["tokio::runtime::"]),
    ("async-std", &["async_std::task::", "async_global_executor::"]),
    ("smol", &["async_executor::", "smol::"]),
    ("futures", &["futures_executor::"]),
];

/// Adds the runtimes whose threads the sections before this one show, if it is that of tasks.
pub(crate) fn complete(section: &mut Section, before: &[Section], frames: &[Frame]) {
    let Content::GreenThreads(tasks) = &mut section.content else { return };
    let threads = before.iter().filter_map(|section| match &section.content {
        Content::Threads(threads) => Some(&threads.threads),
        _ => None,
    });
    let threads: Vec<&Thread> = threads.flatten().filter(|thread| thread.role.is_program()).collect();
    let counted = |library: &str| tasks.runtimes.iter().any(|runtime| runtime.kind.starts_with(library));
    let uncounted = LIBRARIES.iter().filter(|(library, _)| !counted(library));
    tasks.uncounted_runtimes = uncounted
        .filter_map(|(library, names)| {
            let threads = threads.iter().filter(|thread| is_in(thread, names, frames)).count();
            (threads > 0).then(|| UncountedRuntime { library: (*library).to_owned(), threads })
        })
        .collect();
}

/// Whether a function with one of these names is on the thread's stack.
fn is_in(thread: &Thread, names: &[&str], frames: &[Frame]) -> bool {
    let frames = thread.stack.frames.iter().filter_map(|index| frames.get(usize::try_from(*index).ok()?));
    let mut functions = frames.filter_map(|frame| frame.function.as_deref());
    // A method of a trait begins with the type: `<tokio::runtime::..`.
    functions.any(|function| names.iter().any(|name| function.trim_start_matches('<').starts_with(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{GreenThreads, Role, Runtime, Stack, Threads};

    fn section(content: Content) -> Section {
        Section { title: String::new(), took_us: 0, content }
    }

    /// What is found if the threads are in these functions, by the libraries and numbers of
    /// threads.
    fn found(functions: &[(&str, Role)], runtimes: Vec<Runtime>) -> Vec<(String, usize)> {
        let frame =
            |(function, _): &(&str, Role)| Frame { function: Some((*function).into()), ..Frame::default() };
        let frames: Vec<Frame> = functions.iter().map(frame).collect();
        let thread = |(index, (_, role)): (u32, &(&str, Role))| Thread {
            role: *role,
            tid: index,
            name: String::new(),
            state: None,
            cpu_user_ms: None,
            cpu_system_ms: None,
            cpu_us: None,
            started_at: None,
            policy: None,
            last_cpu: None,
            waiting: None,
            at_rest_ms: None,
            stack: Stack { frames: Arc::new([index]), ..Stack::default() },
        };
        let threads = Threads { threads: (0..).zip(functions).map(thread).collect(), ..Threads::default() };
        let mut tasks = section(Content::GreenThreads(GreenThreads { runtimes, ..GreenThreads::default() }));
        complete(&mut tasks, &[section(Content::Threads(threads))], &frames);
        let Content::GreenThreads(tasks) = tasks.content else { panic!("{tasks:?}") };
        tasks.uncounted_runtimes.into_iter().map(|runtime| (runtime.library, runtime.threads)).collect()
    }

    #[test]
    fn a_runtime_is_recognized_by_its_threads() {
        let worker = "tokio::runtime::scheduler::multi_thread::worker::run";
        let method =
            "<tokio::runtime::blocking::task::BlockingTask<T> as core::future::future::Future>::poll";
        let threads = [
            ("shop::main", Role::Main),
            (worker, Role::Program),
            (method, Role::Program),
            ("async_executor::Executor::run", Role::Program),
            ("not::tokio::runtime::run", Role::Program),
            ("futures_executor::local_pool::block_on", Role::Gmr),
        ];
        assert_eq!(found(&threads, Vec::new()), [("tokio".to_owned(), 2), ("smol".to_owned(), 1)]);
        let known = Runtime {
            kind: "tokio, multi-thread".to_owned(),
            workers: 2,
            alive_tasks: 50,
            untracked_tasks: Some(50),
            may_be_dropped: false,
            queued_tasks: 0,
            stuck_workers: None,
            worker_busy_ms: Vec::new(),
        };
        assert_eq!(found(&threads, vec![known]), [("smol".to_owned(), 1)]);
        assert_eq!(found(&threads[..1], Vec::new()), []);
    }
}
