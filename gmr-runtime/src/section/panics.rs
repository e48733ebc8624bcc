//! Panics of generators: shown in the report instead of on stderr, and survived even if panics
//! abort the process. All other panics go to the hook that was set before.
//!
//! A panic hook is global to the process, so this one checks a thread-local to tell a generator's
//! panic from others. It should be set while the program starts: std holds a lock while any hook
//! runs, so setting one later can wait for the very thread that the report is about.
//!
//! A hook that the program sets later takes the place of this one, and may end the process. So the
//! place where std keeps the hook is remembered. It is checked before a report runs functions of
//! the program or wakes tasks, and gmr's hook is set again around another one. If a program links
//! two versions of gmr, they share std's hook, and each would wrap the other's again and again. So
//! the data of gmr's hooks begins with a mark, by which a copy recognizes that another copy's hook
//! leads to its own.

pub(crate) mod on_panic;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::output::Output;
use crate::capture::{self, Address, Trace};
use crate::model::{Content, Frame, Panicked, Stack};
use crate::symbols::{self, Symbolized};
use crate::sys::{self, Modules, channel, own_threads};

thread_local! {
    /// Set while the thread runs a generator.
    static CATCHER: RefCell<Option<Catcher>> = const { RefCell::new(None) };
}

/// What the hook does with a panic on this thread.
struct Catcher {
    /// The last panic.
    last: Option<Caught>,
    /// Called with the panic if it does not unwind.
    on_abort: Option<Box<dyn FnOnce(Caught)>>,
}

/// A panic that the hook has caught.
#[derive(Debug, Clone, Default)]
pub(super) struct Caught {
    message: String,
    location: Option<String>,
    frames: Vec<Address>,
}

/// How long to wait until the hook is set, which takes microseconds unless a hook is running.
const SET_WITHIN: Duration = Duration::from_millis(500);

/// Whether gmr's hook has been set. Held while it is being set, on a thread that waits for running
/// hooks.
static SET: Mutex<bool> = Mutex::new(false);

/// Where std keeps the hook; 0 if that is not known.
static PLACE: AtomicU64 = AtomicU64::new(0);
/// What is there while the hook is gmr's: the address of what it has captured.
static OURS: AtomicU64 = AtomicU64::new(0);
/// Whether a thread of gmr's is parked inside the hook, so that no hook can be set any more.
static PARKED: AtomicBool = AtomicBool::new(false);

/// Sets the hook, unless it is set.
///
/// A thread of its own sets it, and this waits for it no longer than [`SET_WITHIN`]: while a hook
/// runs, none can be set, and the running one may itself wait for the report. Until the hook is
/// set, a generator's panic goes to the program's hook, and is caught where panics unwind.
pub(crate) fn install_hook() {
    let is_needed = match SET.try_lock() {
        Ok(set) => !is_ours(*set),
        // Another thread is setting it. A process that was forked meanwhile has no such thread, and
        // goes without the hook.
        Err(_) => false,
    };
    if !is_needed || PARKED.load(Ordering::Relaxed) {
        return;
    }
    let (set, is_set) = channel::channel();
    let spawned = own_threads::spawn("gmr hook", move || {
        capture::shield_thread(None);
        set_hook();
        // This fails if the caller has given up.
        let _ = set.send(());
    });
    if spawned.is_ok() {
        let _ = is_set.recv_timeout(SET_WITHIN);
    }
}

/// Whether the hook, which has been `set` before, is still gmr's or leads to it, as far as is
/// known.
fn is_ours(set: bool) -> bool {
    match PLACE.load(Ordering::Relaxed) {
        0 => set,
        // What cannot be read, in a sandbox for example, is not known to have changed.
        place => sys::word_at(place).is_none_or(leads_to_ours),
    }
}

/// Whether the hook with this data is ours, or the hook of another copy of gmr that wraps ours.
fn leads_to_ours(mut data: u64) -> bool {
    let ours = OURS.load(Ordering::Relaxed);
    for _ in 0..MOST_COPIES {
        // Before the addresses are compared: a hook that was dropped may have had this one.
        if sys::word_at(data) != Some(MARK) {
            return false;
        }
        if data == ours {
            return true;
        }
        match sys::word_at(data + 8) {
            Some(previous) => data = previous,
            None => return false,
        }
    }
    false
}

/// More copies of gmr than a program has.
const MOST_COPIES: usize = 16;

/// The mark with which the data of gmr's hooks begins: "gmr hook".
const MARK: u64 = u64::from_le_bytes(*b"gmr hook");

/// The data of gmr's hook. Its first two fields are the same in all versions.
#[repr(C)]
struct Hook {
    mark: u64,
    /// The address of the data of the previous hook.
    #[allow(dead_code, reason = "it is read from memory")]
    previous_data: u64,
    previous: Previous,
}

type Previous = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

impl Hook {
    fn around(previous: Previous) -> Self {
        Self { mark: MARK, previous_data: data_of(&*previous), previous }
    }

