//! The plan of a capture: the stack of a thread that has not run since the last capture is reused,
//! other blocked threads are read from memory, and the remaining threads are signalled.
//!
//! There is one capture at a time in a process. gmr's own work is bounded by the processor time
//! that it uses, and waiting for other threads by deadlines. A thread that runs and cannot be
//! signalled, or does not answer, gets a reason instead of a stack.

use crate::sys::hash::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::arch::Registers;
use super::at_rest::{self, Outcome, UNSERVED};
use super::by_signal::{Pieces, Signaller, Target};
use super::handler::{Extent, MAX_OTHERS};
use super::kept::Kept;
use super::signals;
use super::unwind::{Piece, Shared, Unwinder, Unwound};
use crate::capture::{Address, Trace};
use crate::model::Taken;
use crate::sys::linux::memory::{self, Fetched};
use crate::sys::linux::{copy, maps};
use crate::sys::report_signal;
use crate::sys::timed_mutex::{TimedGuard, TimedMutex};
use crate::sys::{self, Modules};
use crate::threads::linux::Rest;
use crate::threads::{self, Access, ThreadInfo};

/// How long another capture may take. It takes longer only where threads get no CPU time.
const OTHERS_WITHIN: Duration = Duration::from_secs(5);
/// How much of a signalled thread's stack is copied at first: 30 frames of ordinary code are 4 to 8
/// KiB.
const INITIAL_COPY: usize = 32 << 10;
/// The bits of an address that are its offset within a page of the smallest size.
const PAGE_MASK: u64 = 0xfff;
/// The most that is copied of any stack. Such a buffer is needed for one thread at a time.
const MAX_COPY: usize = 64 << 20;
/// How much a stack may have grown between two of its copies.
const GROWTH: usize = 64 << 10;
/// How often a stack is copied again: once for each stack on which it continues, and when one of
/// the copies was too short.
const MORE_COPIES: usize = MAX_OTHERS + 2;

/// The slots belong to one capture at a time, which lasts no longer than the deadlines above.
static CAPTURING: TimedMutex = TimedMutex::new();

/// The stacks of all threads of this process, in the same order. The stack of a thread that has not
/// run since the last call is the one from that call.
pub(crate) fn trace_all(threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
    match Session::begin() {
        Ok(session) => {
            let kept = Kept::take(modules);
            let (traces, rests) = session.run(threads, modules, Some(&kept));
            let at_rest = threads.iter().zip(&traces).zip(rests);
            kept.replace(
                at_rest.filter_map(|((thread, trace), rest)| Some((thread.tid, rest?, trace.clone()))),
            );
            traces
        }
        Err(reason) => threads.iter().map(|_| missing(&reason)).collect(),
    }
}

/// The stack of one thread of this process.
pub(crate) fn trace(thread: &ThreadInfo, modules: &Modules) -> Trace {
    let traces = Session::begin().map(|session| session.run(std::slice::from_ref(thread), modules, None).0);
    match traces {
        Ok(mut traces) => traces.pop().unwrap_or_default(),
        Err(reason) => missing(&reason),
    }
}

/// How often threads that must not be signalled are checked again. `pthread_create` and other
/// functions of the C library block all signals while they run. A thread soon leaves such a
/// function; one that blocks signals permanently and runs costs three checks.
const RECHECKS: usize = 3;
const RECHECK_INTERVAL: Duration = Duration::from_millis(1);

/// A thread that must not be signalled, and why.
type Skipped = (Target, String);

/// Splits threads into those that may be signalled now and those that must not be.
fn check(threads: impl Iterator<Item = Target>) -> (Vec<Target>, Vec<Skipped>) {
    let (mut open, mut skipped) = (Vec::new(), Vec::new());
    for target in threads {
        match threads::linux::skip_reason(target.1, signals::capture_signal()) {
            None => open.push(target),
            Some(reason) => skipped.push((target, reason)),
        }
    }
    (open, skipped)
}

fn missing(reason: &str) -> Trace {
    Trace { incomplete: Some(reason.to_owned()), ..Trace::default() }
}

struct Session {
    signaller: Signaller,
    _guard: TimedGuard,
}

/// How far beyond the end of a piece an address may lie for the piece to grow up to it.
const MAX_GAP: u64 = 1 << 20;

