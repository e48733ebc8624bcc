//! The rules about tasks.

use super::*;
use crate::model::{Runtime, Taken};

/// Frames by number: 0 is the program's, 1 is gmr's root of the poll, 2 runs tasks, 3 hands the
/// worker over, 4 waits for a future, 5 and 6 wait for a lock, 7 is the program's without a line.
fn frames() -> Vec<Frame> {
    let root = format!("{}::task::Tracked<F>::poll", module_path!().split("::").next().unwrap());
    let functions = [
        "shop::checkout::{{closure}}",
        &root,
        "async_task::raw::RawTask<F,T,S,M>::run",
        "tokio::task::blocking::block_in_place",
        "futures_executor::local_pool::block_on",
        "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
        "<tokio::sync::batch_semaphore::Acquire as core::future::future::Future>::poll",
        "shop::checkout::{{closure}}",
    ];
    let mut frames: Vec<Frame> = functions
        .map(|function| Frame { function: Some(function.to_owned()), line: Some(7), ..Frame::default() })
        .into();
    frames[7].line = None;
    frames
}

fn stack(frames: &[u32]) -> Arc<[Stack]> {
    [Stack { frames: frames.to_vec().into(), ..Stack::default() }].into()
}

/// A task of the first runtime that thread 5 has been polling for this long.
fn polled(ms: u64) -> Task {
    let state = TaskState::Polling { tid: 5, thread: Some("web".to_owned()), polling_ms: ms };
    Task { runtime: Some(0), stacks: stack(&[0]), ..task(1, state) }
}

/// Thread 5, which sleeps in a read.
fn sleeper() -> Thread {
    let waiting = Some(Waiting { call: "read".to_owned(), ..Waiting::default() }.into());
    let stack = Stack { frames: Arc::new([0, 1]), taken: Some(Taken::AtRest), ..Stack::default() };
    Thread { waiting, stack, ..thread(5, "web") }
}

fn runtime(workers: usize, stuck_workers: Option<usize>) -> Runtime {
    Runtime {
        kind: "tokio, multi-thread".to_owned(),
        workers,
        alive_tasks: 3,
        untracked_tasks: Some(0),
        may_be_dropped: false,
        queued_tasks: 0,
        stuck_workers,
        worker_busy_ms: Vec::new(),
    }
}

/// The findings about tasks, after a second look in which these threads have moved.
fn about(tasks: &[Task], threads: &[Thread], runtime: Runtime, second: &SecondLook) -> Vec<Finding> {
    let threads = Threads { threads: threads.to_vec(), ..Threads::default() };
    let tasks = GreenThreads { tasks: tasks.to_vec(), runtimes: vec![runtime], ..GreenThreads::default() };
    let sections = [
        section("Threads", Content::Threads(threads)),
        section("Green Threads", Content::GreenThreads(tasks)),
    ];
    let findings = find(&sections, &frames(), second);
    findings.into_iter().filter(|finding| finding.code.starts_with("task.")).collect()
}

