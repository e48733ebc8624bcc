//! For each rule, a report in which it fires, and a report in which it does not.

mod tasks;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::{
    Certainty, Content, Descriptors, FutexOwner, GreenThreads, Group, Holder, Label, Lock, LockKind, Overdue,
    Panicked, Resources, Role, Severity, Stack, Taken, Task, TaskState, Thread, Threads, TimedOut, Waiter,
    Waiting,
};

pub(super) fn thread(tid: u32, name: &str) -> Thread {
    Thread {
        tid,
        name: name.to_owned(),
        role: Role::Program,
        state: Some("sleeping".to_owned()),
        cpu_user_ms: None,
        cpu_system_ms: None,
        cpu_us: None,
        started_at: None,
        policy: None,
        last_cpu: None,
        waiting: None,
        at_rest_ms: None,
        stack: Stack { frames: Arc::new([0]), ..Stack::default() },
    }
}

pub(super) fn task(id: u64, state: TaskState) -> Task {
    Task {
        id,
        name: "shop::checkout".into(),
        spawned_at: "src/main.rs:7:5".into(),
        age_ms: 60_000,
        blocking: false,
        runtime: None,
        wakers: None,
        span: None,
        polls: 3,
        labels: Vec::new(),
        state,
        stacks: Arc::default(),
    }
}

pub(super) fn section(title: &str, content: Content) -> Section {
    Section { title: title.to_owned(), took_us: 0, content }
}

/// The findings for these threads, all in the function `function`.
fn about(threads: Vec<Thread>, function: &str) -> Vec<Finding> {
    let frames = [Frame { function: Some(function.to_owned()), ..Frame::default() }];
    let threads = Threads { threads, ..Threads::default() };
    find(&[section("Threads", Content::Threads(threads))], &frames, &SecondLook::NotTaken)
}

/// The findings of a first report.
pub(super) fn find(sections: &[Section], frames: &[Frame], second: &SecondLook) -> Vec<Finding> {
    super::find(sections, frames, &Seen { second: second.clone(), peers: Vec::new() }, &[])
}

fn about_tasks(tasks: Vec<Task>) -> Vec<Finding> {
    let section =
        section("Green Threads", Content::GreenThreads(GreenThreads { tasks, ..GreenThreads::default() }));
    find(&[section], &[], &SecondLook::NotTaken)
}

/// The findings for these sections.
pub(super) fn find_in(sections: Vec<(&str, Content)>) -> Vec<Finding> {
    let sections: Vec<Section> =
        sections.into_iter().map(|(title, content)| section(title, content)).collect();
    find(&sections, &[], &SecondLook::NotTaken)
}

pub(super) fn with_resources(resources: Resources) -> Vec<Finding> {
    find_in(vec![("Resources", Content::Resources(Box::new(resources)))])
}

pub(super) fn with_descriptors(descriptors: Descriptors) -> Vec<Finding> {
    find_in(vec![("Descriptors", Content::Descriptors(Box::new(descriptors)))])
}

pub(super) fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn waiting_on(futex: u64) -> Waiting {
    Waiting { call: "futex".to_owned(), futex: Some(futex), ..Waiting::default() }
}

const LOCK: &str = "std::sys::sync::mutex::futex::Mutex::lock_contended";

#[test]
fn a_sleeping_thread_and_a_section_that_succeeded_are_no_findings() {
    assert_eq!(about(vec![thread(1, "a")], "shop::main"), []);
    assert_eq!(find(&[section("Cache", Content::Text("warm".to_owned()))], &[], &SecondLook::NotTaken), []);
    assert_eq!(find(&[], &[], &SecondLook::NotTaken), []);
}

