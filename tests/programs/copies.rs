//! A program in which several threads and several copies of gmr make reports at the same time. Its
//! arguments:
//!
//! - `uninstalled`: gmr is not installed;
//! - `alone`: the program's is the only copy of gmr;
//! - the path of a library that has its own copy of gmr, which is installed too;
//! - `in-use`, after one of these: something else is mapped where the copies make their claims.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../plugin/src/failures.rs"]
mod failures;

/// If it is set, the section waits for a message from it.
static GATE: Mutex<Option<Receiver<()>>> = Mutex::new(None);
static INSIDE: AtomicBool = AtomicBool::new(false);

/// More text than a pipe holds, so that a report is written in pieces.
fn section() -> String {
    if let Some(gate) = GATE.lock().ok().and_then(|mut gate| gate.take()) {
        INSIDE.store(true, Ordering::Release);
        let _ = gate.recv();
    }
    "program ".repeat(10_000)
}

struct Plugin {
    install: extern "C" fn() -> bool,
    capture: extern "C" fn() -> usize,
}

fn load(path: &str) -> Plugin {
    let path = CString::new(path).expect("a path");
    // SAFETY: the library was built from this repository, and its functions have these types.
    unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null(), "{path:?} cannot be loaded");
        let install = libc::dlsym(library, c"gmr_test_plugin_install".as_ptr());
        let capture = libc::dlsym(library, c"gmr_test_plugin_capture".as_ptr());
        assert!(!install.is_null() && !capture.is_null());
        Plugin {
            install: std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> bool>(install),
            capture: std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> usize>(capture),
        }
    }
}

/// Maps a region in whose middle the claims would be.
fn use_the_place() {
    let place: usize = if cfg!(target_arch = "x86_64") { 0x676d_7200_0000 } else { 0x67_6d72_0000 };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let (start, length) = (place - (1 << 20), 4 << 20);
    // SAFETY: a new mapping that replaces none.
    let base = unsafe { libc::mmap(start as *mut _, length, libc::PROT_NONE, flags, -1, 0) };
    assert_eq!(base.addr(), start);
}

/// Calls each function a few times, all functions at the same time. Returns the sum of the results.
fn at_once(functions: &[&(dyn Fn() -> usize + Sync)]) -> usize {
    let (sum, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // A thread that runs, and so has to be signalled.
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let mut calling = Vec::new();
        for &function in functions {
            let sum = &sum;
            calling.push(scope.spawn(move || {
                for _ in 0..5 {
                    sum.fetch_add(function(), Ordering::Relaxed);
                }
            }));
        }
        let results: Vec<_> = calling.into_iter().map(thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    sum.into_inner()
}

/// Captures a report in a forked child. Returns whether the report is complete and did not take
/// long.
fn fork() -> bool {
    let since = Instant::now();
    // SAFETY: the child calls what may allocate. The C library makes its allocator usable in a
    // child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let good = failures::of(&gmr::Report::capture()) == 0 && since.elapsed() < Duration::from_secs(10);
        // SAFETY: it ends the child.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    let mut status = -1;
    // SAFETY: it waits for the child made above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status == 0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for _ in 0..20 {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    if arguments.iter().any(|argument| argument == "in-use") {
        use_the_place();
    }
    let builder = gmr::Builder::new().product("program").section("Of the program", section);
    let guard = (arguments[0] != "uninstalled").then(|| builder.install().expect("it can be installed"));
    let plugin = guard.as_ref().filter(|_| arguments[0] != "alone").map(|_| load(&arguments[0]));
    if let Some(plugin) = &plugin {
        assert!((plugin.install)(), "two copies can be installed");
    }
    let own: &(dyn Fn() -> usize + Sync) = &|| failures::of(&gmr::Report::capture());
    let mut open: Option<Sender<()>> = None;
    gmr_tests::converse(|question| match question {
        "eight threads" => at_once(&[own; 8]).to_string(),
        "both copies" => {
            let plugins = plugin.as_ref().expect("it is loaded").capture;
            at_once(&[own, &|| plugins()]).to_string()
        }
        "close the gate" => {
            let (sender, receiver) = channel();
            (*GATE.lock().expect("nothing panics"), open) = (Some(receiver), Some(sender));
            "closed".to_owned()
        }
        "wait for the section" => {
            while !INSIDE.load(Ordering::Acquire) {
                thread::yield_now();
            }
            "inside".to_owned()
        }
        "fork" => fork().to_string(),
        _ => {
            open = None;
            "open".to_owned()
        }
    });
    drop(guard);
}
