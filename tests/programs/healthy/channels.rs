//! Threads that work on what they get from channels and queues.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::{Mode, pace, spawn};

pub(crate) const MODES: &[Mode] = &[
    ("pool-idle", "an idle pool: one thread waits in the channel, the others for it", false, pool_idle),
    ("pool-used", "the same pool with work", false, pool_used),
    ("queue-idle", "a queue with a condition variable, at rest", false, queue_idle),
    ("queue-used", "a queue with a condition variable, in use", false, queue_used),
    ("queue-timeout", "a queue whose readers wait for a limited time", false, queue_timeout),
    ("rendezvous", "a channel without space, between three threads", true, rendezvous),
    ("bounded", "a full channel whose reader is slow", false, bounded),
    ("ping-pong", "two threads that send each other a message back and forth", true, ping_pong),
    ("requests", "a thread that answers by a channel that comes with the request", false, requests),
];

type Job = Box<dyn FnOnce() + Send>;

/// The pool of many a tutorial: the receiver is in a `Mutex`, and the thread that waits for a job
/// holds it.
fn pool(name: &str) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..6 {
        let receiver = Arc::clone(&receiver);
        spawn(&format!("{name}-{number}"), move || {
            loop {
                let job = receiver.lock().unwrap().recv();
                let Ok(job) = job else { return };
                job();
            }
        });
    }
    sender
}

fn pool_idle() {
    std::mem::forget(pool("pool-idle"));
}

fn pool_used() {
    let jobs = pool("pool-used");
    spawn("pool-feeder", move || {
        while jobs.send(Box::new(|| thread::sleep(Duration::from_millis(3)))).is_ok() {
            thread::sleep(Duration::from_millis(1));
            pace();
        }
    });
}

#[derive(Default)]
struct Queue {
    items: Mutex<VecDeque<u64>>,
    filled: Condvar,
}

impl Queue {
    fn push(&self, item: u64) {
        self.items.lock().unwrap().push_back(item);
        self.filled.notify_one();
    }

    fn pop(&self) -> u64 {
        let mut items = self.items.lock().unwrap();
        loop {
            if let Some(item) = items.pop_front() {
                return item;
            }
            items = self.filled.wait(items).unwrap();
        }
    }

    fn pop_within(&self, time: Duration) -> Option<u64> {
        let items = self.items.lock().unwrap();
        let (mut items, _) = self.filled.wait_timeout_while(items, time, |items| items.is_empty()).unwrap();
        items.pop_front()
    }
}

fn queue_idle() {
    let queue: Arc<Queue> = Arc::default();
    for number in 0..4 {
        let queue = Arc::clone(&queue);
        spawn(&format!("idle-reader-{number}"), move || {
            loop {
                queue.pop();
            }
        });
    }
}

fn queue_used() {
    let queue: Arc<Queue> = Arc::default();
    for number in 0..4 {
        let queue = Arc::clone(&queue);
        spawn(&format!("reader-{number}"), move || {
            loop {
                thread::sleep(Duration::from_micros(queue.pop()));
            }
        });
    }
    spawn("writer", move || {
        for item in 0.. {
            queue.push(item % 1_000);
            thread::sleep(Duration::from_micros(200));
            pace();
        }
    });
}

fn queue_timeout() {
    for time in [1, 50, 3_600_000] {
        let queue = Queue::default();
        spawn(&format!("within-{time}"), move || {
            loop {
                queue.pop_within(Duration::from_millis(time));
            }
        });
    }
}

fn rendezvous() {
    let (sender, receiver) = mpsc::sync_channel::<u64>(0);
    for number in 0..2 {
        let sender = sender.clone();
        spawn(&format!("gives-{number}"), move || {
            while sender.send(number).is_ok() {
                thread::sleep(Duration::from_millis(number));
                pace();
            }
        });
    }
    spawn("takes", move || while receiver.recv().is_ok() {});
}

fn bounded() {
    let (sender, receiver) = mpsc::sync_channel::<u64>(2);
    spawn("slow-reader", move || {
        while receiver.recv().is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    });
    for number in 0..3 {
        let sender = sender.clone();
        spawn(&format!("full-{number}"), move || while sender.send(number).is_ok() {});
    }
}

fn ping_pong() {
    let (serve, served) = mpsc::channel();
    let (back, returned) = mpsc::channel();
    back.send(0_u64).expect("the receiver is there");
    spawn("ping", move || {
        while served.recv().is_ok_and(|number| back.send(number).is_ok()) {
            pace();
        }
    });
    spawn("pong", move || while returned.recv().is_ok_and(|number| serve.send(number + 1).is_ok()) {});
}

fn requests() {
    let (sender, requests) = mpsc::channel::<mpsc::Sender<u64>>();
    spawn("answers", move || {
        for request in requests {
            thread::sleep(Duration::from_millis(1));
            request.send(7).expect("it is waited for");
        }
    });
    for number in 0..3 {
        let sender = sender.clone();
        spawn(&format!("asks-{number}"), move || {
            loop {
                let (answer, answered) = mpsc::channel();
                sender.send(answer).expect("it is read");
                answered.recv().expect("it is answered");
            }
        });
    }
}
