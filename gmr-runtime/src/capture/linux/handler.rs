//! What a thread does when it is asked for its stack: it copies its registers and its stack into a slot, and raises a flag.
//!
//! This file holds the signal handler and what it shares with the reporter, and nothing else. In the handler there is no allocation, no lock, no unwinding,
//! no first-time initialisation: loads and stores of atomics, `gettid`, one copy by the kernel that cannot fault, one futex wake. `errno` is restored.
//!
//! # The protocol
//! A slot's `state` holds a ticket and a phase. The reporter alone moves it `FREE → WANTED` (new ticket) and `WANTED → FREE` (deadline missed); the handler
//! alone moves it `WANTED → WRITING → DONE`, and only with the ticket that came with its signal. Each of the two contested moves is a compare-and-swap
//! from `WANTED`, so either the handler owns the slot until it says `DONE`, or it never touches it: a thread that answers after its deadline finds a ticket that is
//! no longer wanted and leaves. The reporter does not free a buffer while its slot says `WRITING`.

#![allow(unsafe_code)]

use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::arch::{self, Registers};
use crate::sys::linux::memory;

/// How many threads are asked at once. 128 at a time took a third of the time of one at a time; more gained nothing on two processors.
pub(super) const SLOTS: usize = 128;

pub(super) static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// Counts answers.
pub(super) static ANSWERS: AtomicU32 = AtomicU32::new(0);

/// The count of answers at which the reporter is woken: one system call, and one change of threads, for a whole batch.
pub(super) static ENOUGH: AtomicU32 = AtomicU32::new(0);

/// The reporter sleeps on it while it is zero.
pub(super) static WOKEN: AtomicU32 = AtomicU32::new(0);

const FREE: u64 = 0;
const WANTED: u64 = 1;
const WRITING: u64 = 2;
const DONE: u64 = 3;

/// Where one thread answers.
#[repr(align(64))]
pub(super) struct Slot {
    /// `ticket << 2 | phase`.
    state: AtomicU64,
    /// The thread that is asked.
    tid: AtomicI32,
    buffer: AtomicPtr<u8>,
    capacity: AtomicUsize,
    /// Where another piece of its stack begins, if one is wanted; else 0.
    elsewhere: AtomicU64,
    /// How many bytes of stack were copied, and how many of the other piece.
    copied: AtomicUsize,
    copied_elsewhere: AtomicUsize,
    ip: AtomicU64,
    sp: AtomicU64,
    fp: AtomicU64,
    lr: AtomicU64,
}

/// What a thread answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) registers: Registers,
    /// How many bytes of the buffer are its stack, from the stack pointer up.
    pub(super) copied: usize,
    /// How many bytes of the buffer's second half are the other piece.
    pub(super) copied_elsewhere: usize,
}

