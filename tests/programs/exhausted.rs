//! A program that has used up its descriptors, or may start no more threads. The first argument
//! says which. With a second one (`stuck`), its section never returns.

#![allow(unsafe_code)]

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

/// Has the kernel refuse new threads, as it does at the limit of a user or a cgroup. Such limits do
/// not apply to root, so this uses a seccomp filter.
fn refuse_threads() {
    let instruction = |code: u32, jump_if_equal: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a code has 16 bits"),
        jt: jump_if_equal,
        jf: 0,
        k,
    };
    let number = |number: libc::c_long| u32::try_from(number).expect("it is small");
    let is = |call, skipped| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, number(call));
    let answer = |answer| instruction(libc::BPF_RET | libc::BPF_K, 0, answer);
    let eagain = u32::try_from(libc::EAGAIN).expect("it is small");
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        is(libc::SYS_clone, 2),
        is(libc::SYS_clone3, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | eagain),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("it is short"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is valid, and is copied. The filter is for all threads.
    let filtered = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    assert_eq!(filtered, 0, "{}", std::io::Error::last_os_error());
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
