//! The reporter's side of a capture: which threads are asked for a copy of their stacks, and how
//! often, and what becomes of the copies.
//!
//! There is one capture at a time in a process. Everything is bounded by a deadline. A thread that
//! cannot be signalled, or does not answer, gets a reason instead of a stack.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::arch::Registers;
use super::by_signal::{Extent, Pieces, Signaller, Target};
use super::signals;
use super::unwind::{Unwinder, Unwound};
use crate::capture::Trace;
use crate::sys::Modules;
use crate::sys::linux::{maps, memory};
use crate::sys::timed_mutex::{TimedGuard, TimedMutex};
use crate::threads::{self, ThreadInfo};

/// How long all batches may take together.
const TOTAL_DEADLINE: Duration = Duration::from_secs(1);
/// How much of a stack is copied at first: 30 frames of ordinary code are 4 to 8 KiB.
const INITIAL_COPY: usize = 32 << 10;
/// The bits of an address that are its offset within a page of the smallest size.
const PAGE_MASK: u64 = 0xfff;
/// The most that is copied of any stack. Such a buffer is needed for one thread at a time.
const MAX_COPY: usize = 64 << 20;
/// How much a stack may have grown between its two copies.
const GROWTH: usize = 64 << 10;

/// The slots belong to one capture at a time, which lasts no longer than the deadlines above.
static CAPTURING: TimedMutex = TimedMutex::new();

/// The stacks of these threads of this process, in the same order.
pub(crate) fn trace(threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
    match Session::begin() {
        Ok(session) => session.run(threads, modules),
        Err(reason) => threads.iter().map(|_| missing(&reason)).collect(),
    }
}

/// How often threads that must not be signalled are checked again. `pthread_create` and other
/// functions of the C library block all signals while they run. A thread soon leaves such a
/// function; one that blocks signals permanently costs three checks.
const RECHECKS: usize = 3;
const RECHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Splits skipped threads into those that can be signalled now and those that still cannot.
fn recheck(skipped: Vec<Target>) -> (Vec<Target>, Vec<Target>) {
    if skipped.is_empty() {
        return (Vec::new(), skipped);
    }
    std::thread::sleep(RECHECK_INTERVAL);
    skipped
        .into_iter()
        .partition(|&(_, tid)| threads::info(tid, signals::capture_signal()).skip_reason.is_none())
}

fn missing(reason: &str) -> Trace {
    Trace { frames: Arc::default(), incomplete: Some(reason.to_owned()) }
}

struct Session {
    signaller: Signaller,
    _guard: TimedGuard,
}

/// Where a stack continues that was not copied to its end.
enum Continuation {
    /// Above the end of the copy.
    Above { sp: u64 },
    /// On another stack: a signal handler of the program runs on an alternate stack, and the code
    /// it interrupted on another.
    OtherStack { address: u64 },
}

/// How far beyond the end of the copy an address may lie to be taken for the same stack: one frame
/// with a very large array.
const MAX_GAP: u64 = 1 << 20;

impl Continuation {
    /// `None` if there is nothing to copy: unwinding went wrong, or a second piece was copied
    /// already.
    fn of(sp: u64, [(_, stack), (second, _)]: Pieces<'_>, address: u64) -> Option<Self> {
        let end = sp.saturating_add(stack.len() as u64);
        if (sp..end.saturating_add(MAX_GAP)).contains(&address) && maps::rest_from(sp)? > stack.len() {
            return Some(Self::Above { sp });
        }
        (second == 0 && maps::rest_from(address).is_some()).then_some(Self::OtherStack { address })
    }
}

impl Session {
    fn begin() -> Result<Self, String> {
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let guard = CAPTURING.lock_until(deadline).ok_or("another capture is still running")?;
        // The program may have forked, or replaced the handler of our signal.
        signals::prepare(None).map_err(|error| format!("no signal available to capture stacks: {error}"))?;
        let signal = signals::capture_signal().ok_or("no signal available to capture stacks")?;
        let sender = (memory::PID.load(Ordering::Relaxed), rustix::process::getuid().as_raw());
        Ok(Self { signaller: Signaller { signal, sender, deadline }, _guard: guard })
    }

    fn run(&self, threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
        let mut unwinder = Unwinder::new(modules.all(), signals::trampoline(modules.all()));
        let mut traces = vec![Trace::default(); threads.len()];
        let mut all = Vec::with_capacity(threads.len());
        let mut skipped = Vec::new();
        for (index, thread) in threads.iter().enumerate() {
            match &thread.skip_reason {
                Some(reason) => {
                    traces[index] = missing(reason);
                    skipped.push((index, thread.tid));
                }
                None => all.push((index, thread.tid)),
            }
        }
        // Unwinds one answer, and returns where the stack continues if it was not copied to its
        // end.
        let mut unwind = |index: usize, outcome: Result<(Registers, Pieces<'_>), String>| {
            let (trace, continuation) = match outcome {
                Err(reason) => (missing(&reason), None),
                Ok((registers, [(_, []), _])) => {
                    // The stack pointer is invalid, or a seccomp filter refused the copy.
                    let trace = unwinder.unwind(registers, &[]).into_trace();
                    (Trace { incomplete: Some(UNREADABLE.to_owned()), ..trace }, None)
                }
                Ok((registers, pieces)) => match unwinder.unwind(registers, &pieces) {
                    // Every register is known after a signal.
                    Unwound::Ended(trace) | Unwound::Uncertain(trace) => (trace, None),
                    Unwound::Incomplete(trace, address) => {
                        (trace, Continuation::of(registers.sp(), pieces, address))
                    }
                },
            };
            // A later pass must not lose frames that an earlier one found.
            let kept = &mut traces[index];
            if kept.frames.len() <= trace.frames.len() {
                *kept = trace;
            }
            continuation
        };
        let mut unfinished = Vec::new();
        let mut first = |threads: &[Target]| {
            self.signaller.pass(
                threads,
                Extent { length: INITIAL_COPY, second: 0 },
                |index, tid, outcome| {
                    unfinished.extend(unwind(index, outcome).map(|continuation| (index, tid, continuation)));
                },
            );
        };
        first(&all);
        for _ in 0..RECHECKS {
            let (open, left) = recheck(skipped);
            first(&open);
            if left.is_empty() {
                break;
            }
            skipped = left;
        }
        for (index, tid, continuation) in unfinished {
            let extent = match continuation {
                Continuation::Above { sp } => {
                    let length = maps::rest_from(sp).unwrap_or(INITIAL_COPY).saturating_add(GROWTH);
                    Extent { length: length.min(MAX_COPY), second: 0 }
                }
                Continuation::OtherStack { address } => {
                    Extent { length: INITIAL_COPY, second: address & !PAGE_MASK }
                }
            };
            self.signaller.pass(&[(index, tid)], extent, |index, _, outcome| {
                let _ = unwind(index, outcome);
            });
        }
        traces
    }
}

const UNREADABLE: &str = "the kernel could not copy its stack; process_vm_readv may be blocked by seccomp";
