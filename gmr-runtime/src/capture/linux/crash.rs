//! The stacks of a process that crashes, taken inside the handler of the fatal signal: that of the
//! thread that crashes, and those of the other threads, which are signalled one after the other.
//!
//! It does what a signal handler may do, and nothing else. All memory is mapped beforehand. The one
//! exception to the rule that images are only copied is the unwind tables: they are used where they
//! are, because nothing that is large can be copied now. If another thread unloads the module at
//! this moment, the handler crashes, and [`fatal_signal`](crate::sys::linux::fatal_signal) ends the
//! report.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::arch::{self, Registers};
use super::handler::{CRASH, CRASH_SLOT, Envelope, Extent, Progress};
use super::signals;
use super::unwind::{CrashUnwinder, Piece, Stacks, follows_call};
use crate::capture::Address;
use crate::sys::linux::copy;
use crate::sys::linux::crash_modules::{self, CrashModules};
use crate::sys::linux::fatal_signal::Crash;
use crate::sys::linux::mapping::{MappedBuffer, Mapping};

pub(crate) use super::unwind::End;

/// How much of a stack is copied at first. Most stacks end within it.
const STACK: usize = 64 << 10;
/// How much is copied further out, where a frame needs it.
const FURTHER: usize = 4 << 10;

/// How long a thread may take to answer. One that has a CPU does within 100 microseconds; one that
/// waits for a CPU gets it within a few milliseconds.
const ANSWER: Duration = Duration::from_millis(5);
/// How long it may take once it has begun.
const WRITING: Duration = Duration::from_millis(5);
/// How long to sleep between two looks, and the most that this counts: if it takes longer, this
/// thread was waiting for a CPU, and so may the other one be.
const NAP: Duration = Duration::from_micros(20);
const LONGEST_NAP: Duration = Duration::from_micros(100);

/// The registers of a thread.
#[derive(Clone, Copy)]
pub(crate) struct CrashRegisters(Registers);

impl CrashRegisters {
    /// Those of the thread that crashes.
    pub(crate) fn of(crash: &Crash) -> Self {
        // SAFETY: it is the context of the running handler.
        Self(unsafe { arch::interrupted(crash.context()) })
    }

    /// Those of a thread that waits in a system call.
    pub(crate) fn at_rest(ip: u64, sp: u64) -> Self {
        Self(Registers::at_rest(ip, sp))
    }

    pub(crate) fn ip(&self) -> u64 {
        self.0.ip()
    }

    pub(crate) fn sp(&self) -> u64 {
        self.0.sp()
    }

    /// The names and values of all but the instruction pointer.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let values = *self.0.values();
        (0..values.len()).map(move |register| (arch::name(register), values[register]))
    }
}

/// What is needed to take stacks, mapped beforehand.
pub(crate) struct CrashStacks {
    unwinder: CrashUnwinder,
    /// The beginning of a stack: where other threads copy theirs to.
    stack: Mapping,
    /// A further piece of it.
    further: MappedBuffer,
    /// Where both begin, and how much of them there is.
    at: [(u64, usize); 2],
    /// Whether a thread may still write to the first.
    is_lent: bool,
    ticket: AtomicU32,
    /// How long it has waited for answers.
    waited: Duration,
}

/// Why another thread has not copied its stack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoAnswer {
    /// Threads cannot be asked.
    Impossible(&'static str),
    /// It has not answered in time.
    Late,
    /// It has ended, or the signal could not be sent.
    NotSent,
}

