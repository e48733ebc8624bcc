//! The reporter's side of taking stacks: ask a batch of threads, wait for their answers, have each copy unwound.
//!
//! One capture at a time in a process. Everything is bounded by a deadline; a thread that cannot be asked, or does not answer, gets a reason.

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

/// How long a batch of threads may take to answer. A thread that has a processor answers within microseconds. One that stands in line for one, on a crowded machine, gets its batch's
/// share of what is left of the time for all.
const BATCH_DEADLINE: Duration = Duration::from_millis(100);
/// How long all of them may take together.
const TOTAL_DEADLINE: Duration = Duration::from_secs(1);
/// How much of a stack is copied at first: 30 frames of ordinary code are 4 to 8 KiB.
const SMALL: usize = 32 << 10;
/// What of an address tells where it is in its page.
const PAGE_MASK: u64 = 0xfff;
/// The most that is copied of any stack. The memory is needed once, for one thread at a time.
const LARGEST: usize = 64 << 20;
/// What a stack may have grown by between its two copies.
const GROWTH: usize = 64 << 10;

/// Never given twice within four billion requests.
static TICKET: AtomicU32 = AtomicU32::new(0);
/// The slots belong to one capture at a time, which lasts as long as the deadlines above.
static CAPTURING: TimedMutex = TimedMutex::new();

/// The stacks of these threads of this process, in the same order.
pub(crate) fn trace(threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
    match Session::begin() {
        Ok(session) => session.run(threads, modules),
        Err(reason) => threads.iter().map(|_| missing(&reason)).collect(),
    }
}

/// How often threads that must not be signalled are looked at again. `pthread_create` blocks all signals for as long as it takes, as other functions of the C library do: a thread that is
/// caught in one of them is through with it in a moment, one that blocks them for good costs three looks.
const PATIENT_LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(1);

/// A thread's place among those asked for, and its id.
type Wanted = (usize, u32);

/// Those that may be signalled after all, and those that may still not.
fn look_again(aside: Vec<Wanted>) -> (Vec<Wanted>, Vec<Wanted>) {
    if aside.is_empty() {
        return (Vec::new(), aside);
    }
    std::thread::sleep(PAUSE);
    aside.into_iter().partition(|&(_, tid)| threads::info(tid, signals::private()).skip_reason.is_none())
}

fn missing(reason: &str) -> Trace {
    Trace { frames: Arc::default(), incomplete: Some(reason.to_owned()) }
}

struct Session {
    signal: i32,
    /// The ids of this process and of its real user.
    sender: (i32, u32),
    until: Instant,
    _guard: TimedGuard,
}

/// How much of a stack is asked for, and from where else as much, if anything.
#[derive(Clone, Copy)]
struct Portion {
    length: usize,
    elsewhere: u64,
}

/// What was copied of a stack: from the stack pointer up, and from elsewhere.
type Pieces<'a> = [Piece<'a>; 2];

/// What of a stack was not in its copy.
enum Rest {
    /// It goes on above what was copied.
    Deeper { sp: u64 },
    /// It goes on at this address: a signal handler of the program's own runs on an alternate stack, and what it has interrupted is on another.
    Elsewhere { address: u64 },
}

/// How far beyond the copy's end an address may lie to count as the stack's continuation: one frame with a very large array.
const STRIDE: u64 = 1 << 20;

impl Rest {
    /// None if nothing is to be had: unwinding has gone astray, or has been elsewhere already.
    fn of(sp: u64, [(_, stack), (elsewhere, _)]: Pieces<'_>, address: u64) -> Option<Self> {
        let end = sp.saturating_add(stack.len() as u64);
        if (sp..end.saturating_add(STRIDE)).contains(&address) && maps::rest_from(sp)? > stack.len() {
            return Some(Self::Deeper { sp });
        }
        (elsewhere == 0 && maps::rest_from(address).is_some()).then_some(Self::Elsewhere { address })
    }
}

/// One thread that has been asked.
struct Asked<'a> {
    index: usize,
    tid: u32,
    slot: &'static Slot,
    ticket: u32,
    place: usize,
    arena: &'a Arena,
}

impl Session {
    fn begin() -> Result<Self, String> {
        let until = Instant::now() + TOTAL_DEADLINE;
        let guard = CAPTURING.lock_until(until).ok_or("another capture of stacks is still under way")?;
        // The program may have forked, or put a handler of its own on our signal.
        signals::prepare(None).map_err(|error| format!("no signal to ask threads with: {error}"))?;
        let signal = signals::private().ok_or("no signal to ask threads with")?;
        let sender = (memory::PID.load(Ordering::Relaxed), rustix::process::getuid().as_raw());
        Ok(Self { signal, sender, until, _guard: guard })
    }

