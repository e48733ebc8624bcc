//! A tracked task on embassy's executor, whose timers accept no wakers but its own, and one on
//! tokio. Asked for anything, it answers how often embassy's timer has expired.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use embassy_executor::{Executor, Spawner};
use embassy_time::Timer;
use gmr::task::TrackExt as _;

static BEATS: AtomicU64 = AtomicU64::new(0);

async fn heartbeat() {
    loop {
        Timer::after_millis(5).await;
        BEATS.fetch_add(1, Ordering::Relaxed);
    }
}

#[embassy_executor::task]
async fn on_embassy() {
    heartbeat().tracked_as("heartbeat").await;
}

fn start(spawner: Spawner) {
    spawner.spawn(on_embassy()).expect("it is not running yet");
}

async fn on_tokio() {
    tokio::sync::Notify::new().notified().await;
}

#[gmr::main]
fn main() {
    thread::spawn(|| Box::leak(Box::new(Executor::new())).run(start));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    gmr::task::spawn(on_tokio());
    gmr_tests::converse(|_| BEATS.load(Ordering::Relaxed).to_string());
    std::process::exit(0);
}
