//! The reporter's side of a capture: signal a batch of threads, wait for their answers, unwind each
//! copy.
//!
//! There is one capture at a time in a process. Everything is bounded by a deadline. A thread that
//! cannot be signalled, or does not answer, gets a reason instead of a stack.

#![allow(unsafe_code)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::arch::Registers;
use super::arena::Arena;
use super::handler::{Envelope, Progress, SLOTS, Slot, TABLE};
use super::signals;
use super::unwind::{Piece, Unwinder, Unwound};
use super::wait::wait_for;
use crate::capture::Trace;
use crate::sys::Modules;
use crate::sys::linux::{maps, memory};
use crate::sys::procfs::Stat;
use crate::sys::timed_mutex::{TimedGuard, TimedMutex};
use crate::threads::{self, ThreadInfo};

/// How long a batch of threads may take to answer. A thread that runs answers within microseconds.
/// One that waits for a CPU, on an overloaded machine, gets its batch's share of what is left of
/// the total.
const BATCH_DEADLINE: Duration = Duration::from_millis(100);
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

/// The next ticket. Tickets repeat after four billion requests.
static TICKET: AtomicU32 = AtomicU32::new(0);
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

/// A thread's index in the list that `trace` was called with, and its id.
type Target = (usize, u32);

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
    signal: i32,
    /// The ids of this process and of its real user.
    sender: (i32, u32),
    deadline: Instant,
    _guard: TimedGuard,
}

/// What a thread is to copy.
#[derive(Clone, Copy)]
struct Extent {
    /// How many bytes from the stack pointer up.
    length: usize,
    /// Where a second piece of the same length begins; 0 for none.
    second: u64,
}

/// The copies of a stack: from the stack pointer up, and the second piece.
type Pieces<'a> = [Piece<'a>; 2];

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

/// A thread that was signalled and whose slot is not taken back yet.
struct Pending<'a> {
    index: usize,
    tid: u32,
    slot: &'static Slot,
    ticket: u32,
    /// The index of its slot and of its buffer.
    position: usize,
    arena: &'a Arena,
}

impl Session {
    fn begin() -> Result<Self, String> {
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let guard = CAPTURING.lock_until(deadline).ok_or("another capture is still running")?;
        // The program may have forked, or replaced the handler of our signal.
        signals::prepare(None).map_err(|error| format!("no signal available to capture stacks: {error}"))?;
        let signal = signals::capture_signal().ok_or("no signal available to capture stacks")?;
        let sender = (memory::PID.load(Ordering::Relaxed), rustix::process::getuid().as_raw());
        Ok(Self { signal, sender, deadline, _guard: guard })
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
            self.pass(threads, Extent { length: INITIAL_COPY, second: 0 }, |index, tid, outcome| {
                unfinished.extend(unwind(index, outcome).map(|continuation| (index, tid, continuation)));
            });
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
            self.pass(&[(index, tid)], extent, |index, _, outcome| {
                let _ = unwind(index, outcome);
            });
        }
        traces
    }

    /// Requests a copy from each of these threads once, a batch at a time, and calls `each` with
    /// the answer or the reason why there is none.
    fn pass(
        &self,
        threads: &[Target],
        extent: Extent,
        mut each: impl FnMut(usize, u32, Result<(Registers, Pieces<'_>), String>),
    ) {
        let capacity = extent.length * if extent.second == 0 { 1 } else { 2 };
        let mut kept = None;
        let batches = threads.len().div_ceil(SLOTS);
        for (batch, left) in threads.chunks(SLOTS).zip((1..=batches).rev()) {
            if !signals::is_ours(self.signal) {
                // Without our handler, the signal would terminate the process.
                for &(index, tid) in batch {
                    each(
                        index,
                        tid,
                        Err("the program replaced the handler of the capture signal".to_owned()),
                    );
                }
                continue;
            }
            let arena = match kept.take().map_or_else(|| Arena::map(batch.len(), capacity), Ok) {
                Ok(arena) => arena,
                Err(error) => {
                    let reason = format!("no memory for stack copies: {error}");
                    for &(index, tid) in batch {
                        each(index, tid, Err(reason.clone()));
                    }
                    continue;
                }
            };
            let mut pending = Vec::with_capacity(batch.len());
            for (position, &(index, tid)) in batch.iter().enumerate() {
                match self.request(position, (index, tid), extent, &arena) {
                    Ok(thread) => pending.push(thread),
                    Err(reason) => each(index, tid, Err(reason)),
                }
            }
            let since = Instant::now();
            wait_for(&slots(&pending, |_| true), self.deadline.min(since + BATCH_DEADLINE));
            let share =
                self.deadline.saturating_duration_since(since) / u32::try_from(left).unwrap_or(u32::MAX);
            wait_for(&slots(&pending, Pending::is_runnable), since + share);
            // Threads that are writing their answers need one more copy to finish.
            wait_for(&slots(&pending, Pending::withdraw_unless_writing), Instant::now() + BATCH_DEADLINE);
            for thread in pending {
                let outcome = match thread.slot.progress() {
                    Progress::Done(answer) => {
                        // SAFETY: the slot says DONE, so its handler has finished, and the slot is
                        // not lent again before `thread` is dropped, after the last use of the
                        // copy.
                        let copy = unsafe { thread.arena.read(thread.position) };
                        let (stack, other) = copy.split_at(extent.length);
                        let pieces = [
                            (answer.registers.sp(), &stack[..answer.copied]),
                            (extent.second, &other[..answer.copied_second]),
                        ];
                        Ok((answer.registers, pieces))
                    }
                    Progress::Writing => Err("it started to copy its stack but did not finish".to_owned()),
                    Progress::Waiting => Err(no_answer_reason(thread.tid, since.elapsed())),
                };
                each(thread.index, thread.tid, outcome);
            }
            // If a handler may still write to its buffer, the memory is leaked and the next batch
            // gets new memory.
            kept = Some(arena).filter(|arena| !arena.is_leaked());
        }
    }

    fn request<'a>(
        &self,
        position: usize,
        (index, tid): Target,
        extent: Extent,
        arena: &'a Arena,
    ) -> Result<Pending<'a>, String> {
        if Instant::now() >= self.deadline {
            return Err("the deadline for capturing stacks passed before it was signalled".into());
        }
        let slot = &TABLE[position];
        if !slot.is_free() {
            return Err("its capture slot is still held by a thread that did not finish its answer".into());
        }
        let ticket = TICKET.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the buffer is mapped, is as long as the extent needs (`pass` makes the arena so),
        // and is used for this slot alone. The arena is unmapped only after each slot has been
        // taken back, and never if one still says WRITING.
        unsafe {
            slot.lend(ticket, tid.cast_signed(), arena.buffer(position), extent.length, extent.second);
        }
        let slot_number = u8::try_from(position).expect("a batch has at most 128 threads");
        let envelope = Envelope { ticket, slot: slot_number };
        if let Err(error) = signals::send(self.sender, tid.cast_signed(), self.signal, envelope.encode()) {
            // Dropping it takes the slot back.
            drop(Pending { index, tid, slot, ticket, position, arena });
            return Err(match error.raw_os_error() {
                Some(libc::ESRCH) => EXITED.to_owned(),
                Some(libc::EAGAIN) => "the limit of queued signals (ulimit -i) is reached".to_owned(),
                _ => format!("could not signal it: {error}"),
            });
        }
        Ok(Pending { index, tid, slot, ticket, position, arena })
    }
}

