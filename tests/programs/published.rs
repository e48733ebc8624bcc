//! Deadlocks and hangs that were published as issues of Rust programs, each reduced to its cause.
//! The argument names the one to reproduce.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread::{self, Builder, JoinHandle};

use tokio::sync::mpsc as tasks;

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(run).expect("a thread")
}

fn runtime() -> &'static tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    Box::leak(Box::new(runtime.expect("a runtime")))
}

/// rust-lang/rust#37612: what is matched on is dropped after the `match`, and so is its guard.
#[inline(never)]
fn price(prices: &RwLock<BTreeMap<u64, u64>>, item: u64) -> u64 {
    match prices.read().unwrap().get(&item) {
        Some(price) => *price,
        None => *prices.write().unwrap().entry(item).or_insert(7),
    }
}

static ORDERS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static IS_STOLEN: AtomicBool = AtomicBool::new(false);
static IS_SECOND: AtomicBool = AtomicBool::new(false);

fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        thread::yield_now();
    }
}

/// rayon-rs/rayon#592: a lock is held across `join`. While the thread waits for the half that
/// another one has stolen, it begins the next order, which needs the lock.
#[inline(never)]
fn settle(scope: &rayon::Scope<'_>, order: u64) {
    if order > 0 {
        IS_SECOND.store(true, Ordering::Release);
    }
    let mut orders = ORDERS.lock().unwrap();
    let next = || {
        wait_for(&IS_STOLEN);
        scope.spawn(move |scope| settle(scope, order + 1));
    };
    let stolen = || {
        IS_STOLEN.store(true, Ordering::Release);
        wait_for(&IS_SECOND);
    };
    rayon::join(next, stolen);
    orders.push(order);
}

/// zubanls/zuban#314: a function that reads calls another one that reads, and in between a writer
/// has begun to wait, which has precedence over new readers.
#[inline(never)]
fn check(workspaces: &RwLock<Vec<u64>>) {
    let all = workspaces.read().unwrap();
    // A writer waits.
    while workspaces.try_read().is_ok() {
        thread::yield_now();
    }
    black_box(all.iter().map(|workspace| resolve(workspaces, *workspace)).sum::<u64>());
}

#[inline(never)]
fn resolve(workspaces: &RwLock<Vec<u64>>, workspace: u64) -> u64 {
    let all = workspaces.read().unwrap();
    all.len() as u64 + workspace
}

/// rust-lang/rust#34971: two threads that join each other.
#[inline(never)]
fn join_other(other: &mpsc::Receiver<JoinHandle<()>>) {
    let other = other.recv().expect("it is sent");
    other.join().expect("it never ends");
}

/// lightningdevkit/rapid-gossip-sync-server#32: tasks that block their workers until there is space
/// in a channel, whose reader is a task that no worker is left for.
#[allow(clippy::unused_async, reason = "that it never waits is the fault it shows")]
async fn announce(messages: tasks::Sender<u64>) {
    loop {
        persist(&messages, 7);
    }
}

#[inline(never)]
fn persist(messages: &tasks::Sender<u64>, message: u64) {
    futures::executor::block_on(messages.send(message)).expect("it is open");
}

async fn store(mut messages: tasks::Receiver<u64>, begun: mpsc::Sender<()>) {
    begun.send(()).expect("it is waited for");
    while messages.recv().await.is_some() {}
}

/// build-trust/ockam#1947: two workers that send each other messages, and whose queues are full.
async fn work(mut own: tasks::Receiver<u64>, other: tasks::Sender<u64>) {
    for number in 0.. {
        other.send(number).await.expect("it is open");
        other.send(number).await.expect("it is open");
        own.recv().await;
    }
}

fn reproduce(mode: &str) {
    match mode {
        "match" => {
            spawn("prices", || {
                black_box(price(&RwLock::default(), 4711));
            });
        }
        "rayon" => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
            let pool = pool.thread_name(|number| format!("rayon-{number}")).build().expect("a pool");
            spawn("orders", move || pool.scope(|scope| settle(scope, 0)));
        }
        "read-twice" => {
            let workspaces = Arc::new(RwLock::new(vec![1, 2, 3]));
            let same = Arc::clone(&workspaces);
            spawn("checker", move || check(&same));
            spawn("editor", move || {
                // The checker reads.
                while workspaces.try_write().is_ok() {
                    thread::yield_now();
                }
                workspaces.write().unwrap().push(4);
            });
        }
        "joins" => {
            let (to_one, from_one) = mpsc::channel();
            let (to_other, from_other) = mpsc::channel();
            to_other.send(spawn("one", move || join_other(&from_one))).expect("it is read");
            to_one.send(spawn("other", move || join_other(&from_other))).expect("it is read");
        }
        "blocking-send" => {
            let _entered = runtime().enter();
            let (sender, receiver) = tasks::channel(1);
            let (begun, is_begun) = mpsc::channel();
            gmr::task::spawn(store(receiver, begun));
            is_begun.recv().expect("it begins");
            // The reader waits for a message, and takes the first one only when it is polled.
            gmr::task::spawn(announce(sender.clone()));
            gmr::task::spawn(announce(sender));
        }
        "actors" => {
            let _entered = runtime().enter();
            let (to_one, from_other) = tasks::channel(1);
            let (to_other, from_one) = tasks::channel(1);
            gmr::task::spawn(work(from_other, to_other));
            gmr::task::spawn(work(from_one, to_one));
        }
        _ => panic!("there is no mode {mode:?}"),
    }
}

#[gmr::main]
fn main() {
    reproduce(&std::env::args().nth(1).expect("a mode"));
    gmr_tests::converse(str::to_owned);
    std::process::exit(0);
}
