//! Mutexes of the C library: plain ones, robust ones, and some with priority inheritance.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

use crate::joins::wait_for_input;
use crate::spawn;

/// Starts the threads with this name, if there are such.
pub(crate) fn plant(mode: &str) -> bool {
    let (locked, is_locked) = mpsc::channel();
    match mode {
        "pthread" => cycle(Pthread::plain),
        "robust" => cycle(Pthread::robust),
        // The kernel refuses to let two threads wait for each other's mutexes of this kind.
        "join-pi" => {
            let mutex = Pthread::with_priority_inheritance();
            let other = spawn("other", move || update(&is_locked, mutex));
            spawn("one", move || stop(mutex, &locked, other));
        }
        // Healthy ones.
        "robust-held" => {
            let mutexes = [Pthread::robust(), Pthread::robust(), Pthread::with_priority_inheritance()];
            spawn("holder", move || {
                for mutex in mutexes {
                    mutex.lock();
                }
                locked.send(()).expect("the main thread waits for it");
                wait_for_input();
                for mutex in mutexes {
                    mutex.unlock();
                }
            });
            is_locked.recv().expect("it locks");
            for (number, mutex) in mutexes.into_iter().enumerate() {
                spawn(&format!("p{number}"), move || {
                    mutex.lock();
                    mutex.unlock();
                });
            }
        }
        _ => return false,
    }
    true
}

/// A mutex that is never destroyed.
struct Pthread(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is a mutex.
unsafe impl Sync for Pthread {}

impl Pthread {
    fn plain() -> &'static Self {
        Box::leak(Box::new(Self(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))))
    }

    fn robust() -> &'static Self {
        /// `PTHREAD_MUTEX_ROBUST`
        const ROBUST: c_int = 1;
        Self::with(|attributes| {
            // SAFETY: they are initialized.
            unsafe { libc::pthread_mutexattr_setrobust(attributes, ROBUST) }
        })
    }

    fn with_priority_inheritance() -> &'static Self {
        /// `PTHREAD_PRIO_INHERIT`
        const INHERIT: c_int = 1;
        Self::with(|attributes| {
            // SAFETY: they are initialized.
            unsafe { libc::pthread_mutexattr_setprotocol(attributes, INHERIT) }
        })
    }

    fn with(set: fn(*mut libc::pthread_mutexattr_t) -> c_int) -> &'static Self {
        let mutex = Self::plain();
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: no thread has the mutex yet, and the attributes are initialized before use.
        let results = unsafe {
            let initialized = libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            let is_set = set(attributes.as_mut_ptr());
            [initialized, is_set, libc::pthread_mutex_init(mutex.0.get(), attributes.as_ptr())]
        };
        assert_eq!(results, [0; 3]);
        mutex
    }

    fn lock(&self) {
        // SAFETY: it is initialized, and never moved or destroyed.
        unsafe { libc::pthread_mutex_lock(self.0.get()) };
    }

    fn unlock(&self) {
        // SAFETY: as for `lock`, and the thread holds it.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }
}

fn cycle(new: fn() -> &'static Pthread) {
    let (first, second) = (new(), new());
    let meeting = Arc::new(Barrier::new(2));
    let same = Arc::clone(&meeting);
    spawn("one", move || both(first, second, &meeting));
    spawn("other", move || both(second, first, &same));
}

#[inline(never)]
fn both(first: &Pthread, second: &Pthread, meeting: &Barrier) {
    first.lock();
    meeting.wait();
    second.lock();
    second.unlock();
    first.unlock();
}

#[inline(never)]
fn update(is_locked: &Receiver<()>, mutex: &Pthread) {
    is_locked.recv().expect("the other thread locks it");
    mutex.lock();
    mutex.unlock();
}

#[inline(never)]
fn stop(mutex: &Pthread, locked: &Sender<()>, other: JoinHandle<()>) {
    mutex.lock();
    locked.send(()).expect("a thread waits for it");
    other.join().expect("it does not panic");
    mutex.unlock();
}