#[test]
fn threads_are_grouped_by_the_lock_they_wait_for() {
    let threads = [(1, 16), (2, 32), (3, 16)];
    let threads =
        threads.map(|(tid, futex)| Thread { waiting: Some(waiting_on(futex).into()), ..thread(tid, "w") });
    let findings = about(threads.to_vec(), LOCK);
    assert_eq!(codes(&findings), ["thread.lock-wait"; 2]);
    assert_eq!(findings[0].threads, [1, 3]);
    assert_eq!(findings[1].threads, [2]);
    assert_eq!(findings[0].severity, Severity::Info);
    assert!(findings[0].message.starts_with("2 threads are waiting for the same lock"), "{findings:?}");
    assert!(findings[1].message.starts_with("1 thread is waiting for a lock"), "{findings:?}");
    let owner = FutexOwner { tid: 9, name: Some("holder".to_owned()) };
    let held = Waiting { futex_owner: Some(owner), ..waiting_on(16) };
    let findings = about(vec![Thread { waiting: Some(held.into()), ..thread(1, "w") }], LOCK);
    assert!(findings[0].message.ends_with("(futex 0x10, held by #9 (holder)): #1 (w)"), "{findings:?}");
    // A parked thread waits on a futex too.
    assert_eq!(about(threads.to_vec(), "std::thread::park"), []);
}

#[test]
fn a_thread_of_the_kernel_needs_no_stack() {
    let worker = Thread { role: Role::Kernel, stack: Stack::missing("no stack"), ..thread(7, "iou-wrk") };
    assert_eq!(about(vec![worker], ""), []);
}

#[test]
fn gmrs_own_threads_are_ignored() {
    let own = Thread { role: Role::Gmr, waiting: Some(waiting_on(16).into()), ..thread(1, "gmr section") };
    assert_eq!(about(vec![own], LOCK), []);
}

#[test]
fn a_thread_without_a_stack_is_found() {
    let without = |reason| vec![Thread { stack: Stack::missing(reason), ..thread(7, "") }];
    let findings = about(without("it did not answer"), "");
    assert_eq!(codes(&findings), ["thread.no-stack"]);
    assert!(findings[0].message.ends_with(": #7"), "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Info);
    assert_eq!(about(without(Stack::EXITED), ""), []);
}

#[test]
fn stacks_that_are_cut_are_one_finding_for_each_reason() {
    let cut = |tid, reason: &str| {
        let stack = Stack { frames: [0].into(), ..Stack::missing(reason) };
        Thread { stack, ..thread(tid, "w") }
    };
    let (no_rule, damaged) = ("no unwind information for this code", "the unwind tables are damaged");
    let findings = about(vec![cut(1, damaged), cut(2, no_rule), cut(3, no_rule), thread(4, "whole")], "");
    assert_eq!(codes(&findings), ["thread.cut-stack"; 2]);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info));
    assert_eq!((&findings[0].threads[..], &findings[1].threads[..]), (&[2, 3][..], &[1][..]));
    assert!(
        findings[0].message.contains("2 threads") && findings[0].message.contains(no_rule),
        "{findings:?}"
    );
}

#[test]
fn running_threads_are_an_info_that_names_the_first() {
    let running = |tid| Thread { state: Some("running".to_owned()), ..thread(tid, "w") };
    // One that was woken for the report's signal has blocked again.
    let mut woken = running(8);
    woken.stack.taken = Some(Taken::AtRest);
    let findings = about((1..=7).map(running).chain([woken]).collect(), "shop::compute");
    assert_eq!(codes(&findings), ["thread.running"]);
    assert_eq!(findings[0].severity, Severity::Info);
    assert_eq!(findings[0].threads.len(), 7);
    assert!(findings[0].message.ends_with("#5 (w) and 2 more"), "{findings:?}");
}

