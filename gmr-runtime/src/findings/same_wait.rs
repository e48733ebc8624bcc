//! `task.same-wait`: tasks that wait for a lock, a permit of a semaphore or space in a channel, one
//! finding for each place in the program.
//!
//! Such a task goes on when another one gives something back. Tasks that wait for messages, timers
//! or connections often do so by design, and are left out.

use std::cmp::Reverse;

use super::facts::{Facts, count, finding};
use super::places;
use crate::model::{Evidence, Finding, Frame, Severity, Task, TaskState};
use crate::sys::sort;
use crate::units::duration;

/// Tasks that have waited for less than this are left out: they are about to go on.
const WAITS_MS: u64 = 1_000;

/// The most places that are reported: the first lines of a report have room for few.
const MAX_PLACES: usize = 3;

/// The most places that are told apart. A program has fewer lines that wait for a lock.
const MAX_KNOWN: usize = 64;

/// The most tasks that are named at each place.
const MAX_OLDEST: usize = 2;

/// The tasks that wait at one place of the program.
struct Place<'a> {
    /// The index in [`WAITS`].
    what: usize,
    /// The program's innermost frame, as an index into the report's.
    frame: u32,
    /// Ids of the tasks, in the order in which they were spawned.
    tasks: Vec<u64>,
    /// Those that have waited longest, the oldest first, each with its time.
    oldest: Vec<(u64, &'a Task)>,
}

/// Types of which a function of that name waits, and how that is called. A name without a function
/// is that of a future.
const WAITS: [(&str, &str, &str); 21] = [
    ("tokio::sync::mutex::Mutex", "lock", "Mutex::lock"),
    ("tokio::sync::rwlock::RwLock", "read", "RwLock::read"),
    ("tokio::sync::rwlock::RwLock", "write", "RwLock::write"),
    ("tokio::sync::semaphore::Semaphore", "acquire", "Semaphore::acquire"),
    ("tokio::sync::once_cell::OnceCell", "get_or", "OnceCell::get_or_init"),
    ("tokio::sync::mpsc::bounded::Sender", "send", "mpsc::Sender::send"),
    ("tokio::sync::mpsc::bounded::Sender", "reserve", "mpsc::Sender::reserve"),
    ("tokio::sync::batch_semaphore::Acquire", "", "Semaphore::acquire"),
    ("futures_util::lock::mutex::MutexLockFuture", "", "Mutex::lock"),
    ("futures_util::lock::mutex::OwnedMutexLockFuture", "", "Mutex::lock"),
    ("async_lock::mutex::Lock", "", "Mutex::lock"),
    ("async_lock::mutex::AcquireSlow", "", "Mutex::lock"),
    ("async_lock::mutex::LockArc", "", "Mutex::lock"),
    ("async_lock::rwlock::futures::Read", "", "RwLock::read"),
    ("async_lock::rwlock::futures::Write", "", "RwLock::write"),
    ("async_lock::rwlock::raw::RawRead", "", "RwLock::read"),
    ("async_lock::rwlock::raw::RawWrite", "", "RwLock::write"),
    ("async_lock::semaphore::Acquire", "", "Semaphore::acquire"),
    ("async_lock::semaphore::AcquireInner", "", "Semaphore::acquire"),
    ("async_channel::Send", "", "Sender::send"),
    ("async_channel::SendInner", "", "Sender::send"),
];

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    // Once for each frame: tasks share them, and there can be a hundred thousand tasks.
    let waits: Vec<Option<usize>> = facts.frames.iter().map(wait_of).collect();
    if waits.iter().all(Option::is_none) {
        return Vec::new();
    }
    let programs: Vec<bool> = facts.frames.iter().map(places::is_programs).collect();
    let mut places: Vec<Place<'_>> = Vec::new();
    for task in facts.tasks() {
        let TaskState::Waiting { waiting_ms } = task.state else { continue };
        if waiting_ms < WAITS_MS {
            continue;
        }
        let waiting = task.stacks.iter().find_map(|stack| place_of(&stack.frames, &waits, &programs));
        let Some((what, frame)) = waiting else { continue };
        let is_same = |place: &Place<'_>| place.what == what && are_same(facts.frames, place.frame, frame);
        let index = match places.iter().position(is_same) {
            Some(index) => index,
            None if places.len() == MAX_KNOWN => continue,
            None => {
                places.push(Place { what, frame, tasks: Vec::new(), oldest: Vec::new() });
                places.len() - 1
            }
        };
        let place = &mut places[index];
        place.tasks.push(task.id);
        let older = place.oldest.iter().take_while(|(other, _)| *other >= waiting_ms).count();
        place.oldest.insert(older, (waiting_ms, task));
        place.oldest.truncate(MAX_OLDEST);
    }
    sort::by_key(&mut places, |place| Reverse(place.oldest.first().map(|(waiting_ms, _)| *waiting_ms)));
    places.iter().take(MAX_PLACES).map(describe).collect()
}

/// What is waited for according to this function, as an index into [`WAITS`].
fn wait_of(frame: &Frame) -> Option<usize> {
    let function = frame.function.as_deref()?;
    let path = function.trim_start_matches(['<', '&']);
    WAITS.iter().position(|(of_type, name, _)| {
        let Some(rest) = path.strip_prefix(of_type) else { return false };
        // The type itself, and not one whose name begins in the same way.
        rest.starts_with(['<', '>', ':', ' '])
            && (name.is_empty() || rest.rsplit("::").any(|part| part.starts_with(name)))
    })
}

/// What a task with this stack waits for, according to the outermost function of a library before
/// the program's innermost one, and that one.
fn place_of(stack: &[u32], waits: &[Option<usize>], programs: &[bool]) -> Option<(usize, u32)> {
    let mut what = None;
    for &number in stack {
        let index = usize::try_from(number).ok()?;
        if *programs.get(index)? {
            return Some((what?, number));
        }
        what = waits.get(index).copied().flatten().or(what);
    }
    None
}

/// Whether two frames are at the same line: one of a function that is compiled several times has
/// several addresses.
fn are_same(frames: &[Frame], one: u32, other: u32) -> bool {
    let frame = |number: u32| frames.get(usize::try_from(number).ok()?);
    one == other
        || frame(one).zip(frame(other)).is_some_and(|(one, other)| {
            one.line.is_some() && one.line == other.line && one.file == other.file
        })
}

fn describe(place: &Place<'_>) -> Finding {
    let call = WAITS.get(place.what).map_or("", |(_, _, call)| call);
    let longest = place.oldest.first().map_or(0, |(waiting_ms, _)| *waiting_ms);
    let (tasks, time) = (count(place.tasks.len(), "task waits", "tasks wait"), duration(longest));
    let message = match place.tasks.len() {
        1 => format!("{tasks} in {call}, for {time}"),
        _ => format!("{tasks} in {call} at the same place, the oldest for {time}"),
    };
    let evidence = place.oldest.iter().map(|(waiting_ms, task)| Evidence {
        message: format!("#{} ({}) has waited for {}", task.id, task.name, duration(*waiting_ms)),
        task: Some(task.id),
        frame: Some(place.frame),
        ..Evidence::default()
    });
    Finding {
        tasks: place.tasks.clone(),
        evidence: evidence.collect(),
        next: Some("the tasks that hold the lock or the permits, or that read from the channel".to_owned()),
        ..finding("task.same-wait", Severity::Info, message)
    }
}
