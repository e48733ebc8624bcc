//! The deadlocks.

use std::hint::black_box;
use std::io::stdout;
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard};
use std::thread;

use crate::{Meeting, Shop, lock, spawn};

/// Plants the deadlock with this name, if there is one.
#[allow(clippy::too_many_lines, reason = "one match over all modes")]
pub(crate) fn plant(mode: &str) -> bool {
    match mode {
        "mutex-2" => pair(commit, compact),
        "mutex-3" => cycle(3),
        "mutex-5" => cycle(5),
        "static" => {
            let meeting: Meeting = Arc::new(Barrier::new(2));
            let same = Arc::clone(&meeting);
            spawn("one", move || ledger_first(&meeting));
            spawn("other", move || orders_first(&same));
        }
        "boxed" => pair(
            |shop, meeting| boxed(&shop.rows, &shop.index, meeting),
            |shop, meeting| boxed(&shop.index, &shop.rows, meeting),
        ),
        "in-struct" => pair(
            |shop, meeting| transaction(&shop.rows, &shop.index, meeting),
            |shop, meeting| transaction(&shop.index, &shop.rows, meeting),
        ),
        "rwlock" => pair(
            |shop, meeting| read_then_write(&shop.prices, &shop.stock, meeting),
            |shop, meeting| read_then_write(&shop.stock, &shop.prices, meeting),
        ),
        "rwlock-write" => pair(
            |shop, meeting| write_then_read(&shop.prices, &shop.stock, meeting),
            |shop, meeting| write_then_read(&shop.stock, &shop.prices, meeting),
        ),
        "upgrade" => {
            let shop: Arc<Shop> = Arc::default();
            spawn("one", move || upgrade(&shop.prices));
        }
        "read-twice" => {
            let shop: Arc<Shop> = Arc::default();
            spawn("one", move || read_twice(&shop));
        }
        "twice" => {
            let shop: Arc<Shop> = Arc::default();
            spawn("one", move || lock_twice(&shop.index));
        }
        "twice-static" => {
            static TILL: Mutex<Vec<u64>> = Mutex::new(Vec::new());
            spawn("one", || lock_twice(&TILL));
        }
        "once" => {
            static CELL: OnceLock<u64> = OnceLock::new();
            spawn("one", || println!("{}", initialize(&CELL)));
        }
        "stdout" => pair(
            |shop, meeting| print_first(&shop.rows, meeting),
            |shop, meeting| print_last(&shop.rows, meeting),
        ),
        _ => return false,
    }
    true
}

static LEDGER: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static ORDERS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Locks one and, once the others have theirs, the other.
#[inline(never)]
fn both(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>, meeting: &Barrier) {
    let mut held = first.lock().unwrap();
    held.push(1);
    meeting.wait();
    let mut other = second.lock().unwrap();
    other.push(held.len() as u64);
}

/// The same, with the second one locked in another function.
#[inline(never)]
fn commit(shop: &Shop, meeting: &Barrier) {
    let mut rows = shop.rows.lock().unwrap();
    rows.push(1);
    meeting.wait();
    reindex(shop, rows.len() as u64);
}

#[inline(never)]
fn reindex(shop: &Shop, key: u64) {
    let mut index = shop.index.lock().unwrap();
    index.push(key);
}

#[inline(never)]
fn compact(shop: &Shop, meeting: &Barrier) {
    let mut index = shop.index.lock().unwrap();
    index.push(2);
    meeting.wait();
    truncate(shop);
    index.push(3);
}

#[inline(never)]
fn truncate(shop: &Shop) {
    shop.rows.lock().unwrap().clear();
}

/// A guard on the heap.
#[inline(never)]
fn boxed(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>, meeting: &Barrier) {
    let mut held: Box<MutexGuard<'_, Vec<u64>>> = black_box(Box::new(lock(first)));
    meeting.wait();
    lock(second).push(1);
    held.push(2);
}

/// A guard in a struct.
struct Transaction<'a> {
    number: u64,
    rows: MutexGuard<'a, Vec<u64>>,
}

