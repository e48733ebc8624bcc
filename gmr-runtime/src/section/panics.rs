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

use super::output::Output;
use crate::capture::{Address, Trace};
use crate::mask;
use crate::model::{Content, Frame, Panicked, Stack};
use crate::symbols::{self, Symbolized};
use crate::sys::Modules;

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What this thread does about a panic.
struct Watch {
    /// The last panic that the hook saw.
    last: Option<Seen>,
    /// What to do with it where there will be no unwinding.
    on_abort: Option<Box<dyn FnOnce(Seen)>>,
}

/// A panic, as the hook saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    message: String,
    location: Option<String>,
    frames: Vec<Address>,
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

/// Runs `make`; of a panic comes back what was seen of it.
///
/// In a program whose panics abort, nothing would come back from here: there `on_abort` is called with that, inside the hook, and the thread then sleeps for
/// ever, which the process survives.
///
/// # Errors
/// How it panicked.
pub(super) fn catch<T>(make: impl FnOnce() -> T, on_abort: impl FnOnce(Seen) + 'static) -> Result<T, Seen> {
    let watch = Watch { last: None, on_abort: Some(Box::new(on_abort)) };
    WATCH.with_borrow_mut(|current| *current = Some(watch));
    let result = panic::catch_unwind(AssertUnwindSafe(make));
    let watch = WATCH.with_borrow_mut(Option::take);
    result.map_err(|payload| {
        let seen = watch.and_then(|watch| watch.last);
        // The hook may have been replaced by the program: then the payload is all there is.
        let seen = seen.unwrap_or_else(|| Seen { message: message_of(&*payload), ..Seen::default() });
        // A payload's destructor may panic in its turn, outside of anything that would catch it.
        std::mem::forget(payload);
        seen
    })
}

/// Keeps the account of a panic on a thread that runs a generator. False on any other.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let mut on_abort = None;
    let ours = WATCH
        .try_with(|watch| {
            let Ok(mut watch) = watch.try_borrow_mut() else { return false };
            let Some(watch) = watch.as_mut() else { return false };
            let seen = Seen::now(info);
            if cfg!(panic = "abort") {
                on_abort = watch.on_abort.take().map(|on_abort| (on_abort, seen.clone()));
            }
            watch.last = Some(seen);
            true
        })
        .unwrap_or(false);
    if let Some((on_abort, seen)) = on_abort {
        on_abort(seen);
        loop {
            thread::park();
        }
    }
    ours
}

impl Seen {
    fn now(info: &PanicHookInfo<'_>) -> Self {
        let mut frames = Vec::new();
        backtrace::trace(|frame| {
            frames.push(Address::Return(frame.ip() as u64));
            frames.len() < MOST_FRAMES
        });
        Self {
            message: message_of(info.payload()),
            location: info.location().map(ToString::to_string),
            frames,
        }
    }

    /// Gives the frames their names, and leaves out those of the panic and of gmr. That reads files, and may take as long as it does for any stack.
    pub(super) fn account(self) -> Output {
        let trace = Trace { frames: self.frames.into(), incomplete: None };
        let Symbolized { stacks, frames, .. } =
            symbols::symbolize(&[trace], &Modules::load(), symbols::DEADLINE);
        let indices = stacks.iter().flat_map(|stack| &*stack.frames);
        let frames: Vec<Frame> = indices.map(|&index| frames[index as usize].clone()).collect();
        let frames = own(&frames).to_vec();
        let numbers = 0..u32::try_from(frames.len()).expect("a panic has few frames");
        let stack = Stack { frames: numbers.collect(), incomplete: None };
        let panicked = Panicked { message: self.message, location: self.location, stack };
        Output { content: Content::Panicked(panicked), frames }
    }
}

/// A section that panics deeper than this is in a recursion.
const MOST_FRAMES: usize = 256;

/// The frames between the machinery of panicking and that of running a section.
fn own(frames: &[Frame]) -> &[Frame] {
    // The innermost that has either name: a program that catches panics has frames of the same modules further out.
    let begun = frames.iter().position(|frame| is_in(frame, &["rust_begin_unwind", "begin_panic"]));
    let frames = &frames[begun.map_or(0, |begun| begun + 1)..];
    let formatting = frames.iter().take_while(|frame| is_in(frame, &["core::panicking::"])).count();
    let frames = &frames[formatting..];
    match frames.iter().position(Frame::is_gmr) {
        // It panicked in gmr itself: then all of it is of interest.
        None | Some(0) => frames,
        Some(end) => &frames[..end],
    }
}

fn is_in(frame: &Frame, places: &[&str]) -> bool {
    frame.function.as_deref().is_some_and(|function| places.iter().any(|place| function.contains(place)))
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("non-string panic payload");
    mask::text(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked(output: Output) -> Panicked {
        let Content::Panicked(panicked) = output.content else { panic!("{output:?}") };
        panicked
    }

    #[test]
    fn a_panic_is_told_with_the_frames_that_led_to_it() {
        install_hook();
        // What this crate's own functions do is left out.
        let empty = std::hint::black_box(Vec::<u8>::new);
        let account = catch(|| empty().remove(0), |_| ()).unwrap_err().account();
        let functions: Vec<_> = account.frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
        // Where stacks can be taken; elsewhere there are no names.
        if let Some(first) = functions.first() {
            assert!(first.contains("Vec") && first.contains("remove"), "{functions:?}");
            assert!(!account.frames.iter().any(Frame::is_gmr), "{functions:?}");
        }
        assert_eq!(panicked(account.clone()).stack.frames.len(), account.frames.len());
    }

    #[test]
    fn a_panic_is_told_with_its_place() {
        install_hook();
        let account = panicked(catch(|| panic!("no {}", "cache"), |_| ()).unwrap_err().account());
        assert_eq!(account.message, "no cache");
        let location = account.location.unwrap();
        assert!(location.contains("panics.rs:"), "{location}");
        assert!(!in_generator());
    }

    #[test]
    fn a_payload_that_is_no_text_is_told_as_such() {
        let account = panicked(catch(|| panic::panic_any(7), |_| ()).unwrap_err().account());
        assert_eq!(account.message, "non-string panic payload");
    }

    #[test]
    fn what_does_not_panic_comes_back() {
        assert_eq!(catch(|| 7, |_| ()).unwrap(), 7);
        // A panic that the generator itself has caught is its own affair.
        let inner = catch(|| panic::catch_unwind(|| panic!("inner")).is_err(), |_| ());
        assert!(inner.unwrap());
    }
}
