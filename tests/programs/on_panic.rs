//! A program that panics: on its main thread, on another one, in a section, or twice. Its own hook
//! counts the panics that it sees.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::{panic, thread};

static SEEN: AtomicU32 = AtomicU32::new(0);

/// A section waits for a panic on another thread; both ends are for one report.
static DURING: OnceLock<Both> = OnceLock::new();

type Both = (Mutex<Sender<()>>, Mutex<Receiver<()>>);

#[gmr::section(timeout = "30s")]
fn ending() -> &'static str {
    if let Some((begun, ended)) = DURING.get() {
        begun.lock().expect("one report").send(()).expect("it is waited for");
        ended.lock().expect("one report").recv().expect("the thread panics");
    }
    assert!(std::env::args().nth(1).as_deref() != Some("section"), "the section fails");
    "of the program"
}

/// Its name is in the report.
#[inline(never)]
fn fails(what: &str) {
    panic!("{what} fails with password=hunter2");
}

struct FailsAgain;

impl Drop for FailsAgain {
    fn drop(&mut self) {
        panic!("and fails again");
    }
}

fn on_a_thread(run: impl FnOnce() + Send + 'static) -> bool {
    let thread = thread::Builder::new().name("worker".to_owned()).spawn(run).expect("a thread");
    thread.join().is_err()
}

extern "C" fn foreign() {
    fails("the callback");
}

#[gmr::main(on_panic = true)]
fn main() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        SEEN.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    gmr_tests::converse(|what| {
        match what {
            "main" => fails("main"),
            "thread" => assert!(on_a_thread(|| fails("the thread"))),
            "foreign" => drop(on_a_thread(|| foreign())),
            "twice" => {
                on_a_thread(|| {
                    let _again = FailsAgain;
                    fails("the thread");
                });
            }
            "during" => {
                let (begun, has_begun) = channel();
                let (ended, has_ended) = channel();
                let both = (Mutex::new(begun), Mutex::new(has_ended));
                assert!(DURING.set(both).is_ok(), "once");
                let report = thread::spawn(gmr::Report::capture);
                has_begun.recv().expect("a report begins");
                let panicking = thread::spawn(|| fails("the thread"));
                ended.send(()).expect("the section waits");
                assert!(report.join().is_ok());
                // The next report runs the section, too.
                has_begun.recv().expect("the next report begins");
                ended.send(()).expect("the section waits");
                assert!(panicking.join().is_err());
            }
            _ => {}
        }
        SEEN.load(Ordering::Relaxed).to_string()
    });
}