/// How a slot stands, seen by the reporter.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing has been done; the slot may be free by now.
    Waiting,
    /// The thread is in the middle of its answer.
    Writing,
    Done(Answer),
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU64::new(FREE),
            tid: AtomicI32::new(0),
            buffer: AtomicPtr::new(null_mut()),
            capacity: AtomicUsize::new(0),
            elsewhere: AtomicU64::new(0),
            copied: AtomicUsize::new(0),
            copied_elsewhere: AtomicUsize::new(0),
            ip: AtomicU64::new(0),
            sp: AtomicU64::new(0),
            fp: AtomicU64::new(0),
            lr: AtomicU64::new(0),
        }
    }

    /// Lends the slot to the thread `tid`, under a ticket that was never used before. It is to copy `capacity` bytes of its stack, and, unless `elsewhere` is 0, as many from that address on.
    ///
    /// # Safety
    /// `buffer` must stay valid for writes of `capacity` bytes, twice as many if something is wanted from elsewhere, and be accessed by nobody else, until
    /// [`progress`](Self::progress) says `Done` or [`withdraw`](Self::withdraw) says that the slot is free.
    pub(super) unsafe fn lend(
        &self,
        ticket: u32,
        tid: i32,
        buffer: *mut u8,
        capacity: usize,
        elsewhere: u64,
    ) {
        self.tid.store(tid, Ordering::Relaxed);
        self.buffer.store(buffer, Ordering::Relaxed);
        self.capacity.store(capacity, Ordering::Relaxed);
        self.elsewhere.store(elsewhere, Ordering::Relaxed);
        // Release: whoever sees this ticket sees the buffer that belongs to it.
        self.state.store(u64::from(ticket) << 2 | WANTED, Ordering::Release);
    }

    /// How the answer stands.
    pub(super) fn progress(&self) -> Progress {
        // Acquire: pairs with the handler's release of DONE, so that the copied bytes are visible.
        match self.state.load(Ordering::Acquire) & 3 {
            DONE => {}
            WRITING => return Progress::Writing,
            _ => return Progress::Waiting,
        }
        Progress::Done(Answer {
            registers: Registers {
                ip: self.ip.load(Ordering::Relaxed),
                sp: self.sp.load(Ordering::Relaxed),
                fp: self.fp.load(Ordering::Relaxed),
                lr: self.lr.load(Ordering::Relaxed),
            },
            copied: self.copied.load(Ordering::Relaxed),
            copied_elsewhere: self.copied_elsewhere.load(Ordering::Relaxed),
        })
    }

    /// Takes the slot back from a thread that has not answered. False if a handler is writing at this moment, or has just finished.
    pub(super) fn withdraw(&self, ticket: u32) -> bool {
        let wanted = u64::from(ticket) << 2 | WANTED;
        self.state.compare_exchange(wanted, FREE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the slot can be lent: nobody has it, or whoever was given up in the middle of an answer has finished since.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire) & 3, FREE | DONE)
    }

    /// Ends the loan of a slot whose answer has been read.
    pub(super) fn release(&self) {
        self.state.store(FREE, Ordering::Release);
    }

    /// The handler's part: claim, copy, publish. Returns how many bytes were copied; none if the slot was not the thread's to answer in.
    fn answer(&self, ticket: u32, tid: i32, registers: Registers) -> Option<usize> {
        let wanted = u64::from(ticket) << 2 | WANTED;
        let writing = u64::from(ticket) << 2 | WRITING;
        if self.tid.load(Ordering::Relaxed) != tid
            || self.state.compare_exchange(wanted, writing, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return None;
        }
        let buffer = self.buffer.load(Ordering::Relaxed);
        let capacity = self.capacity.load(Ordering::Relaxed);
        let (pid, elsewhere) = (memory::PID.load(Ordering::Relaxed), self.elsewhere.load(Ordering::Relaxed));
        // SAFETY: `lend` promised that the buffer is ours for as long as the state says WRITING under this ticket, which the exchange above has just made true.
        let copied = unsafe { memory::read_raw(pid, registers.sp, buffer, capacity) };
        let copied_elsewhere = match elsewhere {
            0 => 0,
            // SAFETY: as above; with something wanted from elsewhere, the buffer is twice as long.
            _ => unsafe { memory::read_raw(pid, elsewhere, buffer.add(capacity), capacity) },
        };
        self.copied.store(copied, Ordering::Relaxed);
        self.copied_elsewhere.store(copied_elsewhere, Ordering::Relaxed);
        self.ip.store(registers.ip, Ordering::Relaxed);
        self.sp.store(registers.sp, Ordering::Relaxed);
        self.fp.store(registers.fp, Ordering::Relaxed);
        self.lr.store(registers.lr, Ordering::Relaxed);
        self.state.store(u64::from(ticket) << 2 | DONE, Ordering::Release);
        Some(copied)
    }
}

/// Ticket and slot, as they travel in the signal's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) ticket: u32,
    pub(super) slot: u8,
}

impl Envelope {
    pub(super) fn seal(self) -> usize {
        (self.ticket as usize) << 8 | usize::from(self.slot)
    }

    #[allow(clippy::cast_possible_truncation, reason = "the value is taken apart")]
    fn open(value: usize) -> Self {
        Self { ticket: (value >> 8) as u32, slot: value as u8 }
    }
}

