//! Sections whose panics end the process if nothing prevents it: they cannot unwind, or meet a hook
//! that exits or aborts, which the program has set after gmr's. The first argument says which hook.

use std::panic;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor")
    }
}

#[gmr::section(order = 1)]
fn in_a_destructor() -> u64 {
    let _bomb = Bomb;
    panic!("the first one")
}

extern "C" fn called_by_c() {
    panic!("called by C")
}

#[gmr::section(order = 2)]
fn across_c() -> u64 {
    called_by_c();
    7
}

#[gmr::section(order = 3)]
fn plain() -> u64 {
    panic!("a plain one")
}

#[gmr::section(order = 9)]
fn last() -> &'static str {
    "whole"
}

#[gmr::main]
fn main() {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("exits") => {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                before(info);
                std::process::exit(3);
            }));
        }
        Some("aborts") => panic::set_hook(Box::new(|_| std::process::abort())),
        Some(hook) => panic!("an unknown hook: {hook}"),
    }
    gmr_tests::converse(|question| match question {
        "panic" => {
            let caught = panic::catch_unwind(|| panic!("the program's own"));
            format!("caught: {}", caught.is_err())
        }
        _ => question.to_owned(),
    });
}