/// The same, in short.
fn found(tasks: &[Task], threads: &[Thread]) -> Vec<(String, Severity)> {
    let findings = about(tasks, threads, runtime(2, Some(1)), &nobody_moved());
    findings.into_iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn blocks(severity: Severity) -> Vec<(String, Severity)> {
    vec![("task.blocks-worker".to_owned(), severity)]
}

#[test]
fn a_poll_that_sleeps_blocks_its_worker_and_one_that_computes_only_keeps_it() {
    assert_eq!(found(&[polled(1_000)], &[sleeper()]), blocks(Severity::Error));
    assert_eq!(found(&[polled(999)], &[sleeper()]), blocks(Severity::Warning));
    assert_eq!(found(&[polled(99)], &[sleeper()]), []);
    let computes = Thread { waiting: None, state: Some("running".to_owned()), ..sleeper() };
    assert_eq!(found(&[polled(1_000)], std::slice::from_ref(&computes)), blocks(Severity::Info));
    assert_eq!(found(&[polled(999)], &[computes]), []);
    let blocking = Task { blocking: true, runtime: None, ..polled(31_000) };
    assert_eq!(found(&[blocking], &[sleeper()]), []);
}

#[test]
fn only_a_second_look_tells_that_a_thread_sleeps() {
    let severity = |second: &SecondLook| {
        let findings = about(&[polled(5_000)], &[sleeper()], runtime(2, None), second);
        findings.iter().map(|finding| finding.severity).collect::<Vec<_>>()
    };
    assert_eq!(severity(&nobody_moved()), [Severity::Error]);
    assert_eq!(severity(&SecondLook::NotTaken), [Severity::Info]);
    assert_eq!(severity(&moved(&[5])), [Severity::Info]);
    let tasks = GreenThreads { tasks: vec![polled(5_000)], ..GreenThreads::default() };
    let tasks = GreenThreads { runtimes: vec![runtime(2, None)], ..tasks };
    let threads = Threads { threads: vec![sleeper()], ..Threads::default() };
    let sections = [
        section("Threads", Content::Threads(threads)),
        section("Green Threads", Content::GreenThreads(tasks)),
    ];
    assert_eq!(suspects(&sections, &frames()).at_rest.into_iter().collect::<Vec<_>>(), [5]);
}

#[test]
fn a_future_that_no_worker_polls_blocks_none() {
    let main = Task { runtime: None, ..polled(31_000) };
    assert_eq!(found(std::slice::from_ref(&main), &[sleeper()]), []);
    // An executor's task, by the function that has called the poll.
    let stack = Stack { frames: Arc::new([0, 1, 2]), ..Stack::default() };
    assert_eq!(found(&[main], &[Thread { stack, ..sleeper() }]), blocks(Severity::Error));
}

#[test]
fn a_worker_that_was_handed_over_is_not_blocked() {
    let in_place = Task { stacks: stack(&[0, 3, 0]), ..polled(31_000) };
    assert_eq!(found(&[in_place], &[sleeper()]), []);
    // Without lines, functions may be inlined: tokio's count of its workers decides.
    let unknown = Task { stacks: stack(&[7]), ..polled(31_000) };
    let found =
        |stuck| about(std::slice::from_ref(&unknown), &[sleeper()], runtime(2, stuck), &nobody_moved());
    assert_eq!(found(None), []);
    assert_eq!(found(Some(0)), []);
    assert_eq!(codes(&found(Some(1))), ["task.blocks-worker"]);
    assert_eq!(found(Some(1))[0].certainty, Certainty::Probable);
}

#[test]
fn of_tasks_inside_of_one_another_the_outermost_blocks_the_worker() {
    let inner = Task { id: 2, runtime: None, ..polled(3_000) };
    let tasks = [inner, polled(3_000)];
    let findings = about(&tasks, &[sleeper()], runtime(2, None), &nobody_moved());
    assert_eq!(codes(&findings), ["task.blocks-worker"]);
    assert_eq!((&*findings[0].threads, &*findings[0].tasks), (&[5][..], &[1][..]));
    assert_eq!(findings[0].evidence[0].frame, Some(0));
}

#[test]
fn all_workers_of_a_runtime_are_one_finding() {
    let state = TaskState::Polling { tid: 6, thread: None, polling_ms: 2_000 };
    let tasks = [polled(3_000), Task { id: 2, state, ..polled(0) }];
    let threads = [sleeper(), Thread { tid: 6, ..sleeper() }];
    let woken = Task { runtime: Some(0), ..task(3, TaskState::Woken { woken_ms: 500, waiting_ms: 1 }) };
    let findings = about(&[&tasks[..], &[woken]].concat(), &threads, runtime(2, Some(2)), &nobody_moved());
    assert_eq!(codes(&findings), ["task.workers-blocked", "task.not-polled"]);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error), "{findings:?}");
    assert_eq!((&*findings[0].threads, &*findings[0].tasks), (&[5, 6][..], &[1, 2][..]));
    // tokio has a worker that runs, or a third one.
    for other in [runtime(2, Some(1)), runtime(3, None)] {
        let findings = about(&tasks, &threads, other, &nobody_moved());
        assert_eq!(codes(&findings), ["task.blocks-worker"; 2]);
    }
}

#[test]
fn tasks_are_not_polled_because_of_a_busy_machine() {
    let woken = || Task { runtime: Some(0), ..task(3, TaskState::Woken { woken_ms: 500, waiting_ms: 1 }) };
    // The workers may compute, which tokio counts as stuck.
    for stuck in [Some(2), Some(1), None] {
        let findings = about(&[woken()], &[], runtime(2, stuck), &nobody_moved());
        assert_eq!(findings[0].severity, Severity::Info);
    }
}

#[test]
fn block_on_is_found_with_its_caller() {
    let inside = |frames: &[u32]| Task { stacks: stack(frames), ..polled(3_000) };
    let findings = about(&[inside(&[0, 4, 0])], &[sleeper()], runtime(2, None), &nobody_moved());
    assert_eq!(codes(&findings), ["task.blocks-worker", "task.block-on-in-worker"]);
    assert_eq!(findings[1].severity, Severity::Warning);
    let in_place = about(&[inside(&[0, 4, 3, 0])], &[sleeper()], runtime(2, None), &nobody_moved());
    assert_eq!(codes(&in_place), ["task.block-on-in-worker"]);
    assert_eq!(in_place[0].severity, Severity::Info);
}

#[test]
fn functions_that_wait_for_a_blocking_thread_are_found() {
    let waits = |age_ms| Task { blocking: true, age_ms, ..task(9, TaskState::New) };
    let runs = |ms| Task { blocking: true, runtime: None, ..polled(ms) };
    assert_eq!(found(&[waits(900), runs(50_000)], &[sleeper()]), []);
    let full = |severity| vec![("task.blocking-pool-full".to_owned(), severity)];
    assert_eq!(found(&[waits(1_000), runs(50_000)], &[sleeper()]), full(Severity::Info));
    // A small pool can be meant to hold them back.
    assert_eq!(found(&[waits(10_000), runs(10_000)], &[sleeper()]), full(Severity::Info));
}

