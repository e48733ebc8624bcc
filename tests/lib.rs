//! What the test programs share: how they communicate with the test that started them.
//!
//! A program writes `ready` to its standard output when it is in the state that the test needs,
//! answers each line on its standard input with one line, and ends when its input is closed.

pub mod async_main;

use std::fs;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// As another crate may pass the attribute on: only `$crate` leads to gmr.
#[macro_export]
macro_rules! entry {
    ($main:item) => {
        #[$crate::gmr::main(crate = $crate::gmr)]
        $main
    };
}

#[doc(hidden)]
pub use gmr;

/// Writes `ready`, then answers each line of standard input with what `answer` returns for it.
///
/// # Panics
/// If standard output is closed.
pub fn converse(mut answer: impl FnMut(&str) -> String) {
    say("ready");
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) => say(&answer(&line)),
            // The test judges errors on standard input; they must not end the program early.
            Err(error) => say(&format!("standard input failed: {error}")),
        }
    }
}

/// Starts a thread, and returns once it has its name: a thread names itself when it first runs.
///
/// # Panics
/// If no thread can be started.
pub fn start_named(name: &str, run: impl FnOnce() + Send + 'static) {
    let (named, is_named) = mpsc::channel();
    let run = move || {
        named.send(()).expect("it is received");
        run();
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread");
    is_named.recv().expect("the thread runs");
}

/// The state of a thread of this process, as the kernel abbreviates it: `S` if it is asleep.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn state_of(tid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).expect("the thread lives");
    // The state follows the name, which may contain anything.
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Counts the calling thread as arrived: from here on, it only goes to the place where it waits.
pub fn arrive() {
    ARRIVED.fetch_add(1, Ordering::Release);
}

/// How many threads have arrived.
#[must_use]
pub fn arrived() -> usize {
    ARRIVED.load(Ordering::Acquire)
}

/// Waits until this many threads have arrived, and all but the calling one are asleep: then they
/// are where they wait.
///
/// # Panics
/// If `/proc` cannot be read.
pub fn settle(threads: usize) {
    while ARRIVED.load(Ordering::Acquire) < threads || !all_asleep() {
        thread::yield_now();
    }
}

fn all_asleep() -> bool {
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("the threads can be listed").flatten();
    tasks.filter(|task| *task.file_name() != *own).all(|task| {
        // One that has ended meanwhile is not awake. The state follows the name, which may contain
        // anything.
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    })
}

/// One line on standard output, at once.
///
/// # Panics
/// If standard output is closed.
pub fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the test reads what its program says");
}

/// Numbers that look random and are the same for each seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn among<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = self.below(all.len() as u64);
        &all[usize::try_from(index).expect("it is below a length")]
    }
}

/// The examples in the documentation of the attributes. As tests of gmr-macros, they would compile
/// gmr and its dependencies once more, for the compiler's side.
#[cfg(doctest)]
mod attributes {
    #[doc = include_str!("../gmr-macros/docs/main.md")]
    mod main {}
    #[doc = include_str!("../gmr-macros/docs/section.md")]
    mod section {}
    #[doc = include_str!("../gmr-macros/docs/config.md")]
    mod config {}
    #[doc = include_str!("../gmr-macros/docs/test.md")]
    mod test {}
    #[doc = include_str!("../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../gmr-macros/docs/task.md")]
    mod task {}
}
