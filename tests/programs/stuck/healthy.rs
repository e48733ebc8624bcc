//! Healthy programs that look like one with a deadlock.

use std::cell::Cell;
use std::hint::black_box;
use std::io::Read;
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, OnceLock, RwLock, mpsc};
use std::thread;

use crate::joins::wait_for_input;
use crate::{Meeting, Shop, lock, spawn};

/// Starts the healthy threads with this name, if there are such.
#[allow(clippy::too_many_lines, reason = "one match over all modes")]
pub(crate) fn plant(mode: &str) -> bool {
    match mode {
        "arguments" => {
            let shop = held_shop();
            let same = Arc::clone(&shop);
            spawn("one", move || only_second(&shop.rows, &shop.index));
            spawn("other", move || only_second(&same.index, &same.rows));
        }
        "earlier" => {
            let (shop, meeting): (Arc<Shop>, Meeting) = (Arc::default(), Arc::new(Barrier::new(3)));
            for (name, is_first) in [("one", true), ("other", false)] {
                let (shop, meeting) = (Arc::clone(&shop), Arc::clone(&meeting));
                spawn(name, move || {
                    if is_first {
                        one_after_the_other(&shop.rows, &shop.index, &meeting);
                    } else {
                        one_after_the_other(&shop.index, &shop.rows, &meeting);
                    }
                });
            }
            meeting.wait();
            let (locked, is_locked) = mpsc::channel();
            spawn("holder", move || hold_while_reading(&shop.rows, &shop.index, &locked));
            is_locked.recv().expect("it locks both");
        }
        "in-order" => {
            let shop = held_shop();
            for number in 0..3 {
                let shop = Arc::clone(&shop);
                spawn(&format!("p{number}"), move || in_order(&shop));
            }
            let same = Arc::clone(&shop);
            spawn("index", move || only_second(&same.rows, &same.index));
        }
        "passed-around" => {
            let shop: Arc<Shop> = Arc::default();
            for number in 0..16 {
                let shop = Arc::clone(&shop);
                spawn(&format!("p{number}"), move || {
                    loop {
                        let mut rows = lock(&shop.rows);
                        rows.push(1);
                        rows.clear();
                        drop(rows);
                        in_order(&shop);
                    }
                });
            }
        }
        "readers" => {
            let shop: Arc<Shop> = Arc::default();
            for number in 0..4 {
                let shop = Arc::clone(&shop);
                spawn(&format!("p{number}"), move || {
                    let prices = shop.prices.read().unwrap();
                    loop {
                        black_box(prices.len());
                        thread::park();
                    }
                });
            }
            spawn("writer", move || shop.prices.write().unwrap().push(1));
        }
        "rwlock-earlier" => used_before(read_and_write_in_turns),
        "rwlock-dropped" => used_before(write_after_drop),
        "object-earlier" => unseen(begin_in_turns),
        "once-slow" => {
            static CELL: OnceLock<u64> = OnceLock::new();
            for number in 0..3 {
                spawn(&format!("p{number}"), || {
                    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
                    let slow = || reader.read(&mut [0; 8]).expect("nobody writes") as u64;
                    black_box(CELL.get_or_init(slow));
                });
            }
        }
        "queue" => {
            let queue: Arc<(Mutex<Vec<u64>>, Condvar)> = Arc::default();
            for number in 0..4 {
                let queue = Arc::clone(&queue);
                spawn(&format!("p{number}"), move || {
                    let empty = lock(&queue.0);
                    drop(queue.1.wait_while(empty, |items| items.is_empty()));
                });
            }
        }
        "waiting" => {
            let barrier = Arc::new(Barrier::new(9));
            for number in 0..4 {
                let barrier = Arc::clone(&barrier);
                spawn(&format!("b{number}"), move || {
                    barrier.wait();
                });
            }
            spawn("join", || {
                let parked = thread::spawn(|| {
                    loop {
                        thread::park();
                    }
                });
                drop(parked.join());
            });
            let (sender, receiver) = mpsc::channel::<u64>();
            spawn("channel", move || println!("{:?}", receiver.recv()));
            std::mem::forget(sender);
        }
        _ => return false,
    }
    true
}

/// Waits for the second lock, and holds none: the first one is only an argument.
#[inline(never)]
pub(crate) fn only_second(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>) {
    let mut other = second.lock().unwrap();
    other.push(black_box(first).is_poisoned().into());
}

/// Has held the first lock, in the same frame, and waits for the second.
#[inline(never)]
fn one_after_the_other(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>, meeting: &Barrier) {
    loop {
        {
            let mut held = first.lock().unwrap();
            held.push(1);
            meeting_once(meeting);
        }
        let mut other = second.lock().unwrap();
        other.push(2);
    }
}

fn meeting_once(meeting: &Barrier) {
    thread_local!(static MET: Cell<bool> = const { Cell::new(false) });
    if !MET.replace(true) {
        meeting.wait();
    }
}