    fn run(&self, threads: &[ThreadInfo], modules: &Modules) -> Vec<Trace> {
        let mut unwinder = Unwinder::new(modules.all(), signals::trampoline(modules.all()));
        let mut traces = vec![Trace::default(); threads.len()];
        let mut all = Vec::with_capacity(threads.len());
        let mut aside = Vec::new();
        for (index, thread) in threads.iter().enumerate() {
            match &thread.skip_reason {
                Some(reason) => {
                    traces[index] = missing(reason);
                    aside.push((index, thread.tid));
                }
                None => all.push((index, thread.tid)),
            }
        }
        // Returns what of the stack was not in the copy.
        let mut unwind = |index: usize, outcome: Result<(Registers, Pieces<'_>), String>| {
            let (trace, rest) = match outcome {
                Err(reason) => (missing(&reason), None),
                Ok((registers, [(_, []), _])) => {
                    // A stack pointer into nowhere, or a filter of system calls.
                    let (Unwound::Ended(trace) | Unwound::Wanting(trace, _)) =
                        unwinder.unwind(registers, &[]);
                    (Trace { incomplete: Some(UNREADABLE.to_owned()), ..trace }, None)
                }
                Ok((registers, pieces)) => match unwinder.unwind(registers, &pieces) {
                    Unwound::Ended(trace) => (trace, None),
                    Unwound::Wanting(trace, address) => (trace, Rest::of(registers.sp, pieces, address)),
                },
            };
            // A later pass must not lose what an earlier one had.
            let kept = &mut traces[index];
            if kept.frames.len() <= trace.frames.len() {
                *kept = trace;
            }
            rest
        };
        let mut unfinished = Vec::new();
        let mut first = |threads: &[Wanted]| {
            self.pass(threads, Portion { length: SMALL, elsewhere: 0 }, |index, tid, outcome| {
                unfinished.extend(unwind(index, outcome).map(|rest| (index, tid, rest)));
            });
        };
        first(&all);
        for _ in 0..PATIENT_LOOKS {
            let (open, left) = look_again(aside);
            first(&open);
            if left.is_empty() {
                break;
            }
            aside = left;
        }
        for (index, tid, rest) in unfinished {
            let portion = match rest {
                Rest::Deeper { sp } => {
                    let length = maps::rest_from(sp).unwrap_or(SMALL).saturating_add(GROWTH);
                    Portion { length: length.min(LARGEST), elsewhere: 0 }
                }
                Rest::Elsewhere { address } => Portion { length: SMALL, elsewhere: address & !PAGE_MASK },
            };
            self.pass(&[(index, tid)], portion, |index, _, outcome| {
                let _ = unwind(index, outcome);
            });
        }
        traces
    }