impl CrashStacks {
    /// The memory for them.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            unwinder: CrashUnwinder::new(),
            stack: Mapping::reserve(STACK)?,
            further: MappedBuffer::new(FURTHER)?,
            at: [(0, 0); 2],
            is_lent: false,
            ticket: AtomicU32::new(1),
            waited: Duration::ZERO,
        })
    }

    /// Whether another thread may be writing to the memory, so that no stack can be taken.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// How long it has waited for answers.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Copies the stack from the stack pointer on.
    pub(crate) fn copy(&mut self, registers: &CrashRegisters) {
        let sp = registers.sp();
        self.at = [(sp, 0); 2];
        if !self.is_lent {
            // SAFETY: the mapping has as many bytes, and no other thread writes to it.
            let bytes = unsafe { std::slice::from_raw_parts_mut(self.stack.base(), STACK) };
            self.at[0] = (sp, crash_modules::read(sp, bytes));
        }
    }

    /// Has another thread copy its registers and its stack.
    ///
    /// # Errors
    /// Why it has not.
    pub(crate) fn ask(&mut self, tid: i32) -> Result<CrashRegisters, NoAnswer> {
        if self.is_lent {
            return Err(NoAnswer::Impossible(
                "a thread that was asked before may still be writing its answer",
            ));
        }
        let signal = signals::capture_signal().filter(|signal| signals::is_ours(*signal));
        let signal = signal.ok_or(NoAnswer::Impossible("the capture signal has another handler"))?;
        // SAFETY: these have no arguments, and cannot fail.
        let sender = unsafe { (libc::getpid(), libc::getuid()) };
        if copy::PID.load(Ordering::Relaxed) != sender.0 {
            return Err(NoAnswer::Impossible("gmr is not running in this forked process"));
        }
        let ticket = self.ticket.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the buffer is mapped for as long as the process lives, is as long as the extent,
        // and is not used until the thread has answered, or the slot was taken back.
        unsafe { CRASH.lend(ticket, tid, self.stack.base(), &Extent::from_stack_pointer(STACK)) };
        let envelope = Envelope { ticket, slot: CRASH_SLOT };
        let is_sent = signals::send(sender, tid, signal, envelope.encode()).is_ok();
        let (mut waited, mut limit, mut is_writing) = (Duration::ZERO, ANSWER, false);
        loop {
            match CRASH.progress() {
                Progress::Done(answer) => {
                    CRASH.release();
                    self.at = [(answer.registers.sp(), answer.copied), (0, 0)];
                    return Ok(CrashRegisters(answer.registers));
                }
                Progress::Writing if !is_writing => {
                    (is_writing, limit) = (true, waited + WRITING);
                }
                Progress::Waiting if (!is_sent || waited >= limit) && CRASH.withdraw(ticket) => {
                    return Err(if is_sent { NoAnswer::Late } else { NoAnswer::NotSent });
                }
                _ if waited >= limit => {
                    self.is_lent = true;
                    return Err(NoAnswer::Late);
                }
                _ => {
                    let began = Instant::now();
                    crate::sys::sleep(NAP);
                    let slept = began.elapsed().min(LONGEST_NAP);
                    waited += slept;
                    self.waited += slept;
                }
            }
        }
    }

    /// Calls `each` with every frame of the stack that was copied last, until that returns false.
    /// Returns why it ends before the thread's first function; `None` if it does not.
    pub(crate) fn walk(
        &mut self,
        registers: &CrashRegisters,
        modules: &CrashModules,
        each: &mut dyn FnMut(Address) -> bool,
    ) -> Option<End> {
        let Self { unwinder, stack, further, at, is_lent, .. } = self;
        // SAFETY: as many bytes of the mapping were filled in, and no thread writes to it.
        let copied = unsafe { std::slice::from_raw_parts(stack.base(), if *is_lent { 0 } else { at[0].1 }) };
        let mut stacks = Copied { stack: (at[0].0, copied), further, at: (0, 0) };
        let mut registers = registers.0;
        unwinder.walk(&mut registers, modules, &mut stacks, each)
    }

    /// Calls `each` with the words of the stack that calls have left there, until that returns
    /// false: some of them are of calls that have returned. The first `length` bytes are searched.
    pub(crate) fn left_by_calls(
        &self,
        modules: &CrashModules,
        length: usize,
        each: &mut dyn FnMut(u64) -> bool,
    ) {
        let copied = if self.is_lent { 0 } else { self.at[0].1.min(length) };
        // SAFETY: as many bytes of the mapping were filled in, and no thread writes to it.
        let stack = unsafe { std::slice::from_raw_parts(self.stack.base(), copied) };
        for word in stack.as_chunks::<8>().0 {
            let address = arch::without_signature(u64::from_ne_bytes(*word), modules.highest_code());
            if modules.has_code(address.wrapping_sub(1)) && follows_call(address, modules) && !each(address) {
                return;
            }
        }
    }
}

/// The pieces of a stack that were copied.
struct Copied<'a> {
    stack: Piece<'a>,
    further: &'a mut MappedBuffer,
    /// Where `further` begins, and how much of it there is.
    at: (u64, usize),
}

impl Stacks for Copied<'_> {
    fn image(&self, start: u64, length: usize) -> Option<&[u8]> {
        // The largest unwind tables known are a tenth of it.
        const LIMIT: usize = 1 << 30;
        if length == 0 || length > LIMIT {
            return None;
        }
        let mut last = [0];
        // Its last byte can be read, too. What is between them belongs to the same segment.
        let end = start.checked_add(length as u64 - 1)?;
        if copy::read(start, &mut last) == 0 || copy::read(end, &mut last) == 0 {
            return None;
        }
        // SAFETY: it is a part of an image that the address map had when the signal arrived, and is
        // read-only in every image that a linker makes. If another thread unloads it, the handler
        // crashes, which is provided for; the process is about to end in any case.
        Some(unsafe { std::slice::from_raw_parts(start as *const u8, length) })
    }

    fn add(&mut self, address: u64) -> bool {
        let start = address & !7;
        if start == self.at.0 && self.at.1 > 0 {
            return false;
        }
        self.at = (start, crash_modules::read(start, self.further));
        self.at.1 >= 8
    }

    fn pieces(&self) -> [Piece<'_>; 2] {
        [self.stack, (self.at.0, &self.further[..self.at.1])]
    }
}
