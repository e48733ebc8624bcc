//! The locks that threads wait for, and who holds them, for the Threads section. It does nothing
//! unless a thread waits in a function that is known to lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::capture::{self, Address, FrameUse, Guard, Held, LockUse, Purpose, Trace, Wanted};
use crate::model::{Certainty, Frame, Holder, Lock, LockKind, Stack, Waiter};
use crate::symbols;
use crate::sys::hash::{HashMap, NumberMap};
use crate::sys::{self, Modules};
use crate::threads::{Access, ThreadInfo};

/// The most locks that are listed.
const MAX_LOCKS: usize = 64;
/// How many threads with the same stack are searched for locks that they hold.
const MAX_ALIKE: usize = 64;
/// How many threads are searched.
const MAX_THREADS: usize = 2_048;
/// How long the names of functions that are called may take, all of them and each.
const NAMES_WITHIN: Duration = Duration::from_secs(1);
const NAME_WITHIN: Duration = Duration::from_millis(300);
/// How many of the innermost frames are searched for the function that locks, with inlined ones.
const INNERMOST: usize = 10;

/// What the report knows of the threads: the list, and for each its stack as addresses and as
/// frames.
pub(super) struct Known<'a> {
    pub(super) threads: &'a [ThreadInfo],
    pub(super) traces: &'a [Trace],
    pub(super) stacks: &'a [Stack],
    pub(super) frames: &'a [Frame],
    pub(super) modules: &'a Modules,
    /// Whether a thread is the program's.
    pub(super) is_program: &'a dyn Fn(&ThreadInfo) -> bool,
}

/// A lock that a thread waits for: what it is, and its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waited {
    address: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Mutex,
    Read,
    Write,
    Once,
    Pthread,
    Owned,
}

/// The locks that threads wait for, in order of their addresses.
pub(super) fn find(known: &Known<'_>) -> Vec<Lock> {
    let kinds: Vec<Option<Kind>> = known.frames.iter().map(kind_of).collect();
    let names_owner = |thread: &ThreadInfo| owner(thread).is_some();
    if kinds.iter().all(Option::is_none) && !known.threads.iter().any(names_owner) {
        return Vec::new();
    }
    let waits: Vec<Option<Waited>> =
        (0..known.threads.len()).map(|index| waited(known, &kinds, index)).collect();
    let mut locks = Vec::<Lock>::new();
    for (index, waited) in waits.iter().enumerate() {
        let Some(Waited { address, kind }) = *waited else { continue };
        let place = match place(&locks, address) {
            Ok(place) => place,
            Err(_) if locks.len() == MAX_LOCKS || !is_locked(address, kind) => continue,
            Err(place) => {
                locks.insert(place, new(address, kind));
                place
            }
        };
        let lock = &mut locks[place];
        let frame =
            known.stacks[index].frames.iter().copied().find(|&frame| is_programs(known.frames, frame));
        lock.waiters.push(Waiter { tid: known.threads[index].tid, frame });
        if kind == Kind::Owned {
            record_named_owner(known, lock, &known.threads[index]);
        }
    }
    if locks.is_empty() {
        return Vec::new();
    }
    let wanted = wanted(&locks);
    let held = if wanted.is_empty() { Vec::new() } else { held(known, &kinds, &waits, &wanted) };
    for Held { thread, lock, frame, is_certain } in held {
        let Ok(place) = place(&locks, lock) else { continue };
        let lock = &mut locks[place];
        let address = known.traces[thread].frames.get(frame);
        let frame = address.and_then(|address| frame_at(known, thread, *address));
        let certainty = if is_certain { Certainty::Certain } else { Certainty::Probable };
        lock.holders.push(Holder { tid: known.threads[thread].tid, frame, certainty });
    }
    for lock in &mut locks {
        record_owner(known, lock);
        let most = most_holders(lock);
        if lock.holders.iter().any(|holder| holder.certainty == Certainty::Certain) {
            lock.holders.retain(|holder| holder.certainty == Certainty::Certain);
        }
        if lock.holders.len() > most {
            // They contradict each other.
            lock.holders.clear();
        }
    }
    locks
}

