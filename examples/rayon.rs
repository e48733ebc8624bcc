//! A command-line program that computes with rayon, and shows its progress in reports.
//!
//! Run it with `cargo run --release --example rayon-cli`, or with a limit of your own:
//! `cargo run --release --example rayon-cli -- 1000000`. It prints the number below the limit whose
//! Collatz sequence is the longest.
//!
//! The report signal is SIGQUIT, so Ctrl-\ in the terminal requests a report, which goes to
//! standard error. The result goes to standard output. Ctrl-C ends the program.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

/// How many numbers make one piece of work.
const PIECE: u64 = 1 << 14;

static TOTAL: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

#[derive(Serialize)]
struct Progress {
    done: u64,
    total: u64,
}

/// The section "Progress", in pieces of work.
#[gmr::section]
fn progress() -> Progress {
    Progress { done: DONE.load(Ordering::Relaxed), total: TOTAL.load(Ordering::Relaxed) }
}

#[gmr::main(signal = "SIGQUIT")]
fn main() -> ExitCode {
    let limit = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => 10_000_000_000,
        Some(Ok(limit)) => limit,
        Some(Err(error)) => {
            eprintln!("rayon-cli: the limit is not a number: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Without names, the report shows all workers under the name of the program.
    let pool = ThreadPoolBuilder::new().thread_name(|number| format!("worker-{number}"));
    if let Err(error) = pool.build_global() {
        eprintln!("rayon-cli: {error}");
        return ExitCode::FAILURE;
    }

    eprintln!("press Ctrl-\\ for a report, or: kill -QUIT {}", std::process::id());
    let (steps, start) = longest(limit);
    println!("{start}: {steps} steps");
    ExitCode::SUCCESS
}

fn longest(limit: u64) -> (u32, u64) {
    let pieces = limit.div_ceil(PIECE);
    TOTAL.store(pieces, Ordering::Relaxed);
    let longest = (0..pieces).into_par_iter().map(|piece| {
        let last = limit.min((piece + 1) * PIECE);
        let longest = longest_between(piece * PIECE + 1, last);
        DONE.fetch_add(1, Ordering::Relaxed);
        longest
    });
    longest.max().unwrap_or_default()
}

fn longest_between(first: u64, last: u64) -> (u32, u64) {
    (first..=last).map(|start| (steps(start), start)).max().unwrap_or_default()
}

/// The steps from a number to 1: half of it if it is even, else three times as much and one more.
fn steps(mut number: u64) -> u32 {
    let mut steps = 0;
    while number > 1 {
        number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}
