//! Signals a batch of threads, and waits until they have copied their stacks.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::arch::Registers;
use super::arena::Arena;
use super::handler::{Envelope, Extent, MAX_OTHERS, Progress, SLOTS, Slot, TABLE};
use super::signals;
use super::unwind::Piece;
use super::wait::wait_for;
use crate::model::Stack;
use crate::sys::deadline::{Deadline, Slowdown};
use crate::sys::procfs::Stat;
use crate::sys::thread_ids;

/// How long a batch of threads may take to answer. A thread that runs answers within microseconds.
const BATCH_DEADLINE: Duration = Duration::from_millis(100);
/// How long, in all batches together, to wait for threads that wait for a CPU while none of them
/// answers. While they answer one after the other, the wait goes on.
const STALLED: Duration = Duration::from_secs(1);
/// How long all batches may take together, longer where the CPU is withheld from the process. In
/// this time, a thousand busy threads on one CPU get their turns.
const TOTAL: Duration = Duration::from_secs(5);
/// How long to wait for a handler that has begun its copy. It ends as soon as it gets a CPU, and
/// what it writes to is leaked if it does not.
const WRITING: Duration = Duration::from_secs(1);

/// The next ticket. Tickets repeat after four billion requests.
static TICKET: AtomicU32 = AtomicU32::new(0);

/// A thread's index in the list that `trace` was called with, and its id.
pub(super) type Target = (usize, u32);

/// The copies of a thread's stacks: from the stack pointer up, and the further pieces.
pub(super) type Pieces<'a> = [Piece<'a>; 1 + MAX_OTHERS];

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

/// What is needed to signal the threads of this process.
pub(super) struct Signaller {
    /// The capture signal.
    pub(super) signal: i32,
    /// The ids of this process and of its real user.
    pub(super) sender: (i32, u32),
    waits: RefCell<Waits>,
}

/// How long this capture has waited for threads. Time in which the waiting thread itself got no CPU
/// does not count.
#[derive(Default)]
struct Waits {
    slowdown: Slowdown,
    all: Duration,
    /// While no thread answered.
    stalled: Duration,
}

impl Signaller {
    pub(super) fn new(signal: i32, sender: (i32, u32)) -> Self {
        Self { signal, sender, waits: RefCell::default() }
    }

