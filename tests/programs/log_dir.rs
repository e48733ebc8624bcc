//! A program whose reports go to a directory that does not exist, unless the operator names another
//! one. It can have the kernel act as if a quota of the disk were used up, and reports become long.

#![allow(unsafe_code, reason = "a filter for system calls is what safe Rust does not offer")]

mod filter;

use std::sync::atomic::{AtomicUsize, Ordering};

static LINES: AtomicUsize = AtomicUsize::new(0);

#[gmr::section]
fn long_section() -> Vec<String> {
    (0..LINES.load(Ordering::Relaxed)).map(|line| format!("{line:0500}")).collect()
}

#[gmr::main(product = "shop", log_dir = "/proc/self/no-such-directory")]
fn main() {
    gmr_tests::converse(|what| {
        if what == "use up the quota" {
            // The kernel may keep what was written, and find out when it gets to the disk.
            filter::refuse(&[libc::SYS_fsync], libc::EDQUOT);
        }
        if what == "have a long section" {
            LINES.store(1_000, Ordering::Relaxed);
        }
        "alive".to_owned()
    });
}