/// What to copy so that a stack can be unwound on from this address, which is in none of the pieces
/// that were copied. `None` if there is no more: unwinding went wrong.
fn enlarged(extent: &Extent, pieces: &Pieces<'_>, address: u64) -> Option<Extent> {
    let [first, others @ ..] = pieces;
    let is_near = |piece: &Piece<'_>| {
        (piece.0..piece.0.saturating_add(piece.1.len() as u64).saturating_add(MAX_GAP)).contains(&address)
    };
    let is_on_first = |&rest: &usize| (first.0..first.0.saturating_add(rest as u64)).contains(&address);
    let rest = maps::rest_from(first.0).filter(is_on_first);
    if let Some(whole) = rest.filter(|_| is_near(first)).and_then(|rest| with_whole(extent, first.0, rest)) {
        return Some(whole);
    }
    // Beyond a very large array or a page that does not arrive, or on another stack: that of a
    // coroutine that has resumed this one, or the one that a signal handler of the program, running
    // on an alternate stack, has interrupted.
    let mut extent = *extent;
    let page = address & !PAGE_MASK;
    for ((start, length), piece) in
        extent.others.iter_mut().zip(others).filter(|((_, length), _)| *length > 0)
    {
        if is_near(piece) && piece.1.len() == *length {
            let before = *length;
            let needed = usize::try_from(address - *start).unwrap_or(MAX_COPY).saturating_add(INITIAL_COPY);
            *length = before.saturating_mul(2).max(needed).min(MAX_COPY);
            return (*length > before).then_some(extent);
        }
        if *start == page {
            return None;
        }
    }
    let Some(free) = extent.others.iter_mut().find(|(_, length)| *length == 0) else {
        return with_whole(&extent, first.0, rest?);
    };
    memory::provide_in_memory(page, maps::rest_from(page)?.min(INITIAL_COPY));
    *free = (page, INITIAL_COPY);
    Some(extent)
}

/// The same extent with the whole stack from the stack pointer up, which has `rest` bytes. `None`
/// if it was copied before, or if one of its pages does not arrive.
fn with_whole(extent: &Extent, sp: u64, rest: usize) -> Option<Extent> {
    let length = rest.saturating_add(GROWTH).min(MAX_COPY);
    // A thread copies up to the first page that is not in memory.
    let is_possible =
        length > extent.length && memory::provide_in_memory(sp, rest.min(MAX_COPY)) != Fetched::Unserved;
    is_possible.then_some(Extent { length, ..*extent })
}

impl Session {
    fn begin() -> Result<Self, String> {
        let guard =
            CAPTURING.lock_until(Instant::now() + OTHERS_WITHIN).ok_or("another capture is still running")?;
        // The program may have forked, or replaced the handler of our signal.
        signals::prepare(None).map_err(|error| format!("no signal available to capture stacks: {error}"))?;
        let signal = signals::capture_signal().ok_or("no signal available to capture stacks")?;
        let sender = (copy::PID.load(Ordering::Relaxed), rustix::process::getuid().as_raw());
        Ok(Self { signaller: Signaller::new(signal, sender), _guard: guard })
    }

    /// The stacks of these threads, and the moment at which each of them was read, if at rest.
    fn run(
        &self,
        threads: &[ThreadInfo],
        modules: &Modules,
        kept: Option<&Kept>,
    ) -> (Vec<Trace>, Vec<Option<Rest>>) {
        let mut traces = vec![Trace::default(); threads.len()];
        let mut rests = vec![None; threads.len()];
        let (mut blocked, mut left) = (Vec::new(), Vec::new());
        let (mut open, mut skipped) = (Vec::new(), Vec::new());
        for (index, thread) in threads.iter().enumerate() {
            match &thread.access {
                Access::AtRest(rest) => match kept.and_then(|kept| kept.get(thread.tid, rest)) {
                    Some(trace) => {
                        traces[index] = trace.clone();
                        rests[index] = Some(*rest);
                    }
                    None if is_code(rest, modules) => blocked.push((index, thread.tid, *rest)),
                    None => left.push((index, thread.tid)),
                },
                Access::BySignal => open.push((index, thread.tid)),
                Access::Skip(reason) => skipped.push(((index, thread.tid), reason.clone())),
            }
        }
        if [blocked.len(), left.len(), open.len(), skipped.len()] == [0; 4] {
            return (traces, rests);
        }
        let shared = Shared::new(modules.all());
        let unwinder = || Unwinder::new(&shared);
        for (index, outcome) in at_rest::read(&blocked, unwinder) {
            match outcome {
                Outcome::Taken(trace, rest) => {
                    traces[index] = trace;
                    rests[index] = Some(rest);
                }
                Outcome::Open(certain) => {
                    traces[index] = certain.unwrap_or_default();
                    left.push((index, threads[index].tid));
                }
                Outcome::Unserved(trace) => traces[index] = trace,
            }
        }
        share_equal(&mut traces);
        // The kernel puts the signal's frame on the stack. If one of the pages for that does not
        // arrive, a signal would make the thread wait for the page, instead of where it waits now.
        let (left, unserved): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(index, _)| has_space_for_frame(&threads[*index].access));
        for (index, _) in unserved {
            traces[index].incomplete = Some(UNSERVED.to_owned());
        }
        let (more, not_these) = check(left.into_iter());
        open.extend(more);
        skipped.extend(not_these);
        if !open.is_empty() || !skipped.is_empty() {
            let mut by_signal = BySignal {
                signaller: &self.signaller,
                modules,
                unwinder: unwinder(),
                traces: &mut traces,
                unfinished: Vec::new(),
            };
            by_signal.take(&open, skipped);
        }
        (traces, rests)
    }
}

