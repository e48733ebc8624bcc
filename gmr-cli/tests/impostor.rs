//! A process that has the mark of gmr, but not gmr, and offers something else in place of a report.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use gmr_runtime::__cli::file_begin;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::service::{Service, gmr};

static VALUE: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo, and the signal is sent with a value.
    VALUE.store(unsafe { (*info).si_value() }.sival_ptr.addr() as u64, Ordering::SeqCst);
}

/// Runs if another test has started it.
#[test]
fn impostor() {
    let Ok(offered) = std::env::var("IMPOSTOR") else { return };
    let mark =
        memfd_create("gmr-mark:1 signal=12 gmr=9 schema=1.3 attach=1", MemfdFlags::CLOEXEC).expect("a file");
    // SAFETY: a new mapping affects no other memory.
    let base = unsafe {
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, libc::MAP_SHARED, mark.as_raw_fd(), 0)
    };
    assert_ne!(base, libc::MAP_FAILED);
    // SAFETY: the handler is async-signal-safe, and takes what it gets with this flag.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()), 0);
    }
    println!("\nready");
    loop {
        let value = VALUE.swap(0, Ordering::SeqCst);
        let token = u32::try_from(value & u64::from(u32::MAX)).expect("the lower half");
        if value != 0 && offered != "nothing" {
            let offered = offered.clone();
            thread::Builder::new()
                .name("gmr attach".to_owned())
                .spawn(move || offer(&offered, token))
                .expect("a thread");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn offer(offered: &str, token: u32) {
    let format = if offered == "json" { "json" } else { "text" };
    let flags = if offered == "unsealable" { MemfdFlags::empty() } else { MemfdFlags::ALLOW_SEALING };
    let file =
        memfd_create(format!("{}{format}", file_begin(token)), flags | MemfdFlags::CLOEXEC).expect("a file");
    let mut file = File::from(file);
    match offered {
        "escapes" => file.write_all(b"\x1b[2Jevil\x07\xff\nend\xc2\x9b31m").expect("written"),
        "huge" => file.set_len(2 << 30).expect("no memory is taken"),
        "json" => file.write_all(b"{\"schema_version\":\"1.0\",\"heading\":").expect("written"),
        "half" => file.write_all(b"the first half\nof").expect("written"),
        _ => {}
    }
    if matches!(offered, "escapes" | "json") {
        fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)
            .expect("sealed");
    }
    thread::sleep(Duration::from_secs(2));
    if offered == "half" {
        std::process::exit(0);
    }
}

/// What the command does with it.
fn report(offered: &str, format: &str) -> crate::service::Done {
    let mut command = Service::command_of("impostor::impostor", &[]);
    command.env("IMPOSTOR", offered);
    let service = Service::start_with(command).expect("it starts");
    gmr(&["report", &service.pid().to_string(), "--format", format])
}

#[test]
fn what_a_hostile_process_offers_harms_nobody() {
    assert_eq!(report("escapes", "text").well(), "\\u{1b}[2Jevil\\u{7}\u{fffd}\nend\\u{9b}31m");
    let errors = report("escapes", "json").failed(1);
    assert!(
        errors.contains("writes text only")
            && errors.contains("features = [\"json\"]")
            && errors.contains("gmr report "),
        "{errors}"
    );
    assert!(report("huge", "text").failed(1).contains("longer than 1024 MiB"));
    assert!(report("unsealable", "text").failed(1).contains("no report of gmr"));
    assert!(report("json", "json").failed(1).contains("line 1"));
    let half = report("half", "text");
    assert_eq!((half.code, &*half.output), (Some(1), "the first half\nof"));
    assert!(half.errors.contains("not whole") && half.errors.contains("has ended"), "{}", half.errors);
}

#[test]
fn one_that_offers_nothing_is_not_waited_for_longer_than_five_seconds() {
    let started = std::time::Instant::now();
    assert!(report("nothing", "text").failed(1).contains("has taken the signal"));
    assert!(started.elapsed() < Duration::from_secs(15));
}