/// Where the lock at this address is among those in order of their addresses, or where it belongs.
fn place(locks: &[Lock], address: u64) -> Result<usize, usize> {
    locks.binary_search_by_key(&address, |lock| lock.address)
}

fn new(address: u64, kind: Kind) -> Lock {
    let kind = match kind {
        Kind::Mutex => LockKind::Mutex,
        Kind::Read | Kind::Write => LockKind::RwLock,
        Kind::Once => LockKind::Once,
        Kind::Pthread => LockKind::PthreadMutex,
        Kind::Owned => LockKind::Owned,
    };
    Lock { address, kind, waiters: Vec::new(), holders: Vec::new() }
}

/// The lock that a function waits for, by its name.
fn kind_of(frame: &Frame) -> Option<Kind> {
    let name = frame.function.as_deref()?;
    let is = |of_type: &str, function: &str| name.contains(of_type) && name.ends_with(function);
    if is("mutex::futex::Mutex", "lock_contended") {
        Some(Kind::Mutex)
    } else if is("rwlock::futex::RwLock", "read_contended") {
        Some(Kind::Read)
    } else if is("rwlock::futex::RwLock", "write_contended") {
        Some(Kind::Write)
    } else if is("once::futex::Once", "::call") || is("once::futex::Once", "::wait") {
        Some(Kind::Once)
    } else if cfg!(target_env = "gnu") && matches!(name, "pthread_mutex_lock" | "___pthread_mutex_lock") {
        Some(Kind::Pthread)
    } else {
        None
    }
}

/// The lock that a thread waits for.
fn waited(known: &Known<'_>, kinds: &[Option<Kind>], index: usize) -> Option<Waited> {
    let thread = &known.threads[index];
    let futex = thread.waiting.as_ref().filter(|waiting| waiting.call == "futex")?.futex?;
    let mut innermost = known.stacks[index].frames.iter().take(INNERMOST);
    let mut by_frame = || innermost.find_map(|&frame| *kinds.get(usize::try_from(frame).ok()?)?);
    let kind = if owner(thread).is_some() { Kind::Owned } else { by_frame()? };
    // The call's fourth argument is its timeout.
    let gives_up = match &thread.access {
        Access::AtRest(rest) => rest.arguments().is_some_and(|arguments| arguments[3] != 0),
        _ => kind == Kind::Owned,
    };
    if gives_up || !(known.is_program)(thread) {
        return None;
    }
    // Writers wait for the word behind the lock's state.
    let address = if kind == Kind::Write { futex.checked_sub(4)? } else { futex };
    Some(Waited { address, kind })
}

/// Whether the lock's word says that it is locked and that threads wait for it.
fn is_locked(address: u64, kind: Kind) -> bool {
    const READERS_WAIT: u32 = 1 << 30;
    const WRITERS_WAIT: u32 = 1 << 31;
    let Some(word) = word(address) else { return false };
    match kind {
        Kind::Mutex | Kind::Pthread => word == 2,
        Kind::Read => word & READERS_WAIT != 0,
        Kind::Write => word & WRITERS_WAIT != 0,
        // It is running, and threads wait.
        Kind::Once => word == 1 | 4,
        // That threads wait for it, which the kernel sets, and that its owner has not ended.
        Kind::Owned => word >> 30 == 2,
    }
}

/// The four bytes at an address.
#[allow(clippy::cast_possible_truncation, reason = "these are the first four of eight")]
fn word(address: u64) -> Option<u32> {
    sys::word_at(address).map(|word| word as u32)
}

/// How many threads can hold the lock at the same time.
fn most_holders(lock: &Lock) -> usize {
    const COUNT: u32 = (1 << 30) - 1;
    match (lock.kind, word(lock.address)) {
        (LockKind::RwLock, Some(word)) if word & COUNT != COUNT => usize::try_from(word & COUNT).unwrap_or(0),
        (_, Some(_)) => 1,
        (_, None) => 0,
    }
}

fn wanted(locks: &[Lock]) -> Vec<Wanted> {
    let of_std = locks.iter().filter(|lock| !matches!(lock.kind, LockKind::PthreadMutex | LockKind::Owned));
    let wanted = of_std.map(|lock| Wanted {
        address: lock.address,
        is_shared: lock.kind == LockKind::RwLock,
        is_once: lock.kind == LockKind::Once,
    });
    wanted.collect()
}