    /// Asks each of these threads once, a batch at a time, for a portion of its stack, and hands over each answer or the reason why there is none.
    fn pass(
        &self,
        threads: &[Wanted],
        portion: Portion,
        mut each: impl FnMut(usize, u32, Result<(Registers, Pieces<'_>), String>),
    ) {
        let capacity = portion.length * if portion.elsewhere == 0 { 1 } else { 2 };
        let mut kept = None;
        let batches = threads.len().div_ceil(SLOTS);
        for (batch, left) in threads.chunks(SLOTS).zip((1..=batches).rev()) {
            if !signals::is_ours(self.signal) {
                // Without our handler, the signal would end the process.
                for &(index, tid) in batch {
                    each(
                        index,
                        tid,
                        Err("the program has taken the signal that stacks are taken with".to_owned()),
                    );
                }
                continue;
            }
            let arena = match kept.take().map_or_else(|| Arena::map(batch.len(), capacity), Ok) {
                Ok(arena) => arena,
                Err(error) => {
                    let reason = format!("no memory for copies of stacks: {error}");
                    for &(index, tid) in batch {
                        each(index, tid, Err(reason.clone()));
                    }
                    continue;
                }
            };
            let mut asked = Vec::with_capacity(batch.len());
            for (place, &(index, tid)) in batch.iter().enumerate() {
                match self.ask(place, (index, tid), portion, &arena) {
                    Ok(thread) => asked.push(thread),
                    Err(reason) => each(index, tid, Err(reason)),
                }
            }
            let since = Instant::now();
            wait_for(&slots(&asked, |_| true), self.until.min(since + BATCH_DEADLINE));
            let share = self.until.saturating_duration_since(since) / u32::try_from(left).unwrap_or(u32::MAX);
            wait_for(&slots(&asked, Asked::is_in_line), since + share);
            // Those in the middle of their answers are one copy away.
            wait_for(&slots(&asked, Asked::is_late), Instant::now() + BATCH_DEADLINE);
            for thread in asked {
                let outcome = match thread.slot.progress() {
                    Progress::Done(answer) => {
                        // SAFETY: the slot says DONE and is not released before the copy has been used.
                        let copy = unsafe { thread.arena.read(thread.place) };
                        let (stack, other) = copy.split_at(portion.length);
                        let pieces = [
                            (answer.registers.sp, &stack[..answer.copied]),
                            (portion.elsewhere, &other[..answer.copied_elsewhere]),
                        ];
                        Ok((answer.registers, pieces))
                    }
                    Progress::Writing => Err("it began to answer and did not finish".to_owned()),
                    Progress::Waiting => Err(why_silent(thread.tid, since.elapsed())),
                };
                each(thread.index, thread.tid, outcome);
            }
            // A handler may write to its buffer yet: that memory is given up, and the next batch gets new.
            kept = Some(arena).filter(|arena| !arena.is_leaked());
        }
    }

    fn ask<'a>(
        &self,
        place: usize,
        (index, tid): Wanted,
        portion: Portion,
        arena: &'a Arena,
    ) -> Result<Asked<'a>, String> {
        if Instant::now() >= self.until {
            return Err("the time for taking stacks was spent before it was asked".into());
        }
        let slot = &TABLE[place];
        if !slot.is_free() {
            return Err("its slot is still held by a thread that did not finish its answer".into());
        }
        let ticket = TICKET.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the part is mapped, as long as the portion asks for, and used for this slot alone; the arena is unmapped when each slot has been taken back, and never if one says WRITING.
        unsafe {
            slot.lend(ticket, tid.cast_signed(), arena.buffer(place), portion.length, portion.elsewhere);
        }
        let slot_number = u8::try_from(place).expect("a batch has at most 128 threads");
        let envelope = Envelope { ticket, slot: slot_number };
        if let Err(error) = signals::send(self.sender, tid.cast_signed(), self.signal, envelope.seal()) {
            // Dropped, and with that taken back.
            drop(Asked { index, tid, slot, ticket, place, arena });
            return Err(match error.raw_os_error() {
                Some(libc::ESRCH) => EXITED.to_owned(),
                Some(libc::EAGAIN) => {
                    "the limit of queued signals (ulimit -i) left no room to ask it".to_owned()
                }
                _ => format!("it could not be sent a signal: {error}"),
            });
        }
        Ok(Asked { index, tid, slot, ticket, place, arena })
    }
}

const UNREADABLE: &str = "the kernel did not copy its stack (process_vm_readv; a seccomp filter, perhaps)";
const EXITED: &str = "it exited meanwhile";

impl Asked<'_> {
    /// True of a thread that has not answered and could, had it a processor.
    fn is_in_line(&self) -> bool {
        matches!(self.slot.progress(), Progress::Waiting)
            && Stat::read(&directory(self.tid)).is_ok_and(|stat| stat.state == RUNNABLE)
    }

    /// Takes the slot back if the thread has not begun to answer: it will find its ticket void. True if it is in the middle of it.
    fn is_late(&self) -> bool {
        let answered = matches!(self.slot.progress(), Progress::Done(_));
        !answered && !self.slot.withdraw(self.ticket) && matches!(self.slot.progress(), Progress::Writing)
    }
}

// In whichever way it ends, by a panic too: a slot that is still lent must not have its buffer unmapped.
impl Drop for Asked<'_> {
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

/// The slots of those that this is true of.
fn slots<'a>(asked: &[Asked<'a>], is_meant: impl Fn(&Asked<'a>) -> bool) -> Vec<&'static Slot> {
    asked.iter().filter(|thread| is_meant(thread)).map(|thread| thread.slot).collect()
}

/// The letter of a thread that runs or stands in line for a processor.
const RUNNABLE: char = 'R';

fn directory(tid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/self/task/{tid}"))
}

/// Why a thread that was sent the signal has not answered in this time.
fn why_silent(tid: u32, within: Duration) -> String {
    match Stat::read(&directory(tid)).map(|stat| stat.state) {
        Err(_) | Ok('Z' | 'X' | 'x') => EXITED.to_owned(),
        Ok('D') => "it is in uninterruptible sleep in the kernel".to_owned(),
        Ok('T' | 't') => "it is stopped".to_owned(),
        Ok(RUNNABLE) => format!("it got no processor within {} ms", within.as_millis()),
        Ok(_) => format!("it did not answer within {} ms", within.as_millis()),
    }
}
