//! Tasks that block their workers, starve or wait for something, in the ways that the arguments
//! name, and healthy ones that look like it. Each way has a runtime of its own.

use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::channel::oneshot;
use gmr::task::TrackExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Semaphore, mpsc};

const LONG: Duration = Duration::from_hours(1);

fn runtime(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).max_blocking_threads(8).enable_all();
    builder.build().expect("a runtime")
}

/// A call that does not return: it reads from a pipe whose other end stays open.
#[inline(never)]
fn read_forever() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    std::mem::forget(writer);
    let _ = reader.read(&mut [0]);
}

#[allow(clippy::unused_async, reason = "that it never waits is the fault it shows")]
async fn reads_in_its_poll() {
    read_forever();
}

async fn waits_for_a_future_in_its_poll() {
    let (_open, answer) = oneshot::channel::<()>();
    let _ = futures::executor::block_on(answer);
    tokio::task::yield_now().await;
}

async fn accepts(permits: Arc<Semaphore>) {
    loop {
        let permit = permits.acquire().await.expect("it is open");
        permit.forget();
    }
}

async fn updates(stock: Arc<Mutex<u64>>) {
    *stock.lock().await += 1;
}

async fn fills(sender: mpsc::Sender<u64>) {
    while sender.send(1).await.is_ok() {}
}

/// Forgets to keep the waker.
async fn is_lost() {
    poll_fn(|_| Poll::<()>::Pending).await;
}

async fn computes() {
    tokio::task::yield_now().await;
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_mul(31).wrapping_add(1));
    }
}

async fn reads_in_place() {
    tokio::task::yield_now().await;
    tokio::task::block_in_place(read_forever);
}

async fn waits_in_place() {
    tokio::task::yield_now().await;
    let (_open, answer) = oneshot::channel::<()>();
    tokio::task::block_in_place(|| {
        let _ = tokio::runtime::Handle::current().block_on(answer);
    });
}

/// A branch of its loop is always ready: nobody can send any more.
async fn spins(mut closed: mpsc::Receiver<u64>, mut open: mpsc::Receiver<u64>) {
    loop {
        let message = tokio::select! {
            message = closed.recv() => message,
            message = open.recv() => message,
        };
        black_box(message);
    }
}

/// The same loop, which waits: nobody sends, and it wakes up a thousand times a second.
async fn ticks(mut open: mpsc::Receiver<u64>) {
    let mut interval = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            message = open.recv() => drop(black_box(message)),
            _ = interval.tick() => {}
        }
    }
}

async fn shuts_down() {
    pending::<()>().await;
}

/// Requests that take a lock, send a message and wait a moment.
async fn serves(stock: Arc<Mutex<u64>>, sender: mpsc::Sender<u64>) {
    loop {
        let request = async {
            let mut stock = stock.lock().await;
            *stock += 1;
            let _ = sender.send(*stock).await;
        };
        let _ = gmr::task::spawn(tokio::time::timeout(LONG, async {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }))
        .await;
        request.await;
    }
}

async fn consumes(mut receiver: mpsc::Receiver<u64>) {
    while receiver.recv().await.is_some() {}
}

fn begin(mode: &str) {
    let workers = if mode == "wedged" { 1 } else { 2 };
    let runtime = runtime(workers);
    let entered = runtime.enter();
    match mode {
        "blocks" => drop(gmr::task::spawn(reads_in_its_poll())),
        "wedged" => {
            // It is polled first, and then never again.
            drop(gmr::task::spawn(shuts_down()));
            drop(gmr::task::spawn(reads_in_its_poll()));
        }
        "block-on" => drop(gmr::task::spawn(waits_for_a_future_in_its_poll())),
        "pool" => {
            for _ in 0..9 {
                drop(gmr::task::spawn_blocking(read_forever));
            }
        }
        "permits" => drop(gmr::task::spawn(accepts(Arc::new(Semaphore::new(2))))),
        "mutex" => {
            let stock = Arc::new(Mutex::new(0));
            std::mem::forget(Arc::clone(&stock).try_lock_owned().expect("it is free"));
            for _ in 0..3 {
                drop(gmr::task::spawn(updates(Arc::clone(&stock))));
            }
        }
        "channel" => {
            let (sender, receiver) = mpsc::channel(1);
            std::mem::forget(receiver);
            drop(gmr::task::spawn(fills(sender)));
        }
        "lost" => drop(gmr::task::spawn(is_lost())),
        "spins" => {
            let ((closed, no_more), (open, messages)) = (mpsc::channel(1), mpsc::channel(1));
            drop(closed);
            std::mem::forget(open);
            drop(gmr::task::spawn(spins(no_more, messages)));
        }
        "ticks" => {
            let (open, messages) = mpsc::channel(1);
            std::mem::forget(open);
            drop(gmr::task::spawn(ticks(messages)));
        }
        "main" => {
            let handle = runtime.handle().clone();
            gmr_tests::start_named("main future", move || handle.block_on(reads_in_its_poll().tracked()));
        }
        "in-place" => drop(gmr::task::spawn(reads_in_place())),
        "block-on-in-place" => drop(gmr::task::spawn(waits_in_place())),
        "blocking" => drop(gmr::task::spawn_blocking(read_forever)),
        "computes" => drop(gmr::task::spawn(computes())),
        "rests" => {
            drop(gmr::task::spawn(shuts_down()));
            let (sender, receiver) = mpsc::channel(1);
            std::mem::forget(sender);
            drop(gmr::task::spawn(consumes(receiver)));
            drop(gmr::task::spawn(tokio::time::sleep(LONG)));
        }
        "serves" => {
            let (stock, (sender, receiver)) = (Arc::new(Mutex::new(0)), mpsc::channel(4));
            for _ in 0..8 {
                drop(gmr::task::spawn(serves(Arc::clone(&stock), sender.clone())));
            }
            drop(gmr::task::spawn(consumes(receiver)));
        }
        _ => panic!("no such way: {mode}"),
    }
    drop(entered);
    std::mem::forget(runtime);
}

#[gmr::main]
fn main() {
    std::env::args().skip(1).for_each(|mode| begin(&mode));
    gmr_tests::converse(|_| String::from("here"));
    // The threads that block do not end.
    std::process::exit(0);
}