/// Holds both, in order, while it reads from a pipe.
#[inline(never)]
fn hold_while_reading(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>, locked: &mpsc::Sender<()>) {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    let mut one = first.lock().unwrap();
    let mut other = second.lock().unwrap();
    locked.send(()).expect("the main thread waits for it");
    let read = reader.read(&mut [0; 8]).expect("nobody writes");
    one.push(read as u64);
    other.push(read as u64);
}

/// Locks the two in order.
#[inline(never)]
fn in_order(shop: &Shop) {
    let rows = shop.rows.lock().unwrap();
    let mut index = shop.index.lock().unwrap();
    index.push(rows.len() as u64);
}

/// A thread that holds both locks of a shop.
pub(crate) fn held_shop() -> Arc<Shop> {
    let shop: Arc<Shop> = Arc::default();
    let (locked, is_locked) = mpsc::channel();
    let same = Arc::clone(&shop);
    spawn("holder", move || hold_while_reading(&same.rows, &same.index, &locked));
    is_locked.recv().expect("it locks both");
    shop
}

/// Two threads that have used a lock each, wait for the other one, and hold none: a third one holds
/// both.
fn used_before(run: fn(&Prices, &Prices, &Barrier)) {
    let (shop, meeting): (Arc<Shop>, Meeting) = (Arc::default(), Arc::new(Barrier::new(3)));
    for (name, is_first) in [("one", true), ("other", false)] {
        let (shop, meeting) = (Arc::clone(&shop), Arc::clone(&meeting));
        spawn(name, move || {
            if is_first {
                run(&shop.prices, &shop.stock, &meeting);
            } else {
                run(&shop.stock, &shop.prices, &meeting);
            }
        });
    }
    spawn("holder", move || {
        meeting.wait();
        let (one, other) = (shop.prices.write().unwrap(), shop.stock.write().unwrap());
        meeting.wait();
        wait_for_input();
        black_box((one.len(), other.len()));
    });
}

type Prices = RwLock<Vec<u64>>;

/// Has read the first one, in the same frame, and waits for the second.
#[inline(never)]
fn read_and_write_in_turns(first: &Prices, second: &Prices, meeting: &Barrier) {
    let mut is_locked = false;
    loop {
        if !is_locked {
            black_box(first.read().unwrap().len());
            meeting.wait();
            meeting.wait();
            is_locked = true;
        }
        second.write().unwrap().push(2);
        black_box(first.read().unwrap().len());
    }
}

/// Has dropped its guard, which the compiler cannot know.
#[inline(never)]
fn write_after_drop(first: &Prices, second: &Prices, meeting: &Barrier) {
    let mut guard = Some(first.read().unwrap());
    if black_box(true) {
        guard = None;
    }
    meeting.wait();
    meeting.wait();
    second.write().unwrap().push(2);
    black_box(guard.map(|guard| guard.len()));
}

/// Two threads that have held a lock each, wait for the other one, and hold none: a third one holds
/// both. That is not seen, so that it contradicts nothing.
fn unseen(run: fn(&Rows, &Rows, &Barrier)) {
    let (shop, meeting): (Arc<Shop>, Meeting) = (Arc::default(), Arc::new(Barrier::new(3)));
    for (name, is_first) in [("one", true), ("other", false)] {
        let (shop, meeting) = (Arc::clone(&shop), Arc::clone(&meeting));
        spawn(name, move || {
            if is_first {
                run(&shop.rows, &shop.index, &meeting);
            } else {
                run(&shop.index, &shop.rows, &meeting);
            }
        });
    }
    spawn("holder", move || {
        meeting.wait();
        let (one, other) = (shop.rows.lock().unwrap(), shop.index.lock().unwrap());
        meeting.wait();
        // A function that is not known may lock anything.
        let unknown: fn() = black_box(wait_for_input);
        unknown();
        unknown();
        black_box((one.len(), other.len()));
    });
}

type Rows = Mutex<Vec<u64>>;

/// A guard behind other data.
#[repr(C)]
struct Entry<'a> {
    name: String,
    number: u64,
    rows: MutexGuard<'a, Vec<u64>>,
}

#[inline(never)]
fn begin(rows: &Rows, number: u64) -> Entry<'_> {
    Entry { name: format!("entry {number}"), number, rows: lock(rows) }
}

/// Has had an object with a guard of the first lock where it is about to get one of the second.
#[inline(never)]
fn begin_in_turns(first: &Rows, second: &Rows, meeting: &Barrier) {
    for turn in 0.. {
        let mut entry = begin(if black_box(turn) == 0 { first } else { second }, turn);
        entry.rows.push(entry.number);
        black_box(&entry.name);
        drop(entry);
        if turn == 0 {
            meeting.wait();
            meeting.wait();
        }
    }
}
