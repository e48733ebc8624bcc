//! A report for a panic of the program (the option `on_panic`), while the thread is still where it
//! panicked.
//!
//! It runs in the panic hook, before the program's hook, which may end the process. It must not
//! panic: std aborts the process if a hook does. The thread waits for the report no longer than a
//! deadline, so nothing that it holds can keep it here.

use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::sys::{self, own_threads};
use crate::trigger::{Event, automatic};

/// The name of the option.
const NAME: &str = "on_panic";

/// How long the thread waits until its report has been written. It is what all sections of a report
/// may take together.
const WITHIN: Duration = Duration::from_secs(10);

/// Which panics make a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPanic {
    /// None.
    #[default]
    Off,
    /// Those that are about to end the process: of the main thread, and of any thread where panics
    /// abort the process or cannot unwind.
    ///
    /// Nothing tells whether the main thread catches a panic further out. If it does, there is a
    /// report, too.
    Ending,
    /// Those of any thread of the program.
    Any,
}

const OFF: u8 = 0;
const ENDING: u8 = 1;
const ANY: u8 = 2;

static REPORTED: AtomicU8 = AtomicU8::new(OFF);

/// Has these panics reported from now on.
pub(crate) fn set(which: OnPanic) {
    let which = match which {
        OnPanic::Off => OFF,
        OnPanic::Ending => ENDING,
        OnPanic::Any => ANY,
    };
    REPORTED.store(which, Ordering::Relaxed);
}

thread_local! {
    /// Set while the thread is inside gmr's hook, and the hooks that it calls.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The thread is inside gmr's hook until this is dropped.
pub(super) struct Inside(());

impl Inside {
    /// `None` if it is inside already, or ends right now.
    fn enter() -> Option<Self> {
        let was_inside = IS_INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true);
        (!was_inside).then_some(Self(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = IS_INSIDE.try_with(|inside| inside.set(false));
    }
}

/// Makes a report for a panic of the calling thread, if it is to have one. `aborts` says whether
/// the process aborts after it. Until the returned value is dropped, there is no other report for
/// it.
pub(super) fn report(info: &PanicHookInfo<'_>, aborts: impl FnOnce() -> bool) -> Option<Inside> {
    let which = REPORTED.load(Ordering::Relaxed);
    if which == OFF {
        return None;
    }
    let inside = Inside::enter()?;
    let is_reported = which == ANY || sys::current_tid() == std::process::id() || aborts();
    // One of gmr's threads may be the one that makes reports.
    if is_reported && !own_threads::is_current() {
        request(info);
    }
    Some(inside)
}

fn request(info: &PanicHookInfo<'_>) {
    let message = gmr_mask::text(own_threads::message_of(info.payload()));
    let place = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
    let tid = sys::current_tid();
    let current = thread::current();
    let name = current.name().map(|name| format!(" ({name})")).unwrap_or_default();
    let cause = format!("thread #{tid}{name} panicked{place}: {message}");
    automatic::request_and_wait(Event::automatic(NAME, cause).about(tid), WITHIN);
}
