//! A program that sends the report signal to itself from a section (`signals-itself`), or that
//! replaces the handler of the signal after gmr was installed, when a question asks for that.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::OnceLock;

#[gmr::section]
fn notes() -> &'static str {
    if std::env::args().nth(1).as_deref() == Some("signals-itself") {
        // SAFETY: gmr handles it.
        unsafe { libc::kill(libc::getpid(), libc::SIGUSR2) };
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

#[gmr::main]
fn main() {
    gmr_tests::converse(|question| {
        match question {
            "capture" => return serde_json::to_string(&gmr::Report::capture()).expect("a report is JSON"),
            "ignore" => replace(libc::SIG_IGN, 0),
            "default" => replace(libc::SIG_DFL, 0),
            "keep" => replace(keeps_it as Handler as usize, libc::SA_SIGINFO),
            "pass on" => replace(passes_it_on as Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK),
            _ => panic!("an unknown question: {question}"),
        }
        "done".to_owned()
    });
}
