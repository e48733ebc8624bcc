//! Panics of generators: told to the report instead of to stderr, and survived even where panics abort the process.
//!
//! A panic hook is global to the process. Ours looks at one thread-local flag, and hands every panic that is not a generator's to the hook that was there
//! before it. It has to be put in place while the program starts: std holds a lock while any hook runs, so a hook set later could wait for the
//! very thread that the report is about.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::thread;

use crate::mask;
use crate::model::Panicked;

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What this thread does about a panic.
struct Watch {
    /// The last panic that the hook saw.
    last: Option<Panicked>,
    /// What to do with it where there will be no unwinding.
    on_abort: Option<Box<dyn FnOnce(Panicked)>>,
}

/// Puts the hook in place, once in a process.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                previous(info);
            }
        }));
    });
}

/// Whether the calling thread is running a generator.
pub(crate) fn in_generator() -> bool {
    WATCH.try_with(|watch| watch.try_borrow().map_or(true, |watch| watch.is_some())).unwrap_or(false)
}

/// Runs `make`; a panic becomes an account of it.
///
/// In a program whose panics abort, nothing would come back from here: there `on_abort` is called with the account, inside the hook, and the thread then sleeps for
/// ever, which the process survives.
///
/// # Errors
/// How it panicked.
pub(super) fn catch<T>(
    make: impl FnOnce() -> T,
    on_abort: impl FnOnce(Panicked) + 'static,
) -> Result<T, Panicked> {
    let watch = Watch { last: None, on_abort: Some(Box::new(on_abort)) };
    WATCH.with_borrow_mut(|current| *current = Some(watch));
    let result = panic::catch_unwind(AssertUnwindSafe(make));
    let watch = WATCH.with_borrow_mut(Option::take);
    result.map_err(|payload| {
        let seen = watch.and_then(|watch| watch.last);
        // The hook may have been replaced by the program: then the payload is all there is.
        let account = seen.unwrap_or_else(|| Panicked { message: message_of(&*payload), location: None });
        // A payload's destructor may panic in its turn, outside of anything that would catch it.
        std::mem::forget(payload);
        account
    })
}

/// Keeps the account of a panic on a thread that runs a generator. False on any other.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let mut on_abort = None;
    let account =
        Panicked { message: message_of(info.payload()), location: info.location().map(ToString::to_string) };
    let ours = WATCH
        .try_with(|watch| {
            let Ok(mut watch) = watch.try_borrow_mut() else { return false };
            let Some(watch) = watch.as_mut() else { return false };
            watch.last = Some(account.clone());
            if cfg!(panic = "abort") {
                on_abort = watch.on_abort.take();
            }
            true
        })
        .unwrap_or(false);
    if let Some(on_abort) = on_abort {
        on_abort(account);
        loop {
            thread::park();
        }
    }
    ours
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text");
    mask::text(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        install_hook();
        let account = catch(|| panic!("no {}", "cache"), |_| ()).unwrap_err();
        assert_eq!(account.message, "no cache");
        let location = account.location.unwrap();
        assert!(location.contains("panics.rs:"), "{location}");
        assert!(!in_generator());
    }

    #[test]
    fn a_payload_that_is_no_text_is_told_as_such() {
        let account = catch(|| panic::panic_any(7), |_| ()).unwrap_err();
        assert_eq!(account.message, "a value that is no text");
    }

    #[test]
    fn what_does_not_panic_comes_back() {
        assert_eq!(catch(|| 7, |_| ()).unwrap(), 7);
        // A panic that the generator itself has caught is its own affair.
        let inner = catch(|| panic::catch_unwind(|| panic!("inner")).is_err(), |_| ());
        assert!(inner.unwrap());
    }
}