#[test]
fn a_thread_that_used_a_whole_core_is_spinning_and_others_were_running() {
    let frames = ["core::hint::spin_loop", "shop::compute", "shop::main"];
    let frames = frames.map(|name| Frame { function: Some(name.to_owned()), ..Frame::default() });
    let stack = Stack { frames: Arc::new([0, 1, 2]), ..Stack::default() };
    let running =
        |tid| Thread { state: Some("running".to_owned()), stack: stack.clone(), ..thread(tid, "w") };
    let threads: Vec<Thread> = (1..=4).map(running).chain([thread(5, "at rest")]).collect();
    let sections = [section("Threads", Content::Threads(Threads { threads, ..Threads::default() }))];
    assert_eq!(suspects(&sections, &frames).running, [1, 2, 3, 4]);
    assert!(suspects(&sections, &frames).at_rest.is_empty());
    let used = [(1, 45_000), (2, 44_999), (3, 50_000)].map(|(tid, us)| (tid, Duration::from_micros(us)));
    let second = SecondLook::Taken {
        moved: Some(Vec::new()),
        between: Duration::from_millis(50),
        used: used.to_vec(),
    };
    let findings = find(&sections, &frames, &second);
    assert_eq!(codes(&findings), ["thread.spinning", "thread.running"]);
    assert_eq!((&findings[0].threads[..], &findings[1].threads[..]), (&[1, 3][..], &[2, 4][..]));
    assert_eq!((findings[0].severity, findings[0].certainty), (Severity::Info, SURE));
    assert_eq!(findings[0].message, "2 threads used a whole core each for 50 ms: #1 (w), #3 (w)");
    let evidence = &findings[0].evidence[..];
    assert_eq!((evidence.len(), evidence[0].frame, &*evidence[0].message), (1, Some(1), "2 threads were"));
    assert_eq!(codes(&find(&sections, &frames, &SecondLook::NotTaken)), ["thread.running"]);
}

#[test]
fn failed_sections_are_found_and_come_first() {
    let (stack, tid) = (Stack::default(), 9);
    let overdue = || Overdue { tid, running_ms: 12_000, stack: stack.clone() };
    let panicked = Panicked {
        message: "no cache\nsecond".to_owned(),
        location: Some("src/cache.rs:8:5".to_owned()),
        stack: stack.clone(),
    };
    let failed = Content::Error("not loaded".to_owned());
    let running = Thread { state: Some("running".to_owned()), ..thread(1, "w") };
    let threads = Threads { threads: vec![running], ..Threads::default() };
    let sections = [
        section("Threads", Content::Threads(threads)),
        section("Cache", Content::Panicked(panicked)),
        section("Queue", Content::TimedOut(TimedOut { deadline_ms: 2_000, overdue: overdue() })),
        section("Disk", Content::StillRunning(overdue())),
        section("Mail", Content::Skipped("no thread".to_owned())),
        section(
            "Configuration",
            Content::Configuration(vec![Group { title: "database".to_owned(), content: failed }]),
        ),
    ];
    let findings = find(
        &sections,
        &[Frame { function: Some("main".to_owned()), ..Frame::default() }],
        &SecondLook::NotTaken,
    );
    let expected = ["section.failed"; 5].into_iter().chain(["thread.running"]).collect::<Vec<_>>();
    assert_eq!(codes(&findings), expected);
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages[0], "Cache panicked at src/cache.rs:8:5: no cache");
    assert!(messages[1].starts_with("Queue timed out after 2 s; "), "{messages:?}");
    assert!(messages[2].ends_with("an earlier report (12.0 s, thread #9)"), "{messages:?}");
    assert_eq!(messages[3], "Mail was skipped: no thread");
    assert_eq!(messages[4], "database failed: not loaded");
    assert_eq!(findings[4].section.as_deref(), Some("Configuration"));
}

#[test]
fn tasks_that_were_not_polled_are_found_together() {
    let woken = |waiting_ms| TaskState::Woken { woken_ms: 400, waiting_ms };
    let findings = about_tasks(vec![task(1, woken(5)), task(2, woken(50)), task(3, woken(u64::MAX))]);
    assert_eq!(codes(&findings), ["task.not-polled"]);
    assert_eq!(findings[0].tasks, [3, 2, 1]);
}