/// Adds the thread that a mutex of the C library records.
fn record_owner(known: &Known<'_>, lock: &mut Lock) {
    /// The offset of `__owner` in glibc's `pthread_mutex_t`.
    const OWNER: u64 = 8;
    if lock.kind != LockKind::PthreadMutex {
        return;
    }
    let owner = word(lock.address.wrapping_add(OWNER)).filter(|owner| *owner != 0);
    let owner = owner.filter(|owner| known.threads.iter().any(|thread| thread.tid == *owner));
    lock.holders.extend(owner.map(|tid| Holder { tid, frame: None, certainty: Certainty::Certain }));
}

/// The thread that the word of a lock names, if a thread waits for such a lock.
fn owner(thread: &ThreadInfo) -> Option<u32> {
    Some(thread.waiting.as_ref()?.futex_owner.as_ref()?.tid)
}

/// Adds the thread that the word of a lock names, unless it is another process's.
fn record_named_owner(known: &Known<'_>, lock: &mut Lock, waiting: &ThreadInfo) {
    let tid = owner(waiting).filter(|tid| known.threads.iter().any(|thread| thread.tid == *tid));
    let is_new = |tid: &u32| !lock.holders.iter().any(|holder| holder.tid == *tid);
    let Some(tid) = tid.filter(is_new) else { return };
    lock.holders.push(Holder { tid, frame: None, certainty: Certainty::Certain });
}

/// The locks that threads hold.
fn held(known: &Known<'_>, kinds: &[Option<Kind>], waits: &[Option<Waited>], wanted: &[Wanted]) -> Vec<Held> {
    let of_frames = known.frames.iter().zip(kinds).map(|(frame, kind)| use_of(frame, *kind));
    let mut by_address: NumberMap<FrameUse> = NumberMap::default();
    for (frame, use_of) in known.frames.iter().zip(of_frames) {
        // Of a function and those that are inlined there, the one that matters most.
        let most = by_address.get(frame.address).map_or(use_of, |known| use_of.max(*known));
        by_address.insert(frame.address, most);
    }
    let mut alike: HashMap<*const [Address], (usize, Arc<[FrameUse]>)> = HashMap::default();
    let mut searched = 0;
    let uses: Vec<Option<LockUse>> = (0..known.threads.len())
        .map(|index| {
            if searched == MAX_THREADS || !(known.is_program)(&known.threads[index]) {
                return None;
            }
            let trace = &known.traces[index];
            let (count, frames) = alike
                .entry(Arc::as_ptr(&trace.frames))
                .or_insert_with(|| (0, uses_of(&trace.frames, &by_address)));
            *count += 1;
            (*count <= MAX_ALIKE).then(|| {
                searched += 1;
                let mut innermost = known.stacks[index].frames.iter().take(INNERMOST);
                LockUse {
                    waits_for: waits[index].map(|waited| waited.address),
                    has_given_up_one: innermost.any(|&frame| waits_for_condition(known.frames, frame)),
                    frames: Arc::clone(frames),
                }
            })
        })
        .collect();
    let mut purposes: HashMap<u64, Purpose> = HashMap::default();
    let until = Instant::now() + NAMES_WITHIN;
    let mut purpose_of =
        |function: u64| *purposes.entry(function).or_insert_with(|| purpose(function, known.modules, until));
    capture::held_locks(known.threads, known.traces, &uses, wanted, known.modules, &mut purpose_of)
}

/// What the frames at these addresses are in.
fn uses_of(addresses: &[Address], by_address: &NumberMap<FrameUse>) -> Arc<[FrameUse]> {
    let use_of = |address: &Address| by_address.get(address.value()).copied().unwrap_or(FrameUse::Other);
    addresses.iter().map(use_of).collect()
}

/// What a function is in, as far as it matters for locks.
fn use_of(frame: &Frame, kind: Option<Kind>) -> FrameUse {
    match kind {
        Some(Kind::Once) => FrameUse::Once,
        _ if !frame.is_of_std() || calls_the_program(frame) => FrameUse::Program,
        _ => FrameUse::Other,
    }
}

