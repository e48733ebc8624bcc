//! A program with children that do not become other programs. Its argument:
//!
//! - none: it continues in a child that it has forked. The child has no reporter until it installs
//!   one;
//! - `daemon`: it continues in a child, and the parent ends. The child answers questions: `capture`
//!   with the notes in the heading of a report, and `after fork` when gmr has been started again;
//! - `vfork`: its main thread waits for such a child, and cannot be interrupted;
//! - `inside`: it forks inside the poll of a task;
//! - `spans`: it forks inside a span of `tracing`, while another thread is inside others;
//! - `coming`: it forks while other threads start and end tasks, and answers with how many of the
//!   children have polled tasks of their own;
//! - `first`: it forks at each allocation of another thread that starts its first task, and answers
//!   in the same way;
//! - `handling`: it forks while another thread runs a handler of the report signal, and answers
//!   with how many of the children have stopped gmr.
//!
//! `fork` is unsafe: this program forks while it has one thread of its own, and gmr's, or others
//! that only start and end tasks.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::poll_fn;
use std::os::unix::thread::JoinHandleExt as _;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use gmr::task::TrackExt as _;
use serde_json::{Value, json};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("vfork") => wait_for_a_child(),
        Some("inside") => fork_inside_a_poll(),
        #[cfg(feature = "services")]
        Some("spans") => fork_inside_a_span(),
        Some("coming") => fork_while_tasks_come_and_go(),
        Some("first") => fork_while_the_first_task_starts(),
        Some("daemon") => become_a_daemon(),
        Some("handling") => fork_while_a_thread_handles_the_signal(),
        _ => install_in_a_child(),
    }
}

/// Forks, and returns in the child. The parent exits: with `wait`, after the child and with its
/// status, and otherwise at once.
fn fork(wait: bool) {
    // SAFETY: the child calls what may allocate: no other thread of this program holds the
    // allocator's locks, and gmr's sleeps.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child > 0 {
        let mut status = 0;
        if wait {
            // SAFETY: waits for the child made above.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
        }
        std::process::exit(status);
    }
}

fn become_a_daemon() {
    let builder = gmr::Builder::new().product("daemon").section("Of the daemon", || 7);
    let guard = builder.install().expect("nothing is installed yet");
    fork(false);
    gmr_tests::converse(|question| match question {
        "who are you?" => std::process::id().to_string(),
        "capture" => {
            let notes = gmr::Report::capture().heading.notes;
            serde_json::to_string(&notes).expect("strings are JSON")
        }
        "after fork" => format!("{:?}", gmr::after_fork()),
        _ => question.to_owned(),
    });
    drop(guard);
}

fn install_in_a_child() {
    gmr::Builder::new().product("parent").install().expect("nothing is installed yet").keep();
    fork(true);
    // A busy machine may take several reports until all functions have their names.
    let before = loop {
        let report = about(&gmr::Report::capture());
        if report["main_is_shown"] == true {
            break report;
        }
    };
    let guard =
        gmr::Builder::new().product("child").install().expect("the parent's installation is not the child's");
    let after = about(&gmr::Report::capture());
    gmr_tests::converse(|_| {
        let answer = json!({"pid": std::process::id(), "before": before, "after": after});
        answer.to_string()
    });
    drop(guard);
}

/// What the test expects of a report.
fn about(report: &gmr::Report) -> Value {
    let report = serde_json::to_value(report).expect("a report is JSON");
    let all = |list: &str| report[list].as_array().cloned().unwrap_or_default();
    let package = all("sections").into_iter().find(|section| section["title"] == "Package");
    json!({
        "product": package.unwrap_or_default()["content"]["data"]["product"],
        "main_is_shown": all("frames").iter().any(|frame| frame["function"] == "forked::main"),
    })
}

/// What the main thread waits for.
static CHILD: AtomicI32 = AtomicI32::new(0);
static RETURNED: AtomicU32 = AtomicU32::new(0);

/// The child, which shares the parent's memory. It sleeps until it is killed, or the parent ends.
extern "C" fn sleep(_: *mut libc::c_void) -> i32 {
    // SAFETY: it makes a system call that accesses no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    loop {
        // SAFETY: it only waits.
        unsafe { libc::pause() };
    }
}