#[test]
fn the_longest_wait_is_an_info_that_says_where() {
    let waiting = |id, waiting_ms, frames: &[u32]| {
        let stacks = [Stack { frames: frames.into(), ..Stack::default() }];
        Task { stacks: stacks.into(), ..task(id, TaskState::Waiting { waiting_ms }) }
    };
    let about = |tasks: Vec<Task>| {
        let names = ["tokio::sync::notify::Notified::poll", "shop::settle", "shop::main"];
        let frames = names.map(|name| Frame { function: Some(name.to_owned()), ..Frame::default() });
        let tasks = Content::GreenThreads(GreenThreads { tasks, ..GreenThreads::default() });
        find(&[section("Green Threads", tasks)], &frames, &SecondLook::NotTaken)
    };
    let findings = about(vec![waiting(1, 5, &[]), waiting(2, 7_000, &[0, 1, 2]), waiting(3, 6_900, &[0])]);
    let [found] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((found.code.as_str(), found.severity), ("task.longest-wait", Severity::Info));
    assert_eq!(found.message, "the task that has been waiting longest is #2 (shop::checkout): 7.0 s");
    assert_eq!((&*found.tasks, found.evidence[0].frame), (&[2][..], Some(1)));
    assert_eq!(found.evidence[0].message, "it waits");

    // Times that look the same are a tie.
    let tied = (1..=5).map(|id| {
        let label = |key: &str, value: String| Label { key: key.to_owned(), value };
        let labels = match id {
            2 => vec![label("order", "4000".to_owned()), label("customer", "7".to_owned())],
            // It would be most of the sentence.
            3 => vec![label("query", "x".repeat(40))],
            _ => Vec::new(),
        };
        Task { labels, ..waiting(id, 7_000 + id, if id == 1 { &[] } else { &[0, 1] }) }
    });
    let findings = about(tied.chain([waiting(6, 6_900, &[])]).collect());
    assert_eq!(findings[0].message, "5 tasks have been waiting for 7.0 s, no task for longer");
    assert_eq!(findings[0].tasks, [1, 2, 3]);
    let evidence = findings[0].evidence.iter();
    let evidence: Vec<_> = evidence.map(|evidence| (&*evidence.message, evidence.frame)).collect();
    let [one, other] = ["#2 (shop::checkout, order = 4000) waits", "#3 (shop::checkout) waits"];
    assert_eq!(evidence, [("#1 (shop::checkout)", None), (one, Some(1)), (other, Some(1))]);
    assert_eq!(about(vec![task(1, TaskState::New)]), []);
}

fn lock(address: u64, waiters: &[u32], holders: &[(u32, Certainty)]) -> Lock {
    Lock {
        address,
        kind: LockKind::Mutex,
        waiters: waiters.iter().map(|&tid| Waiter { tid, frame: Some(0) }).collect(),
        holders: holders.iter().map(|&(tid, certainty)| Holder { tid, frame: Some(0), certainty }).collect(),
    }
}

/// The findings for threads 1 to 9 and these locks.
fn about_locks(locks: Vec<Lock>, second: &SecondLook) -> Vec<Finding> {
    about_locks_of((1..10).map(|tid| thread(tid, "w")).collect(), locks, second)
}

fn about_locks_of(threads: Vec<Thread>, locks: Vec<Lock>, second: &SecondLook) -> Vec<Finding> {
    let frames = [Frame { function: Some("shop::pay".to_owned()), ..Frame::default() }];
    let sections = [section("Threads", Content::Threads(Threads { threads, locks, ..Threads::default() }))];
    let suspected = suspects(&sections, &frames);
    let findings = find(&sections, &frames, second);
    let in_findings = findings.iter().flat_map(|finding| &finding.threads);
    assert!(in_findings.into_iter().all(|tid| suspected.at_rest.contains(tid)), "{suspected:?} {findings:?}");
    findings
}

const SURE: Certainty = Certainty::Certain;

#[test]
fn a_deadlock_says_for_how_long_none_of_its_threads_has_run() {
    let last = |tids: &[u32], times: [Option<u64>; 2]| {
        let threads = [1, 2].into_iter().zip(times);
        let threads = threads.map(|(tid, at_rest_ms)| Thread { at_rest_ms, ..thread(tid, "w") }).collect();
        let next = tids.iter().cycle().skip(1);
        let locks =
            tids.iter().zip(next).map(|(tid, next)| lock(16 * u64::from(*tid), &[*tid], &[(*next, SURE)]));
        let found = about_locks_of(threads, locks.collect(), &nobody_moved());
        found[0].evidence.last().expect("it has evidence").message.clone()
    };
    assert_eq!(last(&[1, 2], [Some(9_000), Some(4_200)]), "none of these threads has run in the last 4.2 s");
    assert_eq!(last(&[1], [Some(9_000), None]), "#1 (w) has not run for at least 9.0 s");
    // One of them was not seen there by an earlier report.
    for times in [[Some(9_000), None], [None, None], [Some(9_000), Some(0)]] {
        assert_eq!(last(&[1, 2], times), "#1 (w) holds it", "{times:?}");
    }
}

