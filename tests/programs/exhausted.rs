//! A program that has used up its descriptors, or may start no more threads. The first argument
//! says which. With a second one (`stuck`), its section never returns.

#![allow(unsafe_code)]

mod filter;

use std::fs::File;
use std::thread;

#[gmr::section]
fn notes() -> &'static str {
    if std::env::args().nth(2).is_some() {
        park_here();
    }
    "of the program"
}

#[inline(never)]
fn park_here() {
    loop {
        thread::park();
    }
}

#[inline(never)]
fn leak_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Has the kernel refuse new threads, as it does at the limit of a user or a cgroup.
fn refuse_threads() {
    filter::refuse(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
    assert!(thread::Builder::new().spawn(park_here).is_err(), "there are no more threads");
}

#[gmr::main]
fn main() {
    let parked = || {
        gmr_tests::arrive();
        park_here();
    };
    thread::Builder::new().name("parked".into()).spawn(parked).expect("the first one");
    // It names itself once it runs.
    gmr_tests::settle(1);
    let mut leaked = Vec::new();
    if std::env::args().nth(1).as_deref() == Some("descriptors") {
        leaked = leak_descriptors();
    } else {
        refuse_threads();
    }
    gmr_tests::converse(|question| {
        if question == "capture" {
            return serde_json::to_string(&gmr::Report::capture()).expect("a report is JSON");
        }
        // All of them are still open, and the last one is where it was.
        let open = leaked.iter().filter(|file| file.metadata().is_ok()).count();
        format!("{open} of {}", leaked.len())
    });
}