    /// Requests a copy from each of these threads once, a batch at a time, and calls `each` with
    /// the answer or the reason why there is none.
    pub(super) fn pass(
        &self,
        threads: &[Target],
        extent: &Extent,
        mut each: impl FnMut(usize, u32, Result<(Registers, Pieces<'_>), String>),
    ) {
        let capacity = extent.total();
        let mut kept = None;
        let batches = threads.len().div_ceil(SLOTS);
        for (batch, left) in threads.chunks(SLOTS).zip((1..=batches).rev()) {
            if self.waits.borrow().is_over() {
                for &(index, tid) in batch {
                    let reason = "the deadline for capturing stacks passed before it was signalled";
                    each(index, tid, Err(reason.to_owned()));
                }
                continue;
            }
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
            self.waits.borrow_mut().wait_for_running(&slots(&pending, |_| true));
            let runnable = slots(&pending, Pending::is_runnable);
            self.waits.borrow_mut().wait_for_turns(&runnable, u32::try_from(left).unwrap_or(u32::MAX));
            // Threads that are writing their answers need one more copy to finish.
            let mut writing = Deadline::after(WRITING);
            let unfinished = slots(&pending, Pending::withdraw_unless_writing);
            while !all_done(&unfinished) && !writing.is_over() {
                wait_for(&unfinished, writing.at());
            }
            for thread in pending {
                let outcome = match thread.slot.progress() {
                    Progress::Done(answer) => {
                        // SAFETY: the slot says DONE, so its handler has finished, and the slot is
                        // not lent again before `thread` is dropped, after the last use of the
                        // copy.
                        let copy = unsafe { thread.arena.read(thread.position) };
                        let (stack, mut rest) = copy.split_at(extent.length);
                        let mut pieces = [(answer.registers.sp(), &stack[..answer.copied]); 1 + MAX_OTHERS];
                        let others = extent.others.iter().zip(answer.copied_others);
                        for (piece, (&(address, length), copied)) in pieces[1..].iter_mut().zip(others) {
                            let (other, behind) = rest.split_at(length);
                            *piece = (address, &other[..copied]);
                            rest = behind;
                        }
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
        extent: &Extent,
        arena: &'a Arena,
    ) -> Result<Pending<'a>, String> {
        let slot = &TABLE[position];
        if !slot.is_free() {
            return Err("its capture slot is still held by a thread that did not finish its answer".into());
        }
        let ticket = TICKET.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the buffer is mapped, is as long as the extent needs (`pass` makes the arena so),
        // and is used for this slot alone. The arena is unmapped only after each slot has been
        // taken back, and never if one still says WRITING.
        unsafe {
            slot.lend(ticket, tid.cast_signed(), arena.buffer(position), extent);
        }
        let slot_number = u8::try_from(position).expect("a batch has at most 128 threads");
        let envelope = Envelope { ticket, slot: slot_number };
        if let Err(error) = signals::send(self.sender, tid.cast_signed(), self.signal, envelope.encode()) {
            // Dropping it takes the slot back.
            drop(Pending { index, tid, slot, ticket, position, arena });
            return Err(match error.raw_os_error() {
                Some(libc::ESRCH) => Stack::EXITED.to_owned(),
                Some(libc::EAGAIN) => "the limit of queued signals (ulimit -i) is reached".to_owned(),
                _ => format!("could not signal it: {error}"),
            });
        }
        Ok(Pending { index, tid, slot, ticket, position, arena })
    }
}

impl Waits {
    fn is_over(&self) -> bool {
        self.all >= self.slowdown.stretch(TOTAL) || self.stalled >= self.slowdown.stretch(STALLED)
    }

    /// Waits for all threads of a batch for as long as threads that run need.
    fn wait_for_running(&mut self, slots: &[&Slot]) {
        self.wait(slots, BATCH_DEADLINE);
    }

    /// Waits for threads that wait for a CPU, until all have answered, the total is used up, or no
    /// thread has answered for this batch's share of the time for that. `batches` are left,
    /// including this one.
    fn wait_for_turns(&mut self, runnable: &[&Slot], batches: u32) {
        let before = self.stalled;
        while count_missing(runnable) > 0 && !self.is_over() {
            let share = self.slowdown.stretch(STALLED).saturating_sub(before) / batches.max(1);
            let left = share.saturating_sub(self.stalled.saturating_sub(before));
            if left.is_zero() {
                return;
            }
            self.wait(runnable, left.min(BATCH_DEADLINE));
        }
    }

    fn wait(&mut self, slots: &[&Slot], limit: Duration) {
        let missing = count_missing(slots);
        let since = Instant::now();
        wait_for(slots, since + limit);
        // If no other thread got a CPU, this one got none either, and woke up late.
        let waited = since.elapsed().min(limit);
        self.all += waited;
        if missing > 0 && count_missing(slots) == missing {
            self.stalled += waited;
            self.slowdown.look();
        }
    }
}

fn count_missing(slots: &[&Slot]) -> usize {
    slots.iter().filter(|slot| matches!(slot.progress(), Progress::Waiting)).count()
}

fn all_done(slots: &[&Slot]) -> bool {
    slots.iter().all(|slot| matches!(slot.progress(), Progress::Done(_)))
}

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

fn directory(tid: u32) -> String {
    format!("self/task/{}", thread_ids::outer(tid))
}

/// Why a signalled thread has not answered in this time.
fn no_answer_reason(tid: u32, within: Duration) -> String {
    match Stat::read(&directory(tid)).map(|stat| stat.state) {
        Err(_) | Ok('Z' | 'X' | 'x') => Stack::EXITED.to_owned(),
        Ok('D') => "it is in uninterruptible sleep in the kernel".to_owned(),
        Ok('T' | 't') => "it is stopped by a signal or a debugger".to_owned(),
        Ok(RUNNABLE) => format!("it was not scheduled on a CPU within {} ms", within.as_millis()),
        Ok(_) => format!("it did not answer within {} ms", within.as_millis()),
    }
}