fn wait_for_a_child() {
    gmr::Builder::new().product("waiting").install().expect("nothing is installed yet").keep();
    gmr_tests::start_named("worker", || {
        loop {
            thread::park();
        }
    });
    let main_is = |state| gmr_tests::state_of(std::process::id()) == Some(state);
    let conversation = thread::spawn(move || {
        // Until main waits for the child.
        while CHILD.load(Ordering::Acquire) == 0 || !main_is('D') {
            thread::yield_now();
        }
        gmr_tests::converse(|question| {
            if question == "end the child" {
                // SAFETY: it ends a child of this process.
                unsafe { libc::kill(CHILD.load(Ordering::Acquire), libc::SIGKILL) };
                // Until main waits for this thread.
                while RETURNED.load(Ordering::Acquire) == 0 || !main_is('S') {
                    thread::yield_now();
                }
            }
            question.to_owned()
        });
    });
    let mut stack = vec![0_u128; 4096];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
    // SAFETY: as `vfork`, but the child has a stack of its own, which lives until it has ended. The
    // kernel writes the child's id before the child runs.
    unsafe {
        libc::clone(sleep, stack.as_mut_ptr().add(4096).cast(), flags, std::ptr::null_mut(), CHILD.as_ptr());
    }
    RETURNED.store(1, Ordering::Release);
    conversation.join().expect("it does not panic");
}

/// Answers with the state of the task in two reports of the child: one made inside the poll in
/// which it was forked, and one made inside the next poll.
fn fork_inside_a_poll() {
    let mut states = Vec::new();
    let mut polls = 0;
    let mut task = pin!(
        poll_fn(|_| {
            polls += 1;
            if polls == 2 {
                fork(true);
            }
            if polls >= 2 {
                states.push(state_of_the_task());
            }
            if polls < 3 { Poll::Pending } else { Poll::Ready(std::mem::take(&mut states)) }
        })
        .tracked_as("forking")
    );
    let states = loop {
        if let Poll::Ready(states) = task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            break states;
        }
    };
    gmr_tests::converse(|_| json!({"pid": std::process::id(), "states": states}).to_string());
}

/// Answers with what the child's report shows of the spans and events.
#[cfg(feature = "services")]
fn fork_inside_a_span() {
    use std::sync::{Arc, Barrier};

    use tracing::info_span;
    use tracing_subscriber::prelude::*;

    tracing_subscriber::registry().with(gmr::tracing::layer()).init();
    let shared = info_span!("shared");
    let is_inside = Arc::new(Barrier::new(2));
    let (in_thread, thread_inside) = (shared.clone(), Arc::clone(&is_inside));
    thread::spawn(move || {
        let others = info_span!("others");
        let _inside = (in_thread.enter(), others.enter());
        thread_inside.wait();
        loop {
            thread::park();
        }
    });
    is_inside.wait();
    let own = info_span!("own");
    let inside = (own.enter(), shared.enter());
    tracing::warn!("before");
    fork(true);
    tracing::warn!("after");
    let report = || {
        let report = serde_json::to_value(gmr::Report::capture()).expect("a report is JSON");
        let sections = report["sections"].as_array().expect("a list").clone();
        let data = |title: &str| {
            let section = sections.iter().find(|section| section["title"] == title);
            section.expect("a section")["content"]["data"].clone()
        };
        json!({"spans": data("Spans in Flight"), "events": data("Recent Events")})
    };
    let while_inside = report();
    drop(inside);
    let answer = json!({"pid": std::process::id(), "inside": while_inside, "outside": report()["spans"]});
    gmr_tests::converse(|_| answer.to_string());
}

/// How many children are forked.
const CHILDREN: usize = 10;