/// Whether it is the function of std that calls a thread's closure, or `main`. An optimized build
/// inlines these there, and without debug information nothing tells that it did. Whether a lock is held
/// there, the code tells, and not the name.
fn calls_the_program(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(|name| name.contains("__rust_begin_short_backtrace"))
}

/// What a function is for, by its name.
fn purpose(function: u64, modules: &Modules, until: Instant) -> Purpose {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Purpose::Other;
    }
    let trace = Trace { frames: [Address::Exact(function)].into(), ..Trace::default() };
    let symbolized = symbols::symbolize(&[trace], modules, left.min(NAME_WITHIN));
    let name = symbolized.frames.last().and_then(|frame| frame.function.as_deref()).unwrap_or_default();
    purpose_of_name(name)
}

fn purpose_of_name(name: &str) -> Purpose {
    // Names of two forms: `drop_in_place<T>` and `drop_in_place::<T>`.
    let dropped = ["core::ptr::drop_in_place", "core::mem::drop"].iter().find_map(|drop| {
        let of_type = name.strip_prefix(drop)?;
        of_type.strip_prefix("::").unwrap_or(of_type).strip_prefix('<')
    });
    // A type that only contains a guard, such as a mutex of guards, is not one. Those of another
    // layout are not known, such as mapped ones.
    let word_of_lock = |of_type: &str| {
        let (outer, _) = of_type.split_once('<').unwrap_or((of_type, ""));
        match outer.strip_prefix("std::sync::")?.rsplit("::").next()? {
            "MutexGuard" | "RwLockWriteGuard" => Some(0),
            "RwLockReadGuard" => Some(1),
            _ => None,
        }
    };
    let by_value = name.starts_with("core::mem::drop");
    let guard = |of_type: &str| Some(Purpose::DropGuard(Guard { by_value, word: word_of_lock(of_type)? }));
    let method = name.strip_prefix('<').filter(|_| name.ends_with("Drop>::drop"));
    // Programs have methods of these names, too.
    let is_of_std = name.trim_start_matches('<').starts_with("std::");
    let is_method = |of_type: &str, method: &str| name.contains(of_type) && name.ends_with(method);
    if let Some(purpose) = dropped.or(method).and_then(guard) {
        return purpose;
    }
    match dropped {
        Some(_) => Purpose::Drop,
        None if is_of_std && name.ends_with("::unlock") => Purpose::Unlock,
        None if is_of_std && ["::lock", "::read", "::write"].iter().any(|locks| name.ends_with(locks)) => {
            Purpose::Acquire
        }
        None if name.ends_with("::deref") || name.ends_with("::deref_mut") => Purpose::Look,
        // Guards ask it whether their thread panics.
        None if name == "std::panicking::panic_count::is_zero_slow_path" => Purpose::Look,
        None if is_of_std
            && (is_method("mutex::futex::Mutex", "::wake")
                || is_method("rwlock::futex::RwLock", "::wake_writer_or_readers")) =>
        {
            Purpose::Wake
        }
        None if name == "syscall" => Purpose::SystemCall,
        None => Purpose::Other,
    }
}

/// The first of the program's frames at an address or above it, or else the first one there.
fn frame_at(known: &Known<'_>, index: usize, address: Address) -> Option<u32> {
    let is_there = |frame: &u32| {
        let frame = usize::try_from(*frame).ok().and_then(|frame| known.frames.get(frame));
        frame.is_some_and(|frame| frame.address == address.value())
    };
    let frames = &known.stacks[index].frames;
    let first = frames.iter().position(is_there)?;
    let from = &frames[first..];
    let programs = from.iter().find(|&&frame| is_programs(known.frames, frame));
    programs.or_else(|| from.first()).copied()
}

/// Whether the frame is in a function of std's condition variables.
fn waits_for_condition(frames: &[Frame], frame: u32) -> bool {
    let frame = usize::try_from(frame).ok().and_then(|frame| frames.get(frame));
    frame.and_then(|frame| frame.function.as_deref()).is_some_and(|name| name.contains("condvar::"))
}

