//! A program that makes it hard: threads that are born and die at full speed, memory allocated and freed on all sides, children started one after the other, recursion in and out of deep
//! stacks, and readers who notice if a system call of theirs is disturbed.

use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, LazyLock, Once};
use std::thread;

static BEGIN: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(9));
static BORN: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static CHILDREN: AtomicU64 = AtomicU64::new(0);
static DIVES: AtomicU64 = AtomicU64::new(0);
static DISTURBED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn give_birth() {
    loop {
        let children: Vec<_> =
            (0..8).map(|_| thread::spawn(|| BORN.fetch_add(1, Ordering::Relaxed))).collect();
        for child in children {
            child.join().expect("it does nothing that panics");
        }
    }
}

#[inline(never)]
fn allocate() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for size in (1..).map(|round: usize| round * 7919 % 300_000) {
        kept.push(vec![1; size]);
        if kept.len() > 64 {
            kept.clear();
        }
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
    }
}

#[inline(never)]
fn start_children() {
    loop {
        let ended = Command::new("true").status();
        if ended.is_ok_and(|status| status.success()) {
            CHILDREN.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[inline(never)]
fn dive() {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let space = std::hint::black_box([depth; 16]);
        if depth == 0 { 0 } else { descend(depth - 1) + space[0] }
    }
    loop {
        std::hint::black_box(descend(2_000));
        DIVES.fetch_add(1, Ordering::Relaxed);
    }
}

/// A bare read, which fails if it is interrupted.
#[inline(never)]
fn listen() {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    if reader.read(&mut [0]).is_err() {
        DISTURBED.fetch_add(1, Ordering::Relaxed);
    }
}

#[gmr::main]
fn main() {
    let threads: [(&str, fn()); 8] = [
        ("birth-1", give_birth),
        ("birth-2", give_birth),
        ("allocate-1", allocate),
        ("allocate-2", allocate),
        ("children", start_children),
        ("dive", dive),
        ("listen-1", listen),
        ("listen-2", listen),
    ];
    for (name, run) in threads {
        let start = move || {
            BEGIN.wait();
            run();
        };
        thread::Builder::new().name(name.into()).spawn(start).expect("a thread");
    }
    let all = [&BORN, &ALLOCATED, &CHILDREN, &DIVES, &DISTURBED];
    // Until the first line they stand still, so that the test can learn which is which: threads that they start have their names at first.
    let begin = Once::new();
    gmr_tests::converse(|_| {
        begin.call_once(|| {
            BEGIN.wait();
        });
        all.map(|count| count.load(Ordering::Relaxed).to_string()).join(" ")
    });
}