fn nobody_moved() -> SecondLook {
    moved(&[])
}

fn moved(tids: &[u32]) -> SecondLook {
    SecondLook::Taken { moved: Some(tids.to_vec()), between: Duration::from_millis(50), used: Vec::new() }
}

#[test]
fn a_cycle_of_threads_that_have_not_moved_is_a_deadlock() {
    let two =
        || vec![lock(16, &[1, 7], &[(2, SURE)]), lock(32, &[2], &[(1, SURE)]), lock(48, &[3], &[(1, SURE)])];
    let findings = about_locks(two(), &nobody_moved());
    assert_eq!(codes(&findings), ["deadlock.std-lock"]);
    let finding = &findings[0];
    assert_eq!(
        (&finding.threads[..], finding.severity, finding.certainty),
        (&[1, 2][..], Severity::Error, SURE)
    );
    assert_eq!(
        finding.message,
        "deadlock: 2 threads wait for each other's locks: #1 (w), #2 (w); 1 other thread waits for one of these locks"
    );
    let evidence: Vec<_> = finding.evidence.iter().map(|evidence| evidence.message.as_str()).collect();
    let expected = [
        "#1 (w) waits for the Mutex 0x10",
        "#2 (w) holds it",
        "#2 (w) waits for the Mutex 0x20",
        "#1 (w) holds it",
    ];
    assert_eq!(evidence, expected);
    assert!(finding.evidence.iter().all(|evidence| evidence.frame == Some(0)));
    for tid in [1, 2] {
        assert_eq!(about_locks(two(), &moved(&[tid])), [], "{tid} has moved");
    }
    assert_eq!(codes(&about_locks(two(), &moved(&[3, 7]))), ["deadlock.std-lock"]);
    let both = vec![lock(16, &[1, 7, 8], &[(2, SURE)]), lock(32, &[2, 8, 9], &[(1, SURE)])];
    let message = &about_locks(both, &nobody_moved())[0].message;
    assert!(message.ends_with("#2 (w); 3 other threads wait for these locks"), "{message}");
    let own = vec![lock(16, &[1, 7, 8], &[(1, SURE)])];
    let message = &about_locks(own, &nobody_moved())[0].message;
    assert!(message.ends_with("that it holds itself; 2 other threads wait for this lock"), "{message}");
    assert_eq!(about_locks(two(), &SecondLook::NotTaken), []);
}

#[test]
fn a_chain_of_threads_is_no_deadlock() {
    let chain = vec![lock(16, &[1], &[(2, SURE)]), lock(32, &[2], &[(3, SURE)]), lock(48, &[4], &[])];
    assert_eq!(about_locks(chain, &nobody_moved()), []);
    let long = (1..1_000).map(|tid| lock(tid.into(), &[tid], &[(tid + 1, SURE)])).collect();
    assert_eq!(about_locks(long, &nobody_moved()), []);
    let unsure = Certainty::Probable;
    let not_certain = vec![lock(16, &[1], &[(2, SURE)]), lock(32, &[2], &[(1, unsure)])];
    assert_eq!(about_locks(not_certain, &nobody_moved()), []);
}

#[test]
fn each_deadlock_is_found_once() {
    let cycle = |first: u32| {
        let next = move |tid: u32| first + (tid - first + 1) % 3;
        (first..first + 3).map(move |tid| lock(tid.into(), &[tid], &[(next(tid), SURE)]))
    };
    let both = cycle(1).chain(cycle(4)).chain([lock(99, &[9], &[(9, SURE)])]).collect();
    let findings = about_locks(both, &nobody_moved());
    assert_eq!(codes(&findings), ["deadlock.std-lock", "deadlock.std-lock", "deadlock.self"]);
    let mut threads: Vec<_> = findings.iter().map(|finding| finding.threads.clone()).collect();
    for threads in &mut threads {
        threads.sort_unstable();
    }
    assert_eq!(threads, [vec![1, 2, 3], vec![4, 5, 6], vec![9]]);
    assert!(findings[2].message.ends_with("#9 (w) waits for a lock that it holds itself"), "{findings:?}");
}