/// What the thread does once it knows that it was asked. Returns how many bytes of its stack were copied, if any were.
fn answer(Envelope { ticket, slot }: Envelope, registers: Registers) -> Option<usize> {
    // SAFETY: no arguments, cannot fail. The bare call: glibc has a function for it since 2.30 only.
    #[allow(clippy::cast_possible_truncation, reason = "a thread id is an int")]
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let copied = TABLE.get(usize::from(slot))?.answer(ticket, tid, registers)?;
    // Sequentially consistent, as are the reporter's announcement of how many are enough and its look at the count after that: either it sees this answer, or this sees how many are enough.
    let answers = ANSWERS.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
    if answers == ENOUGH.load(Ordering::SeqCst) {
        WOKEN.store(1, Ordering::SeqCst);
        // SAFETY: the futex word is a static; waking is all that is asked for.
        unsafe {
            libc::syscall(libc::SYS_futex, WOKEN.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
        }
    }
    Some(copied)
}

/// The handler of the private signal.
pub(super) extern "C" fn on_signal(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: errno is the calling thread's own.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes a valid siginfo to a handler that was installed with SA_SIGINFO. si_code stands in every one.
    let ours = unsafe { (*info).si_code } == libc::SI_QUEUE
        // SAFETY: with SI_QUEUE, pid and value are filled.
        && unsafe { (*info).si_pid() } == memory::PID.load(Ordering::Relaxed);
    if ours {
        // SAFETY: as above.
        let value = unsafe { (*info).si_value() }.sival_ptr as usize;
        // SAFETY: `context` is the third argument of a running SA_SIGINFO handler.
        let registers = unsafe { arch::interrupted(context) };
        #[cfg(not(feature = "__bench"))]
        answer(Envelope::open(value), registers);
        #[cfg(feature = "__bench")]
        super::timing::timed(|| answer(Envelope::open(value), registers));
    }
    // SAFETY: errno is the calling thread's own.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERS: Registers = Registers { ip: 1, sp: 16, fp: 3, lr: 4 };

    #[test]
    fn an_envelope_survives_the_journey() {
        for envelope in [
            Envelope { ticket: u32::MAX, slot: 127 },
            Envelope { ticket: 1, slot: 0 },
            Envelope { ticket: 7, slot: 255 },
        ] {
            assert_eq!(Envelope::open(envelope.seal()), envelope);
        }
    }

    #[test]
    fn a_late_answer_finds_its_ticket_void() {
        let slot = Slot::new();
        let mut buffer = [0; 8];
        // SAFETY: the buffer outlives the slot's loan.
        unsafe { slot.lend(7, 42, buffer.as_mut_ptr(), 0, 0) };
        assert!(slot.withdraw(7));
        assert_eq!(slot.answer(7, 42, REGISTERS), None, "withdrawn");
        // SAFETY: as above.
        unsafe { slot.lend(8, 42, buffer.as_mut_ptr(), 0, 0) };
        assert_eq!(slot.answer(7, 42, REGISTERS), None, "the ticket of an earlier loan");
        assert_eq!(slot.answer(8, 41, REGISTERS), None, "another thread");
        assert!(matches!(slot.progress(), Progress::Waiting));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn an_answer_in_time_is_read_whole() {
        memory::PID.store(i32::try_from(std::process::id()).unwrap(), Ordering::Relaxed);
        let (stack, elsewhere) = (*b"sixteen bytes ok", *b"and sixteen more");
        let slot = Slot::new();
        let mut buffer = [0; 32];
        // SAFETY: the buffer outlives the slot's loan.
        unsafe { slot.lend(7, 42, buffer.as_mut_ptr(), 16, elsewhere.as_ptr() as u64) };
        let registers = Registers { sp: stack.as_ptr() as u64, ..REGISTERS };
        assert_eq!(slot.answer(7, 42, registers), Some(16));
        assert!(!slot.withdraw(7), "it has answered");
        let Progress::Done(answer) = slot.progress() else { panic!("not done") };
        assert_eq!(answer.registers, registers);
        assert_eq!(&buffer[..answer.copied], &stack);
        assert_eq!(&buffer[16..16 + answer.copied_elsewhere], &elsewhere);
    }
}
