//! Threads that wait for locks, in the ways that the arguments name: in deadlocks, or in the ways
//! of healthy programs that look like one.
//!
//! It says that it is ready before it starts them: one of the deadlocks is about standard output.

mod deadlocks;
mod healthy;
mod joins;
mod of_c;
mod unseen;

use std::cell::RefCell;
use std::hint::black_box;
use std::io::{Read, stdin};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{Builder, JoinHandle};

/// Two locks, and data between them.
#[derive(Default)]
struct Shop {
    name: String,
    rows: Mutex<Vec<u64>>,
    index: Mutex<Vec<u64>>,
    prices: RwLock<Vec<u64>>,
    stock: RwLock<Vec<u64>>,
}

/// Where threads meet once each of them holds its first lock.
type Meeting = Arc<Barrier>;

thread_local! {
    /// The mode that is being planted. The names of its threads begin with it.
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let name = MODE.with_borrow(|mode| format!("{mode} {name}"));
    Builder::new().name(name).spawn(run).expect("a thread")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[gmr::main]
fn main() {
    black_box(Shop::default().name);
    // `stdout` stays locked in one of the modes.
    gmr_tests::say("ready");
    for mode in std::env::args().skip(1) {
        MODE.set(mode.clone());
        let plant = [deadlocks::plant, joins::plant, of_c::plant, healthy::plant, unseen::plant];
        let is_planted = plant.into_iter().any(|plant| plant(&mode));
        assert!(is_planted, "there is no mode {mode:?}");
    }
    drop(stdin().read(&mut [0]));
    std::process::exit(0);
}