    fn call(&self, info: &PanicHookInfo<'_>) {
        if !record(info) {
            // First: the previous hook may end the process. It may also lead to an earlier hook of
            // gmr's, which is for the same panic.
            let reported = on_panic::report(info, || cfg!(panic = "abort") || !can_unwind(info));
            (self.previous)(info);
            drop(reported);
        }
    }

    /// Converts it to what std keeps. The closure captures nothing else, so this is all of its
    /// data.
    fn into_hook(self) -> Previous {
        debug_assert_eq!(self.mark, MARK);
        Box::new(move |info: &PanicHookInfo<'_>| self.call(info))
    }
}

fn data_of(hook: &(dyn Fn(&PanicHookInfo<'_>) + Send + Sync)) -> u64 {
    (&raw const *hook).cast::<()>() as u64
}

/// Sets the hook, unless it is set. Waits until no hook is running.
pub(super) fn set_hook() {
    let mut set = SET.lock().unwrap_or_else(PoisonError::into_inner);
    if is_ours(*set) {
        return;
    }
    let hook = Hook::around(panic::take_hook()).into_hook();
    let ours = data_of(&*hook);
    panic::set_hook(hook);
    // std does not say which hook is set. It keeps the address of what a hook has captured in a
    // variable. No other variable contains the address of ours until it is stored below.
    if !*set {
        PLACE.store(sys::with_files(|| sys::find_word(ours)).unwrap_or(0), Ordering::Relaxed);
    }
    OURS.store(ours, Ordering::Relaxed);
    *set = true;
}

/// Whether the calling thread is running a generator.
pub(crate) fn in_generator() -> bool {
    CATCHER
        .try_with(|catcher| catcher.try_borrow().map_or(true, |catcher| catcher.is_some()))
        .unwrap_or(false)
}

/// Runs `generate` and catches a panic in it.
///
/// If panics abort the process, or one cannot unwind, this does not return after it. Instead, the
/// hook calls `on_abort` and parks the thread forever, so that the process survives.
///
/// # Errors
/// The panic.
pub(super) fn catch<T>(
    generate: impl FnOnce() -> T,
    on_abort: impl FnOnce(Caught) + 'static,
) -> Result<T, Caught> {
    let catcher = Catcher { last: None, on_abort: Some(Box::new(on_abort)) };
    CATCHER.with_borrow_mut(|current| *current = Some(catcher));
    let result = panic::catch_unwind(AssertUnwindSafe(generate));
    let catcher = CATCHER.with_borrow_mut(Option::take);
    result.map_err(|payload| {
        let caught = catcher.and_then(|catcher| catcher.last);
        // If the program has replaced the hook, only the payload is known.
        let caught = caught.unwrap_or_else(|| Caught { message: message_of(&*payload), ..Caught::default() });
        // The payload's destructor may panic as well, and nothing would catch that.
        std::mem::forget(payload);
        caught
    })
}

/// Records a panic on a thread that runs a generator, and keeps the program's hook from one that
/// gmr [catches](own_threads::catch). False for any other panic.
fn record(info: &PanicHookInfo<'_>) -> bool {
    if own_threads::is_catching() {
        if cfg!(panic = "abort") || !can_unwind(info) {
            PARKED.store(true, Ordering::Relaxed);
            park_forever();
        }
        return true;
    }
    let mut on_abort = None;
    let in_generator = CATCHER
        .try_with(|catcher| {
            let Ok(mut catcher) = catcher.try_borrow_mut() else { return false };
            let Some(catcher) = catcher.as_mut() else { return false };
            let caught = match catcher.last.take().filter(|_| !can_unwind(info)) {
                // This panic follows from the last one, which has the frames of interest.
                Some(last) => Caught {
                    message: format!("{}; then: {}", last.message, message_of(info.payload())),
                    ..last
                },
                None => Caught::now(info),
            };
            if cfg!(panic = "abort") || !can_unwind(info) {
                on_abort = catcher.on_abort.take().map(|on_abort| (on_abort, caught.clone()));
            }
            catcher.last = Some(caught);
            true
        })
        .unwrap_or(false);
    if let Some((on_abort, caught)) = on_abort {
        PARKED.store(true, Ordering::Relaxed);
        on_abort(caught);
        park_forever();
    }
    in_generator
}

/// Whether std goes on to unwind after the hook. It aborts instead after a panic in a destructor
/// that runs because of another panic, and where a panic reaches a function that is `extern "C"`.
///
/// Only the `Debug` form has it on stable. If that changes, such a panic ends the process, as it
/// does without gmr.
fn can_unwind(info: &PanicHookInfo<'_>) -> bool {
    !format!("{info:?}").contains("can_unwind: false")
}

fn park_forever() -> ! {
    loop {
        thread::park();
    }
}

impl Caught {
    fn now(info: &PanicHookInfo<'_>) -> Self {
        let mut frames = Vec::new();
        backtrace::trace(|frame| {
            frames.push(Address::Return(frame.ip() as u64));
            frames.len() < MAX_FRAMES
        });
        Self {
            message: message_of(info.payload()),
            location: info.location().map(ToString::to_string),
            frames,
        }
    }

    /// The section's content, with symbols for the frames. Frames of the panic machinery and of gmr
    /// are left out. Resolving symbols reads files, and may take up to [`symbols::DEADLINE`].
    pub(super) fn resolve(self) -> ResolvedPanic {
        let trace = Trace { frames: self.frames.into(), ..Trace::default() };
        let Symbolized { stacks, frames, .. } = sys::with_files(|| {
            symbols::symbolize(std::slice::from_ref(&trace), &Modules::load(), symbols::DEADLINE)
        });
        let indices = stacks.iter().flat_map(|stack| &*stack.frames);
        let frames: Vec<Frame> = indices.map(|&index| frames[index as usize].clone()).collect();
        let frames = section_frames(&frames).to_vec();
        let numbers = 0..u32::try_from(frames.len()).expect("a panic has few frames");
        let stack = Stack { frames: numbers.collect(), ..Stack::default() };
        let panicked = Panicked { message: self.message, location: self.location, stack };
        ResolvedPanic { panicked, frames }
    }
}

/// A panic with the frames of its stack.
#[derive(Debug, Clone)]
pub(super) struct ResolvedPanic {
    panicked: Panicked,
    frames: Vec<Frame>,
}

impl From<ResolvedPanic> for Output {
    fn from(ResolvedPanic { panicked, frames }: ResolvedPanic) -> Self {
        Self { content: Content::Panicked(panicked), frames }
    }
}

/// The most frames that are kept of a panic. A deeper stack is a recursion.
const MAX_FRAMES: usize = 256;

/// The frames between the panic machinery and the code that runs sections.
fn section_frames(frames: &[Frame]) -> &[Frame] {
    // The innermost match: a program that catches panics has frames of the same modules further
    // out.
    let begin = frames.iter().position(|frame| is_in(frame, &["rust_begin_unwind", "begin_panic"]));
    let frames = &frames[begin.map_or(0, |begin| begin + 1)..];
    let formatting = frames.iter().take_while(|frame| is_in(frame, &["core::panicking::"])).count();
    let frames = &frames[formatting..];
    match frames.iter().position(Frame::is_gmr) {
        // gmr itself panicked: all frames are of interest.
        None | Some(0) => frames,
        Some(end) => &frames[..end],
    }
}

fn is_in(frame: &Frame, places: &[&str]) -> bool {
    frame.function.as_deref().is_some_and(|function| places.iter().any(|place| function.contains(place)))
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    gmr_mask::text(own_threads::message_of(payload)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_with_the_frames_that_led_to_it() {
        set_hook();
        // Frames of this crate's functions are left out.
        let empty = std::hint::black_box(Vec::<u8>::new);
        let resolved = catch(|| empty().remove(0), |_| ()).unwrap_err().resolve();
        let functions: Vec<_> =
            resolved.frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
        // Without support for the platform, there are no symbols.
        if let Some(first) = functions.first() {
            assert!(first.contains("Vec") && first.contains("remove"), "{functions:?}");
            assert!(!resolved.frames.iter().any(Frame::is_gmr), "{functions:?}");
        }
        assert_eq!(resolved.panicked.stack.frames.len(), resolved.frames.len());
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel copies memory")]
    fn the_hook_of_another_copy_of_gmr_leads_to_ours() {
        set_hook();
        let ours = OURS.load(Ordering::Relaxed);
        // As another copy would set it, around ours.
        let around =
            |previous_data| Hook { mark: MARK, previous_data, previous: Box::new(|_| ()) }.into_hook();
        let first = around(ours);
        let second = around(data_of(&*first));
        assert!(leads_to_ours(ours) && leads_to_ours(data_of(&*first)) && leads_to_ours(data_of(&*second)));
        let programs: Previous = Box::new(move |_| assert_ne!(ours, 0));
        let third = around(data_of(&*programs));
        assert!(
            !leads_to_ours(data_of(&*programs)) && !leads_to_ours(data_of(&*third)) && !leads_to_ours(16)
        );
    }

    #[test]
    fn a_panic_is_shown_with_its_location() {
        set_hook();
        let panic = catch(|| panic!("no {}", "cache"), |_| ()).unwrap_err().resolve().panicked;
        assert_eq!(panic.message, "no cache");
        let location = panic.location.unwrap();
        assert!(location.contains("panics.rs:"), "{location}");
        assert!(!in_generator());
    }

    #[test]
    fn a_non_string_payload_is_shown_as_such() {
        let panic = catch(|| panic::panic_any(7), |_| ()).unwrap_err().resolve().panicked;
        assert_eq!(panic.message, "non-string panic payload");
    }

    #[test]
    fn without_a_panic_the_value_is_returned() {
        assert_eq!(catch(|| 7, |_| ()).unwrap(), 7);
        // A panic that the generator itself catches is not reported.
        let inner = catch(|| panic::catch_unwind(|| panic!("inner")).is_err(), |_| ());
        assert!(inner.unwrap());
    }
}