#[test]
fn a_reader_among_several_can_be_part_of_a_deadlock() {
    let readers = Lock { kind: LockKind::RwLock, ..lock(16, &[1], &[(5, SURE), (2, SURE)]) };
    let findings = about_locks(vec![readers, lock(32, &[2], &[(1, SURE)])], &nobody_moved());
    assert_eq!(codes(&findings), ["deadlock.std-lock"]);
    let mutex = Lock { kind: LockKind::PthreadMutex, ..lock(16, &[1], &[(2, SURE)]) };
    let findings = about_locks(vec![mutex, lock(32, &[2], &[(1, SURE)])], &nobody_moved());
    assert_eq!(codes(&findings), ["deadlock.pthread-mutex"]);
}

/// The findings for threads that wait for the ends of others, and these locks.
fn about_joins(joins: &[(u32, u32)], locks: Vec<Lock>) -> Vec<Finding> {
    let frames = [Frame { function: Some("shop::stop".to_owned()), ..Frame::default() }];
    let joins_of = |tid| joins.iter().find(|(from, _)| *from == tid).map(|(_, to)| *to);
    let waiting = |tid| joins_of(tid).map(|to| Waiting { joins: Some(to), ..waiting_on(16) }.into());
    let threads = (1..10).map(|tid| Thread { waiting: waiting(tid), ..thread(tid, "w") }).collect();
    let sections = [section("Threads", Content::Threads(Threads { threads, locks, ..Threads::default() }))];
    assert!(find(&sections, &frames, &moved(&[1])).is_empty());
    find(&sections, &frames, &nobody_moved())
}

#[test]
fn a_thread_that_is_joined_by_one_whose_lock_it_waits_for_is_in_a_deadlock() {
    let findings = about_joins(&[(1, 2)], vec![lock(32, &[2], &[(1, SURE)])]);
    assert_eq!(codes(&findings), ["deadlock.join"]);
    assert_eq!(findings[0].message, "deadlock: 2 threads wait for each other: #1 (w), #2 (w)");
    let evidence: Vec<_> = findings[0].evidence.iter().map(|evidence| evidence.message.as_str()).collect();
    let expected = ["#1 (w) waits for #2 (w) to end", "#2 (w) waits for the Mutex 0x20", "#1 (w) holds it"];
    assert_eq!(evidence, expected);
    assert!(findings[0].evidence.iter().all(|evidence| evidence.frame == Some(0)));
    let findings = about_joins(&[(1, 2), (2, 3), (3, 1)], Vec::new());
    assert_eq!((codes(&findings), &findings[0].threads[..]), (vec!["deadlock.join"], &[1, 2, 3][..]));
}

#[test]
fn a_join_of_a_thread_that_can_go_on_is_no_deadlock() {
    assert_eq!(about_joins(&[(1, 2), (2, 3)], Vec::new()), []);
    // The lock's holder does not wait for either of them.
    assert_eq!(about_joins(&[(1, 2)], vec![lock(32, &[2], &[(3, SURE)])]), []);
    assert_eq!(about_joins(&[(1, 2)], vec![lock(32, &[2], &[(1, Certainty::Probable)])]), []);
}

#[test]
fn the_process_at_the_other_end_is_evidence_if_a_holder_waits_for_it() {
    let frames = [Frame { function: Some(LOCK.to_owned()), ..Frame::default() }];
    let on = |target: &str| {
        Some(
            Waiting { call: "recvfrom".into(), target: Some(target.to_owned()), ..Waiting::default() }.into(),
        )
    };
    let target = "TCP 127.0.0.1:40112 -> 127.0.0.1:5432, established";
    let threads = vec![
        Thread { waiting: Some(waiting_on(16).into()), ..thread(1, "w") },
        Thread { waiting: on(target), ..thread(2, "h") },
        Thread { waiting: on("TCP 127.0.0.1:9 -> 127.0.0.1:10, established"), ..thread(3, "other") },
    ];
    let threads = Threads { threads, locks: vec![lock(16, &[1], &[(2, SURE)])], ..Threads::default() };
    let sections = [section("Threads", Content::Threads(threads))];
    // The other connection belongs to no finding.
    assert_eq!(suspects(&sections, &frames).connections.into_iter().collect::<Vec<_>>(), [target]);
    let process = "process 7 (postgres)".to_owned();
    let peers = vec![PeerProcess { connection: target.to_owned(), process, is_this_process: false }];
    let findings = super::find(&sections, &frames, &Seen { peers, ..Seen::default() }, &[]);
    let evidence = findings[0].evidence.last().unwrap();
    assert_eq!(evidence.message, "the other end of this connection: process 7 (postgres)");
    assert_eq!((evidence.thread, findings[0].evidence.len()), (Some(2), 3));
    assert_eq!(find(&sections, &frames, &SecondLook::NotTaken)[0].evidence.len(), 2);
}

