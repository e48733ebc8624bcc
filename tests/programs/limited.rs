//! A program that has used up its address space, except for a number of KiB that its argument says.
//! It can cope with that itself. Asked to `capture`, it answers whether a captured report is whole.

#![allow(unsafe_code)]

fn mapped() -> u64 {
    let sizes = std::fs::read_to_string("/proc/self/statm").expect("it can be read");
    let pages: u64 = sizes.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    pages * rustix::param::page_size() as u64
}

#[gmr::main]
fn main() {
    let left: u64 = std::env::args().nth(1).and_then(|left| left.parse().ok()).expect("a number of KiB");
    let limit = mapped() + (left << 10);
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    gmr_tests::converse(|question| match question {
        "capture" => match gmr::Report::capture().summary.failed {
            0 => "whole".to_owned(),
            failed => format!("{failed} failed"),
        },
        _ => question.to_owned(),
    });
}
