//! Threads that wait for locks, in the ways that the arguments name: in deadlocks, or in the ways of
//! healthy programs that look like one.
//!
//! It says that it is ready before it starts them: one of the deadlocks is about standard output.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::hint::black_box;
use std::io::{Read, stdin, stdout};
use std::sync::{
    Arc, Barrier, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, mpsc,
};
use std::thread::{self, Builder};

/// Two locks, and data between them.
#[derive(Default)]
struct Shop {
    name: String,
    rows: Mutex<Vec<u64>>,
    index: Mutex<Vec<u64>>,
    prices: RwLock<Vec<u64>>,
    stock: RwLock<Vec<u64>>,
}

static LEDGER: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static ORDERS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Where threads meet once each of them holds its first lock.
type Meeting = Arc<Barrier>;

thread_local! {
    /// The mode that is being planted. The names of its threads begin with it.
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    let name = MODE.with_borrow(|mode| format!("{mode} {name}"));
    Builder::new().name(name).spawn(run).expect("a thread");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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

/// A mutex of the C library.
struct Pthread(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is a mutex.
#[allow(unsafe_code)]
unsafe impl Sync for Pthread {}

static OF_C: [Pthread; 2] = [const { Pthread(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER)) }; 2];

#[inline(never)]
#[allow(unsafe_code)]
fn both_of_c(first: &Pthread, second: &Pthread, meeting: &Barrier) {
    // SAFETY: they are initialized, and never moved or destroyed.
    unsafe {
        libc::pthread_mutex_lock(first.0.get());
        meeting.wait();
        libc::pthread_mutex_lock(second.0.get());
        libc::pthread_mutex_unlock(second.0.get());
        libc::pthread_mutex_unlock(first.0.get());
    }
}

/// Waits for the second lock, and holds none: the first one is only an argument.
#[inline(never)]
fn only_second(first: &Mutex<Vec<u64>>, second: &Mutex<Vec<u64>>) {
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

/// A thread that holds both locks of a shop.
fn held_shop() -> Arc<Shop> {
    let shop: Arc<Shop> = Arc::default();
    let (locked, is_locked) = mpsc::channel();
    let same = Arc::clone(&shop);
    spawn("holder", move || hold_while_reading(&same.rows, &same.index, &locked));
    is_locked.recv().expect("it locks both");
    shop
}

#[allow(clippy::too_many_lines, reason = "one match over all modes")]
fn plant(mode: &str) {
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
        "pthread" => {
            let meeting: Meeting = Arc::new(Barrier::new(2));
            let same = Arc::clone(&meeting);
            spawn("one", move || both_of_c(&OF_C[0], &OF_C[1], &meeting));
            spawn("other", move || both_of_c(&OF_C[1], &OF_C[0], &same));
        }
        // Healthy ones.
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
        _ => panic!("there is no mode {mode:?}"),
    }
}

#[gmr::main]
fn main() {
    black_box(Shop::default().name);
    // `stdout` stays locked in one of the modes.
    gmr_tests::say("ready");
    for mode in std::env::args().skip(1) {
        MODE.set(mode.clone());
        plant(&mode);
    }
    drop(stdin().read(&mut [0]));
    std::process::exit(0);
}
