//! Deadlocks that reports do not find, because no stack shows who holds what. They must not find
//! another one in their place.

use std::future::{Future, pending};
use std::mem::forget;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::task::{Context, Waker};

use crate::{Shop, lock, spawn};

/// Plants the deadlock with this name, if there is one.
pub(crate) fn plant(mode: &str) -> bool {
    match mode {
        "channels" => {
            let ((to_one, of_one), (to_other, of_other)) = (channel(), channel());
            spawn("one", move || pass_on(&of_one, &to_other));
            spawn("other", move || pass_on(&of_other, &to_one));
        }
        "condvar" => {
            let (shop, filled) = (Arc::<Shop>::default(), Arc::new(Condvar::new()));
            let meeting = Arc::new(Barrier::new(2));
            let (same, same_filled, same_meeting) =
                (Arc::clone(&shop), Arc::clone(&filled), Arc::clone(&meeting));
            spawn("one", move || wait_with_both(&shop, &filled, &meeting));
            spawn("other", move || fill(&same, &same_filled, &same_meeting));
        }
        "future" => {
            let shop: Arc<Shop> = Arc::default();
            spawn("one", move || poll_and_lock(&shop.rows));
        }
        "forgotten" => {
            let shop: Arc<Shop> = Arc::default();
            spawn("one", move || {
                forget(lock(&shop.rows));
                lock(&shop.rows).push(1);
            });
        }
        "parking-lot" => {
            let [one, other]: [Arc<parking_lot::Mutex<u64>>; 2] = Default::default();
            let meeting = Arc::new(Barrier::new(2));
            let (same_one, same_other, same_meeting) =
                (Arc::clone(&one), Arc::clone(&other), Arc::clone(&meeting));
            spawn("one", move || add(&one, &other, &meeting));
            spawn("other", move || add(&same_other, &same_one, &same_meeting));
        }
        _ => return false,
    }
    true
}

/// Each of two threads waits for the other one's message first.
#[inline(never)]
fn pass_on(from: &Receiver<u64>, to: &Sender<u64>) {
    let number = from.recv().expect("the other one has the sender");
    to.send(number).expect("the other one has the receiver");
}

/// Holds a lock that is not the condition's while it waits.
#[inline(never)]
fn wait_with_both(shop: &Shop, filled: &Condvar, meeting: &Barrier) {
    let rows = lock(&shop.rows);
    let mut index = lock(&shop.index);
    meeting.wait();
    while index.is_empty() {
        index = filled.wait(index).expect("no thread panics");
    }
    index.push(rows.len() as u64);
}

/// Needs that lock to fulfil the condition.
#[inline(never)]
fn fill(shop: &Shop, filled: &Condvar, meeting: &Barrier) {
    meeting.wait();
    let mut rows = lock(&shop.rows);
    lock(&shop.index).push(1);
    rows.push(1);
    filled.notify_all();
}

/// Each of two threads has the lock that the other one waits for.
#[inline(never)]
fn add(to: &parking_lot::Mutex<u64>, from: &parking_lot::Mutex<u64>, meeting: &Barrier) {
    let mut to = to.lock();
    meeting.wait();
    *to += *from.lock();
}

/// The future holds the lock from one poll to the next, and the thread that polls it waits.
#[inline(never)]
fn poll_and_lock(rows: &Mutex<Vec<u64>>) {
    #[allow(clippy::await_holding_lock, reason = "this is the fault")]
    let mut future = pin!(async {
        let mut rows = lock(rows);
        pending::<()>().await;
        rows.push(1);
    });
    let is_ready = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    lock(rows).push(u64::from(is_ready));
}
