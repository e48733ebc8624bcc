//! Fifty threads, each in a function of its own, in mixed states; a counter that keeps increasing;
//! a record of every system call that failed.

use std::io::{PipeReader, PipeWriter, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Condvar, LazyLock, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

static COUNTER: AtomicU64 = AtomicU64::new(0);
static FAILED_CALLS: AtomicU64 = AtomicU64::new(0);
static STARTED: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(STATIONS.len() + 1));
static LOCK: Mutex<u64> = Mutex::new(0);
static GATE: RwLock<u64> = RwLock::new(0);
static BELL: Condvar = Condvar::new();
static RUNG: Mutex<bool> = Mutex::new(false);
static CLOSING: AtomicBool = AtomicBool::new(false);

/// `station_07 => wait_for_lock`: a function that the compiler can neither inline nor merge with
/// its neighbours.
macro_rules! stations {
    ($($name:ident => $wait:ident),* $(,)?) => {
        $(
            #[inline(never)]
            fn $name() {
                STARTED.wait();
                $wait();
                // After the call, so that it is not a tail call; with a distinct string, so that
                // the compiler does not merge two functions.
                std::hint::black_box(stringify!($name));
            }
        )*
        const STATIONS: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

stations! {
    station_00 => wait_for_lock, station_01 => wait_for_gate, station_02 => wait_for_bell, station_03 => wait_in_channel,
    station_04 => wait_in_pipe, station_05 => wait_asleep, station_06 => wait_parked, station_07 => wait_computing,
    station_08 => wait_deep, station_09 => wait_in_pipe, station_10 => wait_for_lock, station_11 => wait_for_gate,
    station_12 => wait_for_bell, station_13 => wait_in_channel, station_14 => wait_in_pipe, station_15 => wait_asleep,
    station_16 => wait_parked, station_17 => wait_computing, station_18 => wait_deep, station_19 => wait_in_pipe,
    station_20 => wait_for_lock, station_21 => wait_for_gate, station_22 => wait_for_bell, station_23 => wait_in_channel,
    station_24 => wait_in_pipe, station_25 => wait_asleep, station_26 => wait_parked, station_27 => wait_parked,
    station_28 => wait_deep, station_29 => wait_in_pipe, station_30 => wait_for_lock, station_31 => wait_for_gate,
    station_32 => wait_for_bell, station_33 => wait_in_channel, station_34 => wait_in_pipe, station_35 => wait_asleep,
    station_36 => wait_parked, station_37 => wait_parked, station_38 => wait_deep, station_39 => wait_in_pipe,
    station_40 => wait_for_lock, station_41 => wait_for_gate, station_42 => wait_for_bell, station_43 => wait_in_channel,
    station_44 => wait_in_pipe, station_45 => wait_asleep, station_46 => wait_parked, station_47 => wait_parked,
    station_48 => wait_deep, station_49 => wait_in_pipe,
}

fn wait_for_lock() {
    *LOCK.lock().expect("no thread panics with it") += 1;
}

fn wait_for_gate() {
    *GATE.write().expect("no thread panics with it") += 1;
}

fn wait_for_bell() {
    let rung = RUNG.lock().expect("no thread panics with it");
    drop(BELL.wait_while(rung, |rung| !*rung).expect("no thread panics with it"));
}

fn wait_in_channel() {
    let (_open, receiver) = mpsc::channel::<u64>();
    let _ = receiver.recv();
}

/// Reads with bare calls: one that is interrupted fails, and is counted.
fn wait_in_pipe() {
    let (mut reader, _writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
    if reader.read(&mut [0]).is_err() {
        FAILED_CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

fn wait_asleep() {
    thread::sleep(Duration::from_hours(1));
}

fn wait_parked() {
    loop {
        thread::park();
    }
}

fn wait_computing() {
    while !CLOSING.load(Ordering::Relaxed) {
        COUNTER.fetch_add(1, Ordering::Relaxed);
    }
}

/// Deeper than the first copy of a stack is long.
fn wait_deep() {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let space = std::hint::black_box([depth; 64]);
        if depth == 0 {
            wait_parked();
            return 0;
        }
        descend(depth - 1) + space[0]
    }
    descend(200);
}

#[gmr::main]
fn main() {
    let _lock = LOCK.lock().expect("it is free");
    let _gate = GATE.read().expect("it is free");
    for (name, station) in STATIONS {
        thread::Builder::new().name((*name).into()).spawn(station).expect("a thread");
    }
    STARTED.wait();
    gmr_tests::converse(|_| {
        format!("{} {}", COUNTER.load(Ordering::Relaxed), FAILED_CALLS.load(Ordering::Relaxed))
    });
}