/// Whether the thread is blocked in code of this program. This includes generated code: it has no
/// unwind rules, so a signal, which provides all registers, would not lead any further. Where a
/// program for another architecture is emulated, the kernel shows the emulator's registers.
fn is_code(rest: &Rest, modules: &Modules) -> bool {
    modules.find(rest.ip()).is_some() || maps::has_code(rest.ip()) == Some(true)
}

/// Whether the pages around the stack pointer of a blocked thread are in memory or arrive in time.
fn has_space_for_frame(access: &Access) -> bool {
    /// What the kernel leaves free below the stack pointer: functions that call no other one may
    /// use it.
    const RED_ZONE: usize = 128;
    let Access::AtRest(rest) = access else { return true };
    let needed = RED_ZONE + report_signal::stack_for_handler();
    let start = rest.sp().saturating_sub(needed as u64);
    memory::provide(start, needed + size_of::<u64>()) != Fetched::Unserved
}

/// Lets traces with the same frames share them. Each worker has done so for its own threads only.
fn share_equal(traces: &mut [Trace]) {
    let mut seen: HashSet<Arc<[Address]>> = HashSet::default();
    for trace in traces {
        match seen.get(&trace.frames) {
            Some(frames) => trace.frames = Arc::clone(frames),
            None => drop(seen.insert(Arc::clone(&trace.frames))),
        }
    }
}

/// Takes the stacks of threads that have to be signalled.
struct BySignal<'a> {
    signaller: &'a Signaller,
    modules: &'a Modules,
    unwinder: Unwinder,
    traces: &'a mut [Trace],
    /// Stacks that were not copied to their ends, and what is to be copied of them.
    unfinished: Vec<(Target, Extent)>,
}

impl BySignal<'_> {
    fn take(&mut self, threads: &[Target], mut skipped: Vec<Skipped>) {
        self.first_copy(threads);
        for _ in 0..RECHECKS {
            if skipped.is_empty() {
                break;
            }
            sys::sleep(RECHECK_INTERVAL);
            let blocked = skipped.into_iter().map(|(target, _)| target);
            let running = blocked.filter(|&target| !self.is_read_at_rest(target)).collect::<Vec<_>>();
            let (open, left) = check(running.into_iter());
            self.first_copy(&open);
            skipped = left;
        }
        for ((index, _), reason) in skipped {
            self.fails(index, &reason);
        }
        for _ in 0..MORE_COPIES {
            for (target, extent) in std::mem::take(&mut self.unfinished) {
                self.pass(&[target], &extent);
            }
        }
        self.unfinished.clear();
    }

    /// Reads the stack of a thread that is blocked by now. False if it is not.
    fn is_read_at_rest(&mut self, (index, tid): Target) -> bool {
        match at_rest::read_now(tid, &mut self.unwinder) {
            Outcome::Taken(trace, rest) if is_code(&rest, self.modules) => {
                self.traces[index] = trace;
                true
            }
            Outcome::Unserved(trace) => {
                self.traces[index] = trace;
                true
            }
            _ => false,
        }
    }

    fn first_copy(&mut self, threads: &[Target]) {
        self.pass(threads, &Extent::from_stack_pointer(INITIAL_COPY));
    }

    fn pass(&mut self, threads: &[Target], extent: &Extent) {
        let signaller = self.signaller;
        signaller.pass(threads, extent, |index, tid, outcome| match outcome {
            Err(reason) => self.fails(index, &reason),
            Ok((registers, pieces)) => self.unwind((index, tid), registers, &pieces, extent),
        });
    }

    /// Notes why there is no stack. What is known of it remains.
    fn fails(&mut self, index: usize, reason: &str) {
        let trace = &mut self.traces[index];
        let incomplete = match &trace.incomplete {
            Some(before) if !trace.frames.is_empty() => format!("{before}; {reason}"),
            _ => reason.to_owned(),
        };
        trace.incomplete = Some(incomplete);
    }

    /// Unwinds one answer to a request for `extent`, and notes what else is to be copied if that
    /// does not reach the stack's end.
    fn unwind(&mut self, target: Target, registers: Registers, pieces: &Pieces<'_>, extent: &Extent) {
        let [(_, stack), ..] = pieces;
        let mut trace = match self.unwinder.unwind(registers, if stack.is_empty() { &[] } else { pieces }) {
            unwound if stack.is_empty() => {
                let reason = match memory::provide_in_memory(registers.sp(), size_of::<u64>()) {
                    Fetched::Unserved => UNSERVED,
                    // The stack pointer is invalid, or a seccomp filter refused the copy.
                    Fetched::Whole | Fetched::Unreadable => UNREADABLE,
                };
                Trace { incomplete: Some(reason.to_owned()), ..unwound.into_trace() }
            }
            // Every register is known after a signal.
            Unwound::Ended(trace) | Unwound::Uncertain(trace) => trace,
            Unwound::Incomplete(trace, address) => {
                if memory::provide_in_memory(address, size_of::<u64>()) == Fetched::Unserved {
                    Trace { incomplete: Some(UNSERVED.to_owned()), ..trace }
                } else {
                    self.unfinished.extend(enlarged(extent, pieces, address).map(|extent| (target, extent)));
                    trace
                }
            }
        };
        trace.taken = Some(Taken::BySignal);
        let known = &mut self.traces[target.0];
        // A later copy must not lose frames that an earlier one has found, unless it is whole.
        if known.taken != trace.taken
            || trace.incomplete.is_none()
            || known.frames.len() <= trace.frames.len()
        {
            *known = trace;
        }
    }
}

