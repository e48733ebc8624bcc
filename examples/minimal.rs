//! The minimum: one attribute on `main`.
//!
//! Run it with `cargo run --example minimal`. It prints its process id; from another terminal,
//! request a report with `kill -USR2 PID`. The report goes to standard error. Ctrl-C ends the
//! program.

use std::thread;

#[gmr::main]
fn main() {
    println!("ready: kill -USR2 {}", std::process::id());
    loop {
        thread::park();
    }
}