#[test]
fn tasks_that_wait_for_the_same_lock_are_found_the_oldest_first() {
    let waits = |id, waiting_ms, frames: &[u32]| Task {
        stacks: stack(frames),
        ..task(id, TaskState::Waiting { waiting_ms })
    };
    let tasks = [waits(1, 2_000, &[6, 5, 0]), waits(2, 41_000, &[6, 5, 7]), waits(3, 999, &[6, 5, 0])];
    let findings = about(&tasks, &[], runtime(2, None), &nobody_moved());
    let same: Vec<&Finding> = findings.iter().filter(|finding| finding.code == "task.same-wait").collect();
    assert_eq!(same.len(), 2, "one has no line: {findings:?}");
    assert_eq!(same[0].tasks, [2]);
    assert_eq!(same[0].message, "1 task waits in Mutex::lock, for 41.0 s");
    let tasks = [waits(1, 2_000, &[6, 5, 0]), waits(2, 41_000, &[6, 5, 0]), waits(4, 50_000, &[0])];
    let findings = about(&tasks, &[], runtime(2, None), &nobody_moved());
    assert_eq!(codes(&findings), ["task.same-wait", "task.longest-wait"]);
    assert_eq!(findings[0].message, "2 tasks wait in Mutex::lock at the same place, the oldest for 41.0 s");
    assert_eq!(findings[0].evidence[0].task, Some(2));
    assert_eq!(findings[0].evidence[0].frame, Some(0));
}

#[test]
fn a_type_is_told_from_others_whose_names_begin_in_the_same_way() {
    let waits = |function: &str| {
        let mut frames = frames();
        frames[5].function = Some(function.to_owned());
        let task = Task { stacks: stack(&[5, 0]), ..task(1, TaskState::Waiting { waiting_ms: 5_000 }) };
        let tasks = GreenThreads { tasks: vec![task], ..GreenThreads::default() };
        let findings =
            find(&[section("Green Threads", Content::GreenThreads(tasks))], &frames, &SecondLook::NotTaken);
        codes(&findings).contains(&"task.same-wait")
    };
    assert!(waits("tokio::sync::semaphore::Semaphore::acquire_owned::{{closure}}"));
    assert!(waits("<tokio::sync::semaphore::Semaphore>::acquire::{async_fn#0}"));
    assert!(waits("<async_lock::mutex::Lock<T> as core::future::future::Future>::poll"));
    assert!(!waits("tokio::sync::semaphore::SemaphorePermit::acquire"));
    assert!(!waits("tokio::sync::mpsc::bounded::Sender<T>::closed::{{closure}}"));
    assert!(!waits("tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}"));
}

#[test]
fn tasks_without_a_waker_may_never_be_woken() {
    let waits = |id, wakers, waiting_ms| Task { wakers, ..task(id, TaskState::Waiting { waiting_ms }) };
    let tasks =
        [waits(1, Some(0), 2_000), waits(2, Some(1), 2_000), waits(3, None, 2_000), waits(4, Some(0), 9)];
    let findings = about(&tasks, &[], runtime(2, None), &nobody_moved());
    assert_eq!(codes(&findings), ["task.never-woken", "task.longest-wait"]);
    assert_eq!((findings[0].severity, &*findings[0].tasks), (Severity::Info, &[1][..]));
    assert_eq!(findings[0].certainty, Certainty::Possible);
}

#[test]
fn tasks_that_are_polled_all_the_time_are_found() {
    let of = |id, polls, age_ms| Task {
        polls,
        age_ms,
        stacks: stack(&[0]),
        ..task(id, TaskState::Waiting { waiting_ms: 0 })
    };
    let found = |tasks: &[Task]| {
        let findings = about(tasks, &[], runtime(2, None), &nobody_moved());
        findings.into_iter().find(|finding| finding.code == "task.polled-often")
    };
    let finding = found(&[of(1, 1_999, 1_000), of(2, 20_000, 1_000), of(3, 90_000, 2_000)]).expect("two are");
    assert_eq!((finding.severity, finding.tasks), (Severity::Info, vec![3, 2]));
    assert_eq!(finding.message, "2 tasks were polled at least 2000 times a second on average");
    let evidence = &finding.evidence[0];
    assert_eq!(evidence.message, "#3 (shop::checkout) was polled 90000 times in 2.0 s");
    assert_eq!((evidence.task, evidence.frame), (Some(3), Some(0)));
    // One that has just begun, and one that has been there for longer.
    assert_eq!(found(&[of(1, 90_000, 900), of(2, 90_000, 60_000)]), None);
    assert_eq!(found(&[of(1, 7, 0)]), None);
}
