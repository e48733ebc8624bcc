//! Threads that never stay where they are: each calls one of eight functions, some levels deep,
//! waits there for some microseconds, and goes on to another one. A stack with two of the
//! functions in it was not read at one moment. For each line that the program reads, it doubles the
//! waits: where it takes longer to read a stack, no thread would be at rest for long enough.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

const THREADS: u32 = 24;

/// The shortest wait is three of it.
static MICROSECONDS: AtomicU64 = AtomicU64::new(10);

static LOCK: Mutex<()> = Mutex::new(());
static BELL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

macro_rules! functions {
    ($($name:ident $number:literal),* $(,)?) => {
        $(
            #[inline(never)]
            fn $name(depth: u32) -> u32 {
                if depth == 0 { wait($number) } else { black_box($name(black_box(depth - 1))) + $number }
            }
        )*
        const FUNCTIONS: &[fn(u32) -> u32] = &[$($name),*];
    };
}

functions! {
    visit_a 1, visit_b 2, visit_c 3, visit_d 4, visit_e 5, visit_f 6, visit_g 7, visit_h 8,
}

#[inline(never)]
fn wait(number: u32) -> u32 {
    let time = Duration::from_micros(u64::from(2 + number) * MICROSECONDS.load(Ordering::Relaxed));
    match number % 4 {
        0 => thread::sleep(time),
        1 => {
            let held = LOCK.lock().expect("no thread panics with it");
            thread::sleep(time);
            drop(held);
        }
        2 => thread::park_timeout(time),
        _ => {
            let held = BELL.0.lock().expect("no thread panics with it");
            drop(BELL.1.wait_timeout(held, time).expect("no thread panics with it"));
        }
    }
    black_box(number)
}

#[inline(never)]
fn wander(mut random: u32) {
    loop {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let function = FUNCTIONS[(random >> 24) as usize % FUNCTIONS.len()];
        black_box(function((random >> 16) % 60));
    }
}

#[gmr::main(product = "moving", version = "1.0")]
fn main() {
    for number in 0..THREADS {
        let wander = move || wander(number * 77 + 1);
        thread::Builder::new().name(format!("moving-{number}")).spawn(wander).expect("a thread");
    }
    gmr_tests::converse(|_| {
        let time = 2 * MICROSECONDS.load(Ordering::Relaxed);
        MICROSECONDS.store(time, Ordering::Relaxed);
        time.to_string()
    });
}