/// Whether the frame is of the program: not of std or the C library.
fn is_programs(frames: &[Frame], frame: u32) -> bool {
    usize::try_from(frame).ok().and_then(|frame| frames.get(frame)).is_some_and(|frame| !frame.is_of_std())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Frame {
        Frame { function: Some(name.to_owned()), ..Frame::default() }
    }

    #[test]
    fn locks_are_known_by_the_functions_that_wait() {
        for (name, kind) in [
            ("std::sys::sync::mutex::futex::Mutex::lock_contended", Some(Kind::Mutex)),
            ("<std::sys::sync::mutex::futex::Mutex>::lock_contended", Some(Kind::Mutex)),
            ("std::sys::sync::rwlock::futex::RwLock::read_contended", Some(Kind::Read)),
            ("<std::sys::sync::rwlock::futex::RwLock>::write_contended", Some(Kind::Write)),
            ("std::sys::sync::once::futex::Once::call", Some(Kind::Once)),
            ("std::sys::sync::condvar::futex::Condvar::wait", None),
            ("shop::Mutex::lock_contended", None),
            ("std::thread::park", None),
        ] {
            assert_eq!(kind_of(&named(name)), kind, "{name}");
        }
    }

    #[test]
    fn what_calls_a_closure_may_hold_its_locks() {
        for (name, expected) in [
            ("shop::pay", FrameUse::Program),
            ("std::sys::backtrace::__rust_begin_short_backtrace", FrameUse::Program),
            (
                "std::sys::backtrace::__rust_begin_short_backtrace::<shop::main::{closure#0}, ()>",
                FrameUse::Program,
            ),
            ("std::thread::park", FrameUse::Other),
            ("std::sys::sync::once::futex::Once::call", FrameUse::Once),
        ] {
            let frame = named(name);
            assert_eq!(use_of(&frame, kind_of(&frame)), expected, "{name}");
        }
    }

    #[test]
    fn functions_that_drop_a_guard_release_a_lock() {
        let guard = |word| Purpose::DropGuard(Guard { by_value: false, word });
        let value = |word| Purpose::DropGuard(Guard { by_value: true, word });
        for (name, purpose) in [
            ("core::ptr::drop_in_place<std::sync::poison::mutex::MutexGuard<u64>>", guard(0)),
            ("core::ptr::drop_in_place::<std::sync::poison::mutex::MutexGuard<u64>>", guard(0)),
            ("core::ptr::drop_in_place<std::sync::poison::rwlock::RwLockWriteGuard<u8>>", guard(0)),
            ("core::ptr::drop_in_place<std::sync::poison::rwlock::RwLockReadGuard<u8>>", guard(1)),
            ("core::mem::drop<std::sync::poison::rwlock::RwLockReadGuard<u8>>", value(1)),
            ("<std::sync::poison::mutex::MutexGuard<T> as core::ops::drop::Drop>::drop", guard(0)),
            ("core::ptr::drop_in_place<std::sync::poison::mutex::MappedMutexGuard<u8>>", Purpose::Drop),
            ("core::ptr::drop_in_place<shop::MutexGuard<u64>>", Purpose::Drop),
            ("std::sys::sync::mutex::futex::Mutex::unlock", Purpose::Unlock),
            ("std::sync::poison::mutex::Mutex<T>::lock", Purpose::Acquire),
            ("std::sync::poison::rwlock::RwLock<T>::write", Purpose::Acquire),
            ("<std::sync::poison::mutex::MutexGuard<T> as core::ops::deref::Deref>::deref", Purpose::Look),
            ("core::ptr::drop_in_place<alloc::string::String>", Purpose::Drop),
            ("<std::sys::sync::rwlock::futex::RwLock>::wake_writer_or_readers", Purpose::Wake),
            ("std::sys::sync::rwlock::futex::RwLock::wake_writer_or_readers", Purpose::Wake),
            ("shop::RwLock::wake_writer_or_readers", Purpose::Other),
            ("std::sys::sync::mutex::futex::Mutex::wake", Purpose::Wake),
            ("<std::sys::sync::mutex::futex::Mutex>::wake", Purpose::Wake),
            ("std::panicking::panic_count::is_zero_slow_path", Purpose::Look),
            ("shop::mutex::futex::Mutex::wake", Purpose::Other),
            ("syscall", Purpose::SystemCall),
            ("shop::blocks", Purpose::Other),
        ] {
            assert_eq!(purpose_of_name(name), purpose, "{name}");
        }
    }
}
