//! Asynchronous tasks that wait in known functions.
//!
//! `tasks tokio|wedged|unpolled|full|smol|futures`, or `tasks many COUNT`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future;
use gmr::task::TrackExt;

/// Functions that wait, on any executor.
async fn for_an_answer() {
    let (_open, answer) = oneshot::channel::<()>();
    let _ = answer.await;
}

async fn through_two() {
    through_one().await;
}

async fn through_one() {
    for_an_answer().await;
}

async fn for_a_lock(lock: Arc<futures::lock::Mutex<()>>) {
    let _held = lock.lock().await;
}

async fn for_either() {
    future::select(Box::pin(for_an_answer()), Box::pin(for_nobody())).await;
}

async fn for_nobody() {
    future::pending::<()>().await;
    let (_open, answer) = oneshot::channel::<()>();
    let _ = answer.await;
}

async fn for_both() {
    future::join(for_an_answer(), through_one()).await;
}

#[gmr::task]
async fn by_attribute(order: u64) -> Result<u64, std::num::ParseIntError> {
    gmr::task::label("order", order);
    gmr::task::label("password", "hunter2");
    for_an_answer().await;
    Ok(order + "1".parse::<u64>()?)
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The same for every runtime. What holds the lock is returned, to be kept.
fn tasks() -> (Vec<Task>, Arc<futures::lock::Mutex<()>>) {
    let lock = Arc::new(futures::lock::Mutex::new(()));
    let tasks: Vec<Task> = vec![
        Box::pin(through_two().tracked_as("deep")),
        Box::pin(for_a_lock(Arc::clone(&lock)).tracked_as("lock")),
        Box::pin(for_either().tracked_as("either")),
        Box::pin(for_both().tracked_as("both")),
        Box::pin(async { drop(by_attribute(4711).await) }),
        Box::pin(async { drop(by_attribute(4712).await) }.tracked_as("nested")),
    ];
    (tasks, lock)
}

fn converse() {
    gmr_tests::converse(|_| String::from("here"));
}

fn on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (tasks, lock) = tasks();
    let _held = lock.try_lock().expect("it is free");
    let _entered = runtime.enter();
    for task in tasks {
        // Spawned by tokio itself, so that they are not tracked a second time.
        tokio::spawn(task);
    }
    let permits = Arc::new(tokio::sync::Semaphore::new(0));
    gmr::task::spawn(for_a_permit(permits));
    gmr::task::spawn(for_a_while());
    let (_sender, receiver) = tokio::sync::mpsc::channel::<u64>(1);
    gmr::task::spawn(for_a_message(receiver));
    let mut set = gmr::task::JoinSet::new();
    set.spawn(for_an_answer());
    gmr::task::spawn_blocking(block);
    while runtime.metrics().global_queue_depth() > 0 {
        thread::yield_now();
    }
    gmr_tests::settle(1);
    converse();
    std::process::exit(0);
}

async fn for_a_permit(permits: Arc<tokio::sync::Semaphore>) {
    let _ = permits.acquire().await;
}

async fn for_a_while() {
    tokio::time::sleep(Duration::from_hours(1)).await;
}

async fn for_a_message(mut receiver: tokio::sync::mpsc::Receiver<u64>) {
    let _ = receiver.recv().await;
}

#[inline(never)]
fn block() {
    gmr_tests::arrive();
    loop {
        thread::park();
    }
}

#[allow(clippy::unused_async, reason = "that it never waits is the fault it shows")]
async fn that_blocks_its_worker() {
    block();
}

/// Every worker is inside a task that does not return.
fn wedged() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let (reached, waits) = std::sync::mpsc::channel();
    gmr::task::spawn(async move {
        reached.send(()).expect("the channel is open");
        for_an_answer().await;
    });
    waits.recv().expect("it runs");
    for _ in 0..2 {
        gmr::task::spawn(that_blocks_its_worker());
    }
    gmr_tests::settle(2);
    converse();
    std::process::exit(0);
}

#[gmr::task(poll = false)]
async fn unpolled() {
    for_an_answer().await;
}

/// A task that reports may not poll, and another one.
fn with_one_unpolled() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    tokio::spawn(unpolled());
    gmr::task::spawn(for_an_answer());
    converse();
    std::process::exit(0);
}

/// A waker of an executor whose queue is full.
struct Full;

impl Wake for Full {
    fn wake(self: Arc<Self>) {
        panic!("too many tasks are queued");
    }
}

/// A task whose waker panics, in a program whose hook ends it.
fn with_a_full_queue() {
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    let waker = Waker::from(Arc::new(Full));
    let mut task = Box::pin(for_an_answer().tracked_as("queued"));
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    converse();
}

fn on_smol() {
    let (tasks, lock) = tasks();
    let _held = lock.try_lock().expect("it is free");
    for task in tasks {
        smol::spawn(task).detach();
    }
    converse();
}

fn on_futures() {
    let (tasks, lock) = tasks();
    let held = lock.try_lock();
    assert!(held.is_some(), "it is free");
    thread::spawn(move || futures::executor::block_on(future::join_all(tasks)));
    converse();
    drop(held);
}

/// That many tasks, all waiting at one place.
fn many(count: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let permits = Arc::new(tokio::sync::Semaphore::new(0));
    for _ in 0..count {
        gmr::task::spawn(for_a_permit(Arc::clone(&permits)));
    }
    while runtime.metrics().global_queue_depth() > 0 {
        thread::sleep(Duration::from_millis(10));
    }
    converse();
    std::process::exit(0);
}

#[gmr::main]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tokio"] => on_tokio(),
        ["wedged"] => wedged(),
        ["unpolled"] => with_one_unpolled(),
        ["full"] => with_a_full_queue(),
        ["smol"] => on_smol(),
        ["futures"] => on_futures(),
        ["many", count] => many(count.parse().expect("a number")),
        _ => panic!("which runtime?"),
    }
}
