//! A program that sees less of itself than others do. Its argument says why:
//!
//! - `main-exits`: its main thread has ended, and the others go on;
//! - `chroot`: after the start of gmr, it has changed its root directory to one without `/proc`;
//! - `nothing`: it is an ordinary program.
//!
//! `--passwd FILE` mounts a file over `/etc/passwd`, in a mount namespace of its own, before gmr
//! starts.
//!
//! Signals and calls of the kernel are used directly: std has nothing for them.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

#[inline(never)]
fn wait_for_a_line() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("standard input can be read");
}

fn converse() {
    gmr_tests::say("ready");
    wait_for_a_line();
    std::process::exit(0);
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().unwrap_or_default();
    if let Some(file) = arguments.next()
        && let Err(error) = mount_over_passwd(&file)
    {
        gmr_tests::say(&format!("skipped: {error}"));
        return ExitCode::SUCCESS;
    }
    gmr::Builder::new().product("namespaces").install().expect("gmr can be installed").keep();
    let (started, is_started) = mpsc::channel();
    let parked = move || {
        // It has its name by now.
        started.send(()).expect("main waits for it");
        park();
    };
    thread::Builder::new().name("parked".into()).spawn(parked).expect("a thread");
    is_started.recv().expect("it starts");
    match how.as_str() {
        "chroot" => {
            let empty = std::env::temp_dir().join(format!("gmr-root-{}", std::process::id()));
            std::fs::create_dir(&empty).expect("a directory");
            let changed = std::os::unix::fs::chroot(&empty);
            if let Err(error) = changed.and_then(|()| std::env::set_current_dir("/")) {
                gmr_tests::say(&format!("skipped: {error}"));
                return ExitCode::SUCCESS;
            }
            converse();
        }
        "main-exits" => {
            thread::Builder::new().name("server".into()).spawn(serve).expect("a thread");
            std::io::stdout().flush().expect("standard output is open");
            // What `pthread_exit` does in the end, without unwinding frames of Rust.
            // SAFETY: it ends this thread, of which no other thread uses the stack.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        _ => converse(),
    }
    ExitCode::SUCCESS
}

#[inline(never)]
fn park() {
    loop {
        thread::park();
    }
}

/// Waits until the main thread has ended.
fn serve() {
    let main = format!("/proc/self/task/{}/stat", std::process::id());
    while !std::fs::read_to_string(&main).expect("it is not waited for").contains(") Z ") {
        thread::yield_now();
    }
    converse();
}

fn mount_over_passwd(file: &str) -> std::io::Result<()> {
    let check = |result| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let file = CString::new(file).expect("a path");
    let none = std::ptr::null();
    // SAFETY: it separates the mounts of this process, which has one thread, from those of others.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the strings are valid.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
    // SAFETY: as above.
    check(unsafe { libc::mount(file.as_ptr(), c"/etc/passwd".as_ptr(), none, libc::MS_BIND, none.cast()) })
}