#[test]
fn who_holds_a_lock_and_what_it_does_is_evidence() {
    let frames = [Frame { function: Some(LOCK.to_owned()), ..Frame::default() }];
    let waiting = |tid| Thread { waiting: Some(waiting_on(16).into()), ..thread(tid, "w") };
    let read = Waiting { call: "read".to_owned(), target: Some("pipe:[7]".to_owned()), ..Waiting::default() };
    let holder = Thread { waiting: Some(read.into()), stack: Stack::missing("no stack"), ..thread(5, "h") };
    let holder_of_nothing = Thread { tid: 7, name: "f".to_owned(), ..holder.clone() };
    let about = |holders: &[(u32, Certainty)], second: &SecondLook| {
        let threads = vec![waiting(1), waiting(2), holder.clone()];
        let threads = Threads { threads, locks: vec![lock(16, &[1, 2], holders)], ..Threads::default() };
        find(&[section("Threads", Content::Threads(threads))], &frames, second)
    };
    let evidence = |certainty| {
        let findings = about(&[(5, certainty)], &SecondLook::NotTaken);
        let waits = findings.into_iter().find(|finding| finding.code == "thread.lock-wait").unwrap();
        waits.evidence.into_iter().map(|evidence| evidence.message).collect::<Vec<_>>()
    };
    assert_eq!(evidence(SURE), ["2 threads wait", "#5 (h) holds it and waits in read (pipe:[7])"]);
    assert!(evidence(Certainty::Probable)[1].starts_with("#5 (h) may hold it"));
    // What the holder waits for, step by step.
    let chained = |joins| {
        let threads = vec![
            waiting(1),
            Thread { waiting: Some(waiting_on(32).into()), ..thread(5, "h") },
            Thread {
                waiting: Some(Waiting { joins: Some(joins), ..waiting_on(48) }.into()),
                ..thread(6, "g")
            },
            holder_of_nothing.clone(),
        ];
        let locks = vec![lock(16, &[1], &[(5, SURE)]), lock(32, &[5], &[(6, SURE)])];
        let threads = Threads { threads, locks, ..Threads::default() };
        let sections = [section("Threads", Content::Threads(threads))];
        let waits = find(&sections, &frames, &SecondLook::NotTaken);
        let waits = waits.into_iter().find(|finding| finding.code == "thread.lock-wait").unwrap();
        waits.evidence.into_iter().skip(1).map(|evidence| evidence.message).collect::<Vec<_>>()
    };
    let expected = [
        "#5 (h) holds it and waits for the lock 0x20",
        "#6 (g) holds 0x20 and waits for #7 (f) to end",
        "#7 (f) waits in read (pipe:[7])",
    ];
    assert_eq!(chained(7), expected);
    assert_eq!(chained(5).len(), 2, "a cycle ends");
    // The lock of a deadlock is in that finding.
    assert!(!codes(&about(&[(1, SURE)], &nobody_moved())).contains(&"thread.lock-wait"));
}

#[test]
fn a_rule_that_panics_leaves_the_others_their_findings() {
    let facts = Facts { sections: &[], frames: &[], second: &SecondLook::NotTaken, peers: &[], past: &[] };
    let findings = apply(|_| panic!("no such thread"), &facts);
    assert_eq!(codes(&findings), ["report.rule-failed"]);
    assert!(findings[0].message.ends_with("no such thread"), "{findings:?}");
}
