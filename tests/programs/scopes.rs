//! A program that says how far it is: it is ready when it is told so, has scopes with a deadline,
//! and a loop that beats, or does not.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// It waits here, by name, until the sender is dropped.
fn hangs(end: &std::sync::mpsc::Receiver<()>) {
    assert!(end.recv().is_err());
}

/// Starts a thread that runs until the sender is dropped.
fn start(name: &str, run: impl FnOnce(&std::sync::mpsc::Receiver<()>) + Send + 'static) -> Sender<()> {
    let (end, ended) = channel();
    gmr_tests::start_named(name, move || run(&ended));
    end
}

#[gmr::main]
fn main() {
    let mut running = Vec::new();
    gmr_tests::converse(|what| {
        match what {
            "ready" => gmr::ready(),
            "slow" => running.push(start("checkout", |end| {
                let _slow = gmr::deadline("checkout", Duration::from_millis(50));
                hangs(end);
            })),
            // Each one ends long before its deadline, however busy the machine is.
            "fast" => {
                for _ in 0..10_000 {
                    drop(gmr::deadline("checkout", Duration::from_mins(10)));
                }
            }
            "stop" => running.push(start("orders", |end| {
                let heart = gmr::heartbeat("orders").every(Duration::from_millis(50));
                heart.beat();
                hangs(end);
            })),
            "beat" => running.push(start("orders", |end| {
                let heart = gmr::heartbeat("orders").every(Duration::from_mins(5));
                while end.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                    heart.beat();
                    thread::yield_now();
                }
            })),
            "handle SIGTERM" => {
                let mut signals = Signals::new([SIGTERM]).expect("a handler");
                gmr_tests::start_named("signals", move || signals.forever().for_each(drop));
            }
            "shut down" => gmr::shutting_down(),
            // The scope and the loop are over.
            "end" => running.clear(),
            _ => {}
        }
        "done".to_owned()
    });
}
