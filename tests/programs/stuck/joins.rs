//! Threads that wait for others to end: in deadlocks, and in healthy programs.

use std::hint::black_box;
use std::io::Read;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use crate::healthy::{held_shop, only_second};
use crate::{Shop, lock, spawn};

type Rows = Mutex<Vec<u64>>;

/// Starts the threads with this name, if there are such.
pub(crate) fn plant(mode: &str) -> bool {
    let shop: Arc<Shop> = Arc::default();
    let same = Arc::clone(&shop);
    let (locked, is_locked) = mpsc::channel();
    match mode {
        "join" => {
            let other = spawn("other", move || update(&is_locked, &same.rows));
            spawn("one", move || stop(&shop.rows, &locked, other));
        }
        "join-read" => {
            let other = spawn("other", move || write(&is_locked, &same.prices));
            spawn("one", move || stop_reading(&shop.prices, &locked, other));
        }
        "join-3" => {
            let channels: Vec<_> = (0..3).map(|_| mpsc::channel()).collect();
            let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
            let threads = receivers.into_iter().enumerate();
            let threads =
                threads.map(|(number, next)| spawn(&format!("p{number}"), move || join_given(&next)));
            let threads: Vec<_> = threads.collect();
            for (thread, sender) in threads.into_iter().zip(senders.iter().cycle().skip(1)) {
                sender.send(thread).expect("it waits for it");
            }
        }
        // One waits for the lock of the second, which waits for the end of the third, which waits
        // for the lock of the first.
        "join-mixed" => {
            let third = Arc::clone(&shop);
            let third = spawn("third", move || update(&is_locked, &third.rows));
            let (has_index, index_is_locked) = mpsc::channel();
            let second = Arc::clone(&shop);
            spawn("second", move || stop(&second.index, &has_index, third));
            spawn("first", move || {
                index_is_locked.recv().expect("the second locks it");
                both(&same.rows, &same.index, &locked);
            });
        }
        // Healthy ones.
        "join-works" => {
            let worker = spawn("worker", wait_for_input);
            spawn("one", move || stop(&shop.rows, &locked, worker));
            is_locked.recv().expect("it locks");
            spawn("other", move || lock(&same.rows).push(1));
        }
        "join-free" => {
            let (shop, earlier) = (held_shop(), shop);
            let same = Arc::clone(&shop);
            let other = spawn("other", move || only_second(&same.index, &same.rows));
            spawn("one", move || stop_after_use(&earlier.rows, &shop.rows, other));
        }
        "join-dropped" => {
            let shop = held_shop();
            let same = Arc::clone(&shop);
            let other = spawn("other", move || only_second(&same.index, &same.rows));
            spawn("one", move || stop_without_guard(&shop.rows, other));
        }
        "join-earlier" => {
            let (is_joining, other) = (Arc::clone(&shop), shop);
            let other = spawn("other", move || use_after(&is_locked, &other.rows));
            spawn("one", move || stop_in_turns(&is_joining.rows, &locked, other));
        }
        _ => return false,
    }
    true
}

/// Locks it once another thread has done so.
#[inline(never)]
fn update(is_locked: &Receiver<()>, rows: &Rows) {
    is_locked.recv().expect("the other thread locks it");
    rows.lock().unwrap().push(1);
}

#[inline(never)]
fn write(is_locked: &Receiver<()>, prices: &RwLock<Vec<u64>>) {
    is_locked.recv().expect("the other thread locks it");
    prices.write().unwrap().push(1);
}

/// Waits for the other one, and holds a lock.
#[inline(never)]
fn stop(rows: &Rows, locked: &Sender<()>, other: JoinHandle<()>) {
    let mut rows = rows.lock().unwrap();
    locked.send(()).expect("a thread waits for it");
    other.join().expect("it does not panic");
    rows.push(2);
}

#[inline(never)]
fn stop_reading(prices: &RwLock<Vec<u64>>, locked: &Sender<()>, other: JoinHandle<()>) {
    let prices = prices.read().unwrap();
    locked.send(()).expect("a thread waits for it");
    other.join().expect("it does not panic");
    black_box(prices.len());
}

#[inline(never)]
fn both(first: &Rows, second: &Rows, locked: &Sender<()>) {
    let mut held = first.lock().unwrap();
    locked.send(()).expect("a thread waits for it");
    second.lock().unwrap().push(1);
    held.push(2);
}

#[inline(never)]
fn join_given(other: &Receiver<JoinHandle<()>>) {
    let other = other.recv().expect("the main thread sends it");
    other.join().expect("it does not panic");
}

pub(crate) fn wait_for_input() {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    drop(reader.read(&mut [0]));
}

/// Has held one lock, and has the other one as an argument.
#[inline(never)]
fn stop_after_use(earlier: &Rows, held_by_another: &Rows, other: JoinHandle<()>) {
    earlier.lock().unwrap().push(1);
    other.join().expect("it does not panic");
    let mut rows = held_by_another.lock().unwrap();
    rows.push(2);
}

/// Locks it, releases it, and waits for the other one, which has it now; then locks it again.
#[inline(never)]
fn stop_in_turns(rows: &Rows, locked: &Sender<()>, other: JoinHandle<()>) {
    {
        let mut rows = rows.lock().unwrap();
        rows.push(1);
    }
    locked.send(()).expect("a thread waits for it");
    other.join().expect("it does not panic");
    let mut rows = rows.lock().unwrap();
    rows.push(2);
}

/// Holds a lock while it reads, and another thread waits for it.
#[inline(never)]
fn use_after(is_released: &Receiver<()>, rows: &Rows) {
    is_released.recv().expect("the other thread releases it");
    std::thread::scope(|scope| {
        let mut held = rows.lock().unwrap();
        scope.spawn(|| rows.lock().unwrap().push(3));
        wait_for_input();
        held.push(4);
    });
}

/// Has no guard, which the compiler cannot know.
#[inline(never)]
fn stop_without_guard(rows: &Rows, other: JoinHandle<()>) {
    let mut guard = rows.try_lock().ok();
    if black_box(true) {
        guard = None;
    }
    other.join().expect("it does not panic");
    black_box(guard.map(|guard| guard.len()));
}
