//! A program that sends the report signal to itself from a section (`signals-itself`), or that
//! replaces the handler of the signal after gmr was installed, when a question asks for that.
//!
//! The section ends once the handler of its signal has run: the kernel may give that to any thread,
//! which may run only after the report.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many of its own signals this program's handler has passed on.
static HANDLED: AtomicU32 = AtomicU32::new(0);

fn signals_itself() -> bool {
    std::env::args().nth(1).as_deref() == Some("signals-itself")
}

#[gmr::section]
fn notes() -> &'static str {
    if signals_itself() {
        let before = HANDLED.load(Ordering::Acquire);
        // SAFETY: gmr handles it.
        unsafe { libc::kill(libc::getpid(), libc::SIGUSR2) };
        while HANDLED.load(Ordering::Acquire) == before {
            std::thread::yield_now();
        }
    }
    "of the program"
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// gmr's action.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

extern "C" fn keeps_it(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

extern "C" fn passes_it_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get().expect("it was replaced").sa_sigaction;
    // SAFETY: it is signal-hook's handler, which takes these three arguments.
    let before = unsafe { std::mem::transmute::<usize, Handler>(before) };
    before(signal, info, context);
    // SAFETY: the kernel passes it, and a signal by `kill` has its sender.
    if unsafe { (*info).si_pid() } == std::process::id().cast_signed() {
        HANDLED.fetch_add(1, Ordering::Release);
    }
}

fn replace(handler: usize, flags: i32) {
    let (mut action, mut before) = (MaybeUninit::<libc::sigaction>::zeroed(), MaybeUninit::uninit());
    // SAFETY: all-zero is a valid action, the handlers are async-signal-safe, and what was before
    // is written by the call.
    let before = unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler;
        (*action.as_mut_ptr()).sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR2, action.as_ptr(), before.as_mut_ptr()), 0);
        before.assume_init()
    };
    BEFORE.get_or_init(|| before);
}

fn pass_it_on() {
    replace(passes_it_on as Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
}

#[gmr::main]
fn main() {
    if signals_itself() {
        pass_it_on();
    }
    gmr_tests::converse(|question| {
        match question {
            "capture" => return serde_json::to_string(&gmr::Report::capture()).expect("a report is JSON"),
            "ignore" => replace(libc::SIG_IGN, 0),
            "default" => replace(libc::SIG_DFL, 0),
            "keep" => replace(keeps_it as Handler as usize, libc::SA_SIGINFO),
            "pass on" => pass_it_on(),
            _ => panic!("an unknown question: {question}"),
        }
        "done".to_owned()
    });
}
