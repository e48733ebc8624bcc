//! An initializer that runs after gmr's, and before `main`. The variable `EARLY` says what it does
//! before it writes `initializing` and waits for a line; without it, nothing.

use std::io::{Read, Write};
use std::mem::MaybeUninit;

#[used]
#[unsafe(link_section = ".init_array")]
static INITIALIZER: extern "C" fn() = initialize;

extern "C" fn initialize() {
    let Ok(how) = std::env::var("EARLY") else { return };
    match how.as_str() {
        "wait" => {}
        "handle" => handle(libc::SIGUSR2),
        // gmr can't be installed without a signal to take stacks with.
        "take all" => (libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(handle),
        // Too little for another thread's stack.
        "limit memory" => {
            let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: it reads the limit, which is a local.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
        }
        "choose" => {
            // SAFETY: there is one thread.
            unsafe { std::env::set_var("GMR_SIGNAL", "USR1") };
        }
        _ => panic!("{how} is unknown"),
    }
    // std's `Stdout` and `Stdin` are for `main`: this one takes one byte at a time.
    let (mut output, mut input) = (std::fs::File::from(duplicate(1)), std::fs::File::from(duplicate(0)));
    output.write_all(b"initializing\n").expect("it is a pipe");
    let mut byte = [0];
    while byte != *b"\n" {
        // A signal interrupts nothing: its handler restarts the call.
        assert_eq!(input.read(&mut byte).expect("it is a pipe"), 1);
    }
}

fn duplicate(descriptor: i32) -> std::os::fd::OwnedFd {
    // SAFETY: the test has opened it, and nothing closes it.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    descriptor.try_clone_to_owned().expect("a descriptor is free")
}

extern "C" fn ignore(_: i32) {}

fn handle(signal: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid action, and the handler does nothing.
    let result = unsafe {
        (*action.as_mut_ptr()).sa_sigaction = ignore as *const () as usize;
        (*action.as_mut_ptr()).sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, action.as_ptr(), std::ptr::null_mut())
    };
    assert_eq!(result, 0);
}