fn poll_a_task(name: &'static str) {
    let mut task = pin!(async {}.tracked_as(name));
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// Forks a child that polls tasks. Returns whether it has done so.
fn a_child_polls() -> bool {
    // SAFETY: another thread holds locks of gmr's, and perhaps of the allocator's, and the C
    // library makes the latter usable in the child. The child ends without running anything else of
    // this program's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: a child that hangs is ended by a signal.
        unsafe { libc::alarm(20) };
        (0..32).for_each(|_| poll_a_task("of the child"));
        // SAFETY: it ends this process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status == 0
}

fn fork_while_tasks_come_and_go() {
    let over = &AtomicBool::new(false);
    let polled = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    poll_a_task("coming and going");
                }
            });
        }
        let polled = (0..CHILDREN).take_while(|_| a_child_polls()).count();
        over.store(true, Ordering::Relaxed);
        polled
    });
    gmr_tests::converse(|_| json!({"polled": polled, "children": CHILDREN}).to_string());
}

/// The system's allocator. A thread can have each of its allocations wait.
struct Waiting;

#[global_allocator]
static ALLOCATOR: Waiting = Waiting;

/// The number of the allocation that waits, and of the last one that may go on.
static ASKED: AtomicU32 = AtomicU32::new(0);
static ANSWERED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: it is the system's.
unsafe impl GlobalAlloc for Waiting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WAITS.get() {
            let number = ASKED.fetch_add(1, Ordering::Release) + 1;
            while ANSWERED.load(Ordering::Acquire) < number {
                thread::yield_now();
            }
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn fork_while_the_first_task_starts() {
    let (mut polled, mut children) = (0, 0);
    thread::scope(|scope| {
        let starting = scope.spawn(|| {
            WAITS.set(true);
            poll_a_task("first");
            WAITS.set(false);
        });
        while !starting.is_finished() {
            if ASKED.load(Ordering::Acquire) > children {
                children += 1;
                polled += usize::from(a_child_polls());
                ANSWERED.store(children, Ordering::Release);
            }
            thread::yield_now();
        }
    });
    gmr_tests::converse(|_| json!({"polled": polled, "children": children}).to_string());
}

static HANDLING: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// The program's handler of the report signal, which gmr's calls first.
extern "C" fn handle_until_forked(_: i32) {
    HANDLING.store(true, Ordering::Release);
    while !FORKED.load(Ordering::Acquire) {
        std::hint::spin_loop();
    }
}

fn fork_while_a_thread_handles_the_signal() {
    // SAFETY: the handler only uses atomics.
    unsafe { libc::signal(libc::SIGUSR2, handle_until_forked as *const () as usize) };
    let install = || gmr::Builder::new().install().expect("it is not installed in this process");
    let mut guard = Some(install());
    let handling = thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    // SAFETY: the thread never ends.
    unsafe { libc::pthread_kill(handling.as_pthread_t(), libc::SIGUSR2) };
    while !HANDLING.load(Ordering::Acquire) {
        thread::yield_now();
    }
    let has_reporter = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("the threads can be listed").flatten();
        tasks
            .map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default())
            .any(|name| name == "gmr\n")
    };
    let mut has_stopped = |start: &dyn Fn(Option<gmr::Guard>) -> gmr::Guard| {
        // SAFETY: the child calls what may allocate: the other threads of this program and of gmr
        // wait, or run a handler that only uses atomics.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: a child that hangs is ended by a signal.
            unsafe { libc::alarm(20) };
            drop(start(guard.take()));
            while has_reporter() {
                thread::yield_now();
            }
            // SAFETY: it ends this process.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        usize::from(status == 0)
    };
    let stopped = has_stopped(&|parents| {
        gmr::after_fork().expect("it can be started again");
        parents.expect("the child has a copy of it")
    }) + has_stopped(&|_| install());
    FORKED.store(true, Ordering::Release);
    gmr_tests::converse(|_| stopped.to_string());
}

/// The state in a report that is made without an installation. A task that is being polled is not
/// polled for the report.
fn state_of_the_task() -> Value {
    let report = serde_json::to_value(gmr::Report::capture()).expect("a report is JSON");
    let sections = report["sections"].as_array().expect("a list");
    let tasks = sections.iter().find(|section| section["title"] == "Green Threads");
    tasks.expect("a section")["content"]["data"]["tasks"][0]["state"].clone()
}