#[inline(never)]
fn begin(first: &Mutex<Vec<u64>>) -> Transaction<'_> {
    Transaction { number: black_box(7), rows: lock(first) }
}

#[inline(never)]
fn transaction(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>, meeting: &Barrier) {
    let mut transaction = begin(first);
    meeting.wait();
    lock(second).push(transaction.number);
    transaction.rows.push(1);
}

#[inline(never)]
fn read_then_write(first: &RwLock<Vec<u64>>, second: &RwLock<Vec<u64>>, meeting: &Barrier) {
    let held = first.read().unwrap();
    meeting.wait();
    let mut other = second.write().unwrap();
    other.push(held.len() as u64);
}

#[inline(never)]
fn write_then_read(first: &RwLock<Vec<u64>>, second: &RwLock<Vec<u64>>, meeting: &Barrier) {
    let mut held = first.write().unwrap();
    meeting.wait();
    let other = second.read().unwrap();
    held.push(other.len() as u64);
}

#[inline(never)]
fn upgrade(lock: &RwLock<Vec<u64>>) {
    let reading: RwLockReadGuard<'_, Vec<u64>> = lock.read().unwrap();
    if black_box(reading.is_empty()) {
        lock.write().unwrap().push(1);
    }
    black_box(reading.len());
}

/// Reads, and reads once more while a writer waits for the first reader.
#[inline(never)]
fn read_twice(shop: &Arc<Shop>) {
    let first = shop.prices.read().unwrap();
    let same = Arc::clone(shop);
    thread::spawn(move || same.prices.write().unwrap().push(1));
    while shop.prices.try_read().is_ok() {
        thread::yield_now();
    }
    let second = shop.prices.read().unwrap();
    black_box((first.len(), second.len()));
}

#[inline(never)]
fn lock_twice(mutex: &Mutex<Vec<u64>>) {
    let first = mutex.lock().unwrap();
    let second = mutex.lock().unwrap();
    black_box((first.len(), second.len()));
}

#[inline(never)]
fn ledger_first(meeting: &Barrier) {
    let mut ledger = LEDGER.lock().unwrap();
    meeting.wait();
    ORDERS.lock().unwrap().push(1);
    ledger.push(1);
}

#[inline(never)]
fn orders_first(meeting: &Barrier) {
    let mut orders = ORDERS.lock().unwrap();
    meeting.wait();
    LEDGER.lock().unwrap().push(1);
    orders.push(1);
}

#[inline(never)]
fn initialize(cell: &OnceLock<u64>) -> u64 {
    *cell.get_or_init(|| black_box(initialize(cell)) + 1)
}

#[inline(never)]
fn print_first(mutex: &Mutex<Vec<u64>>, meeting: &Barrier) {
    let out = stdout().lock();
    meeting.wait();
    lock(mutex).push(1);
    drop(black_box(out));
}

#[inline(never)]
fn print_last(mutex: &Mutex<Vec<u64>>, meeting: &Barrier) {
    let mut held = lock(mutex);
    meeting.wait();
    let out = stdout().lock();
    held.push(1);
    drop(black_box(out));
}

fn cycle(count: usize) {
    let locks: Arc<Vec<Mutex<Vec<u64>>>> = Arc::new((0..count).map(|_| Mutex::default()).collect());
    let meeting = Arc::new(Barrier::new(count));
    for number in 0..count {
        let (locks, meeting) = (Arc::clone(&locks), Arc::clone(&meeting));
        spawn(&format!("p{number}"), move || both(&locks[number], &locks[(number + 1) % count], &meeting));
    }
}

/// Two threads, on a shop.
fn pair(first: fn(&Shop, &Barrier), second: fn(&Shop, &Barrier)) {
    let (shop, meeting): (Arc<Shop>, Meeting) = (Arc::default(), Arc::new(Barrier::new(2)));
    let (same_shop, same_meeting) = (Arc::clone(&shop), Arc::clone(&meeting));
    spawn("one", move || first(&shop, &meeting));
    spawn("other", move || second(&same_shop, &same_meeting));
}
