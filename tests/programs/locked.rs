//! Tasks that work while a thread is inside `backtrace::trace`, which holds a lock of the process.
//! Asked for anything, it answers how much they have done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

static WORK: AtomicU64 = AtomicU64::new(0);

async fn work() {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        WORK.fetch_add(1, Ordering::Relaxed);
    }
}

fn hold_the_lock(holding: &mpsc::Sender<()>) {
    backtrace::trace(|_| {
        holding.send(()).expect("main waits for it");
        loop {
            thread::park();
        }
    });
}

#[gmr::main]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    for _ in 0..50 {
        gmr::task::spawn(work());
    }
    let (holding, held) = mpsc::channel();
    thread::spawn(move || hold_the_lock(&holding));
    held.recv().expect("it holds the lock");
    gmr_tests::converse(|_| WORK.load(Ordering::Relaxed).to_string());
    std::process::exit(0);
}