const UNREADABLE: &str = "the kernel could not copy its stack; process_vm_readv may be blocked by seccomp";

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::io::Read;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Condvar, Mutex, mpsc};
    use std::thread;

    use super::*;
    use crate::sys::current_tid;

    /// Calls `wait` that many levels deep.
    #[inline(never)]
    fn descend(depth: usize, wait: &dyn Fn()) -> usize {
        if depth == 0 {
            wait();
            return 0;
        }
        black_box(descend(black_box(depth - 1), wait)) + 1
    }

    /// The channel that the threads of the test wait on.
    #[derive(Default)]
    struct Waits {
        ended: AtomicBool,
        lock: Mutex<()>,
        bell: (Mutex<()>, Condvar),
    }

    impl Waits {
        fn park(&self) {
            while !self.ended.load(Ordering::Relaxed) {
                thread::park();
            }
        }

        fn lock(&self) {
            drop(self.lock.lock());
        }

        fn listen(&self) {
            let guard = self.bell.0.lock().unwrap();
            drop(self.bell.1.wait_while(guard, |()| !self.ended.load(Ordering::Relaxed)));
        }

        fn sleep(&self) {
            while !self.ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_secs(2));
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "it signals threads")]
    fn stacks_read_at_rest_are_those_that_the_threads_copy_themselves() {
        const THREADS: usize = 500;
        const COMPARED: usize = 10_000;
        let waits = Waits::default();
        let waits = &waits;
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = Mutex::new(receiver);
        let receiver = &receiver;
        let (pipe, writer) = std::io::pipe().unwrap();
        let held = waits.lock.lock().unwrap();
        thread::scope(|scope| {
            let (send_tid, tids) = mpsc::channel();
            let handles: Vec<_> = (0..THREADS)
                .map(|number| {
                    let (send_tid, pipe) = (send_tid.clone(), pipe.try_clone().unwrap());
                    let wait = move || match number % 6 {
                        0 => waits.park(),
                        1 => waits.lock(),
                        2 => waits.listen(),
                        3 => waits.sleep(),
                        // One of them waits for the channel, and the others for that one.
                        4 => drop(receiver.lock().map(|receiver| receiver.recv())),
                        _ => drop((&pipe).read(&mut [0])),
                    };
                    let run = move || {
                        send_tid.send(current_tid()).unwrap();
                        descend(number % 40, &wait);
                    };
                    thread::Builder::new().spawn_scoped(scope, run).unwrap()
                })
                .collect();
            let tids: HashSet<u32> = tids.iter().take(THREADS).collect();
            let modules = Modules::load();
            signals::prepare(None).unwrap();
            let mut compared = 0;
            let mut different = Vec::new();
            let until = Instant::now() + Duration::from_mins(2);
            // Nothing panics before the threads are told to end: the scope waits for them.
            while compared < COMPARED && different.is_empty() && Instant::now() < until {
                let all = threads::list(signals::capture_signal()).unwrap().into_iter();
                let mut threads: Vec<ThreadInfo> = all.filter(|thread| tids.contains(&thread.tid)).collect();
                let (at_rest, rests) = Session::begin().unwrap().run(&threads, &modules, None);
                for thread in &mut threads {
                    thread.access = Access::BySignal;
                }
                let (by_signal, _) = Session::begin().unwrap().run(&threads, &modules, None);
                for ((one, rest), other) in at_rest.iter().zip(rests).zip(&by_signal) {
                    if rest.is_some() && other.taken.is_some() {
                        compared += 1;
                        if !are_equal(one, other) {
                            different.push(format!("{one:?} is not {other:?}"));
                        }
                    }
                }
            }
            drop((held, sender, writer));
            waits.ended.store(true, Ordering::Relaxed);
            drop(waits.bell.0.lock());
            waits.bell.1.notify_all();
            for handle in &handles {
                handle.thread().unpark();
            }
            assert_eq!(different, Vec::<String>::new());
            assert!(compared >= COMPARED, "only {compared} were at rest");
        });
    }

    /// Whether two stacks are the same, and whole. After the handler, the kernel makes a system
    /// call again, so the thread that is signalled is at the instruction before.
    fn are_equal(at_rest: &Trace, by_signal: &Trace) -> bool {
        let innermost = (at_rest.frames[0].value(), by_signal.frames[0].value());
        let instruction = if cfg!(target_arch = "x86_64") { 2 } else { 4 };
        [&at_rest.incomplete, &by_signal.incomplete] == [&None, &None]
            && at_rest.frames[1..] == by_signal.frames[1..]
            && [0, instruction].contains(&(innermost.0.wrapping_sub(innermost.1)))
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn what_a_stack_goes_on_with_is_copied_too() {
        use crate::sys::linux::mapping::Mapping;
        const LENGTH: usize = 8 << 20;
        let mappings = [(); 2].map(|()| Mapping::reserve(LENGTH).unwrap());
        // The mappings may touch each other, so these addresses are far from their ends, and the
        // second one is below the first: above it, it could be reached by copying on.
        let mut middles = mappings.each_ref().map(|mapping| (mapping.base().addr() + LENGTH / 2) as u64);
        middles.sort_unstable();
        let [second, first] = middles;
        let copy = vec![0; 2 * INITIAL_COPY];
        let pieces = |extent: &Extent| {
            let mut pieces: Pieces<'_> = [(first + 0x18, &copy[..extent.length]); 1 + MAX_OTHERS];
            for (piece, (address, length)) in pieces[1..].iter_mut().zip(extent.others) {
                *piece = (address, &copy[..length]);
            }
            pieces
        };
        let extent = Extent::from_stack_pointer(INITIAL_COPY);
        let of_first = |address| enlarged(&extent, &pieces(&extent), address);
        let grown = of_first(first + INITIAL_COPY as u64 + 0x18).unwrap();
        assert!(grown.length >= LENGTH / 2 && grown.others == extent.others);
        // Nothing is mapped there.
        assert_eq!([of_first(0x1234), of_first(u64::MAX - 7)], [None, None]);

        let with_second = of_first(second + 0x18).unwrap();
        assert_eq!((with_second.length, with_second.others[0]), (INITIAL_COPY, (second, INITIAL_COPY)));
        let of_second = |address| enlarged(&with_second, &pieces(&with_second), address).unwrap().others[0].1;
        let end = second + INITIAL_COPY as u64;
        assert_eq!(of_second(end), 2 * INITIAL_COPY);
        assert!(of_second(end + 0x2_0000) > INITIAL_COPY + 0x2_0000, "a large frame");
        // It cannot be read.
        let mut cut = pieces(&with_second);
        cut[1].1 = &[];
        assert_eq!(enlarged(&with_second, &cut, second), None);

        let mut full = extent;
        full.others = std::array::from_fn(|number| ((1 + number as u64) << 24, 1));
        assert_eq!(enlarged(&full, &pieces(&full), second), None, "no place is left");
    }

    #[test]
    fn equal_stacks_are_shared() {
        let of = |address| Trace { frames: Arc::new([Address::Return(address)]), ..Trace::default() };
        let mut traces = [of(1), of(2), of(1)];
        share_equal(&mut traces);
        assert!(Arc::ptr_eq(&traces[0].frames, &traces[2].frames));
        assert_eq!(traces.map(|trace| trace.frames[0].value()), [1, 2, 1]);
    }
}