const UNREADABLE: &str = "the kernel could not copy its stack; process_vm_readv may be blocked by seccomp";
const EXITED: &str = "it exited during the capture";

impl Pending<'_> {
    /// Whether the thread has not answered because it waits for a CPU.
    fn is_runnable(&self) -> bool {
        matches!(self.slot.progress(), Progress::Waiting)
            && Stat::read(&directory(self.tid)).is_ok_and(|stat| stat.state == RUNNABLE)
    }

    /// Takes the slot back if the thread has not started to answer; its ticket is then invalid.
    /// Returns whether the thread is in the middle of its answer.
    fn withdraw_unless_writing(&self) -> bool {
        let answered = matches!(self.slot.progress(), Progress::Done(_));
        !answered && !self.slot.withdraw(self.ticket) && matches!(self.slot.progress(), Progress::Writing)
    }
}

// A `Drop`, so that it also happens on a panic: the buffer of a lent slot must not be unmapped.
impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.slot.withdraw(self.ticket) {
            return;
        }
        match self.slot.progress() {
            Progress::Done(_) => self.slot.release(),
            Progress::Writing => self.arena.leak(),
            Progress::Waiting => {}
        }
    }
}

/// The slots of the threads that match.
fn slots<'a>(pending: &[Pending<'a>], matches: impl Fn(&Pending<'a>) -> bool) -> Vec<&'static Slot> {
    pending.iter().filter(|thread| matches(thread)).map(|thread| thread.slot).collect()
}

/// The state of a thread that runs or waits for a CPU.
const RUNNABLE: char = 'R';

fn directory(tid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/self/task/{tid}"))
}

/// Why a signalled thread has not answered in this time.
fn no_answer_reason(tid: u32, within: Duration) -> String {
    match Stat::read(&directory(tid)).map(|stat| stat.state) {
        Err(_) | Ok('Z' | 'X' | 'x') => EXITED.to_owned(),
        Ok('D') => "it is in uninterruptible sleep in the kernel".to_owned(),
        Ok('T' | 't') => "it is stopped by a signal or a debugger".to_owned(),
        Ok(RUNNABLE) => format!("it was not scheduled on a CPU within {} ms", within.as_millis()),
        Ok(_) => format!("it did not answer within {} ms", within.as_millis()),
    }
}
