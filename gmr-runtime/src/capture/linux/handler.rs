//! The handler of the capture signal: a thread copies its registers and its stack into a slot.
//!
//! This file holds the signal handler and what it shares with the reporter, and nothing else. The
//! handler does not allocate, lock, unwind, or initialise anything lazily. It loads and stores
//! atomics, and makes these system calls: `gettid`; for the stack and each further piece that is
//! requested, `mincore` and one copy by the kernel that cannot fault. It wakes no thread. It
//! restores `errno`.
//!
//! # The protocol
//! A slot's `state` holds a ticket and a phase. The reporter alone moves it `FREE → REQUESTED`
//! (with a new ticket), `REQUESTED → FREE` (deadline missed) and `DONE → FREE` (answer read). The
//! handler alone moves it `REQUESTED → WRITING → DONE`, and only with the ticket that came with its
//! signal. Each of the two contested moves is a compare-and-swap from `REQUESTED`, so either the
//! handler owns the slot until it says `DONE`, or it never touches it: a thread that answers after
//! its deadline finds a ticket that is no longer valid, and returns. The reporter does not free a
//! buffer while its slot says `WRITING`.

#![allow(unsafe_code)]

use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::arch::{self, COUNT, Registers};
use crate::sys::linux::siginfo::SI_QUEUE;
use crate::sys::linux::{copy, pages};

/// How many threads are signalled at once. 128 at a time took a third of the time of one at a time;
/// more gained nothing on two processors.
pub(super) const SLOTS: usize = 128;

pub(super) static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// The slot for the report of a fatal signal, and its number. It is apart from the others, which
/// the reporter may be using at that moment.
pub(super) static CRASH: Slot = Slot::new();
pub(super) const CRASH_SLOT: u8 = 255;

const FREE: u64 = 0;
const REQUESTED: u64 = 1;
const WRITING: u64 = 2;
const DONE: u64 = 3;

/// How many further pieces a thread can be asked for: the stacks that its frames are on besides the
/// one that it runs on. Coroutines resume others, and signal handlers run on stacks of their own.
pub(super) const MAX_OTHERS: usize = 7;

/// What a thread is to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// How many bytes from the stack pointer up.
    pub(super) length: usize,
    /// Further pieces, by address and length. A length of 0 means that there is no piece.
    pub(super) others: [(u64, usize); MAX_OTHERS],
}

impl Extent {
    /// As many bytes, from the stack pointer up.
    pub(super) const fn from_stack_pointer(length: usize) -> Self {
        Self { length, others: [(0, 0); MAX_OTHERS] }
    }

    /// How large a buffer it needs.
    pub(super) fn total(&self) -> usize {
        let others = self.others.iter().map(|(_, length)| *length);
        others.fold(self.length, usize::saturating_add)
    }
}

/// A further piece, and how many of its bytes were copied.
struct Other {
    address: AtomicU64,
    length: AtomicUsize,
    copied: AtomicUsize,
}

/// Where one thread puts its answer.
#[repr(align(64))]
pub(super) struct Slot {
    /// `ticket << 2 | phase`.
    state: AtomicU64,
    /// The id of the thread that the slot is lent to.
    tid: AtomicI32,
    buffer: AtomicPtr<u8>,
    /// How many bytes are to be copied from the stack pointer up, and how many were.
    length: AtomicUsize,
    copied: AtomicUsize,
    others: [Other; MAX_OTHERS],
    ip: AtomicU64,
    registers: [AtomicU64; COUNT],
}

/// The answer of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) registers: Registers,
    /// How many bytes from the stack pointer up were copied. They are at the buffer's beginning.
    pub(super) copied: usize,
    /// How many bytes of each further piece were copied. They are at its place in the buffer,
    /// behind all that was requested before it.
    pub(super) copied_others: [usize; MAX_OTHERS],
}

/// The state of a slot, as the reporter sees it.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is used where it is returned")]
pub(super) enum Progress {
    /// There is no answer. The slot may be free.
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
            length: AtomicUsize::new(0),
            copied: AtomicUsize::new(0),
            others: [const {
                Other { address: AtomicU64::new(0), length: AtomicUsize::new(0), copied: AtomicUsize::new(0) }
            }; MAX_OTHERS],
            ip: AtomicU64::new(0),
            registers: [const { AtomicU64::new(0) }; COUNT],
        }
    }

    /// Lends the slot to the thread `tid` under a ticket that was never used before. The thread is
    /// to copy this much of its stacks.
    ///
    /// # Safety
    /// `buffer` must stay valid for writes of as many bytes as the extent needs in total, and
    /// nothing else may access them, until [`progress`](Self::progress) says `Done` or
    /// [`withdraw`](Self::withdraw) says that the slot is free.
    pub(super) unsafe fn lend(&self, ticket: u32, tid: i32, buffer: *mut u8, extent: &Extent) {
        self.tid.store(tid, Ordering::Relaxed);
        self.buffer.store(buffer, Ordering::Relaxed);
        self.length.store(extent.length, Ordering::Relaxed);
        for (other, &(address, length)) in self.others.iter().zip(&extent.others) {
            other.address.store(address, Ordering::Relaxed);
            other.length.store(length, Ordering::Relaxed);
        }
        // Release: a thread that sees this ticket sees the buffer that belongs to it.
        self.state.store(u64::from(ticket) << 2 | REQUESTED, Ordering::Release);
    }

    /// The state of the answer.
    pub(super) fn progress(&self) -> Progress {
        // Acquire: pairs with the handler's release of DONE, so that the copied bytes are visible.
        match self.state.load(Ordering::Acquire) & 3 {
            DONE => {}
            WRITING => return Progress::Writing,
            _ => return Progress::Waiting,
        }
        Progress::Done(Answer {
            registers: Registers::all(
                self.ip.load(Ordering::Relaxed),
                std::array::from_fn(|register| self.registers[register].load(Ordering::Relaxed)),
            ),
            copied: self.copied.load(Ordering::Relaxed),
            copied_others: std::array::from_fn(|other| self.others[other].copied.load(Ordering::Relaxed)),
        })
    }

    /// Takes the slot back from a thread that has not started to answer. False if a handler is
    /// writing to it, or has finished.
    pub(super) fn withdraw(&self, ticket: u32) -> bool {
        let requested = u64::from(ticket) << 2 | REQUESTED;
        self.state.compare_exchange(requested, FREE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the slot can be lent: it is free, or a thread that was given up in the middle of its
    /// answer has finished since.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire) & 3, FREE | DONE)
    }

    /// Ends the loan of a slot whose answer has been read.
    pub(super) fn release(&self) {
        self.state.store(FREE, Ordering::Release);
    }

    /// The handler's part: claim, copy, publish. Returns how many bytes of stack were copied;
    /// `None` if the slot is not lent to this thread under this ticket.
    fn answer(&self, ticket: u32, tid: i32, registers: Registers) -> Option<usize> {
        let requested = u64::from(ticket) << 2 | REQUESTED;
        let writing = u64::from(ticket) << 2 | WRITING;
        if self.tid.load(Ordering::Relaxed) != tid
            || self.state.compare_exchange(requested, writing, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return None;
        }
        let buffer = self.buffer.load(Ordering::Relaxed);
        let length = self.length.load(Ordering::Relaxed);
        // SAFETY: the caller of `lend` promised that nothing else accesses the bytes of the extent
        // while the state says WRITING under this ticket, which the exchange above has just made
        // true. These are the first of them.
        let copied = unsafe { copy_ready(tid, registers.sp(), buffer, length) };
        self.copied.store(copied, Ordering::Relaxed);
        let mut start = length;
        for other in &self.others {
            let length = other.length.load(Ordering::Relaxed);
            let copied = match length {
                0 => 0,
                // SAFETY: as above; these bytes follow those of all pieces before, and the buffer
                // is as long as all pieces together.
                _ => unsafe {
                    copy_ready(tid, other.address.load(Ordering::Relaxed), buffer.add(start), length)
                },
            };
            other.copied.store(copied, Ordering::Relaxed);
            start = start.wrapping_add(length);
        }
        self.ip.store(registers.ip(), Ordering::Relaxed);
        for (place, value) in self.registers.iter().zip(registers.values()) {
            place.store(*value, Ordering::Relaxed);
        }
        self.state.store(u64::from(ticket) << 2 | DONE, Ordering::Release);
        Some(copied)
    }
}

/// Copies like [`copy::read_raw`], but only up to the first page that is not in memory. To read
/// that page, the thread would wait in this handler until it arrives, perhaps forever. The thread
/// itself cannot drop a page while it is here. If another thread drops one at this moment, this
/// thread waits for the page here instead of where it would have used it.
///
/// # Safety
/// As for [`copy::read_raw`].
unsafe fn copy_ready(tid: i32, address: u64, destination: *mut u8, length: usize) -> usize {
    match pages::resident(address, length) {
        0 => 0,
        // SAFETY: as the caller promises; it is no longer than `length`.
        ready => unsafe { copy::read_raw(tid, address, destination, ready) },
    }
}

/// The value that travels with the signal: ticket and slot number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) ticket: u32,
    pub(super) slot: u8,
}

impl Envelope {
    pub(super) fn encode(self) -> usize {
        (self.ticket as usize) << 8 | usize::from(self.slot)
    }

    #[allow(clippy::cast_possible_truncation, reason = "each part is cut out of the value")]
    fn decode(value: usize) -> Self {
        Self { ticket: (value >> 8) as u32, slot: value as u8 }
    }
}

/// Answers a request. Returns how many bytes of the stack were copied; `None` if the request is not
/// valid (any more).
fn answer(Envelope { ticket, slot }: Envelope, registers: Registers) -> Option<usize> {
    // SAFETY: gettid has no arguments and cannot fail. (A bare system call, because glibc has a
    // function for it only since 2.30.)
    #[allow(clippy::cast_possible_truncation, reason = "a thread id is an int")]
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let slot = if slot == CRASH_SLOT { &CRASH } else { TABLE.get(usize::from(slot))? };
    slot.answer(ticket, tid, registers)
}

/// How much stack [`respond`] needs. A release build needs less.
const NEEDED: usize = if cfg!(debug_assertions) { 3 << 10 } else { 1 << 10 };

/// The handler of the capture signal. On an alternate stack on which there is no space for it, it
/// returns at once: `MINSIGSTKSZ`, which old programs use, has space for little but the signal
/// frame. The stack of such a thread can be read only while it waits.
pub(super) extern "C" fn on_signal(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let here = &raw const context as usize;
    // SAFETY: the kernel passes a pointer to a `ucontext_t` that lives as long as the handler runs,
    // with the alternate stack of the thread; its size is 0 if it has none.
    let stack = unsafe { &raw const (*context.cast::<libc::ucontext_t>()).uc_stack };
    // SAFETY: as above.
    let (start, size) = unsafe { ((*stack).ss_sp as usize, (*stack).ss_size) };
    let below = here.wrapping_sub(start);
    if below < size && below < NEEDED {
        return;
    }
    // SAFETY: both pointers are those of this call.
    unsafe { respond(info, context) };
}

/// Answers the signal if gmr has sent it.
///
/// # Safety
/// Both pointers must be the arguments of a running `SA_SIGINFO` handler.
#[inline(never)]
unsafe fn respond(info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the pointer is to the calling thread's own errno, and always valid.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes a valid siginfo to a handler that was installed with SA_SIGINFO.
    // Its si_code is always set.
    let ours = unsafe { (*info).si_code } == SI_QUEUE
        // SAFETY: with SI_QUEUE, the kernel has set si_pid.
        && unsafe { (*info).si_pid() } == copy::PID.load(Ordering::Relaxed);
    if ours {
        // SAFETY: with SI_QUEUE, the kernel has set si_value.
        let value = unsafe { (*info).si_value() }.sival_ptr as usize;
        // SAFETY: `context` is the third argument of a running SA_SIGINFO handler.
        let registers = unsafe { arch::interrupted(context) };
        #[cfg(not(feature = "__bench"))]
        answer(Envelope::decode(value), registers);
        #[cfg(feature = "__bench")]
        super::timing::timed(|| answer(Envelope::decode(value), registers));
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(test)]
mod tests {
    use super::super::arch::STACK_POINTER;
    use super::*;

    const REGISTERS: Registers = Registers::all(1, [16; COUNT]);

    #[test]
    fn an_envelope_is_decoded_as_it_was_encoded() {
        for envelope in [
            Envelope { ticket: u32::MAX, slot: 127 },
            Envelope { ticket: 1, slot: 0 },
            Envelope { ticket: 7, slot: 255 },
        ] {
            assert_eq!(Envelope::decode(envelope.encode()), envelope);
        }
    }

    #[test]
    fn a_late_answer_finds_its_ticket_invalid() {
        let slot = Slot::new();
        let mut buffer = [0; 8];
        // SAFETY: the buffer outlives the slot's loan.
        unsafe { slot.lend(7, 42, buffer.as_mut_ptr(), &Extent::from_stack_pointer(0)) };
        assert!(slot.withdraw(7));
        assert_eq!(slot.answer(7, 42, REGISTERS), None, "withdrawn");
        // SAFETY: as above.
        unsafe { slot.lend(8, 42, buffer.as_mut_ptr(), &Extent::from_stack_pointer(0)) };
        assert_eq!(slot.answer(7, 42, REGISTERS), None, "the ticket of an earlier loan");
        assert_eq!(slot.answer(8, 41, REGISTERS), None, "another thread");
        assert!(matches!(slot.progress(), Progress::Waiting));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn an_answer_in_time_is_complete() {
        let tid = crate::sys::current_tid().cast_signed();
        let (stack, second, third) = (*b"sixteen bytes ok", *b"and sixteen more", *b"and eight");
        let slot = Slot::new();
        let mut buffer = [0; 44];
        let mut extent = Extent::from_stack_pointer(16);
        extent.others[0] = (second.as_ptr() as u64, 16);
        // A piece that cannot be read still takes up its part of the buffer.
        extent.others[1] = (16, 4);
        extent.others[MAX_OTHERS - 1] = (third.as_ptr() as u64 + 1, 8);
        assert_eq!(extent.total(), buffer.len());
        // SAFETY: the buffer outlives the slot's loan.
        unsafe { slot.lend(7, tid, buffer.as_mut_ptr(), &extent) };
        let mut registers = REGISTERS;
        registers.set(STACK_POINTER, Some(stack.as_ptr() as u64));
        assert_eq!(slot.answer(7, tid, registers), Some(16));
        assert!(!slot.withdraw(7), "it has answered");
        let Progress::Done(answer) = slot.progress() else { panic!("not done") };
        assert_eq!(answer.registers, registers);
        assert_eq!(&buffer[..answer.copied], &stack);
        assert_eq!(answer.copied_others, [16, 0, 0, 0, 0, 0, 8]);
        assert_eq!((&buffer[16..32], &buffer[36..]), (&second[..], &third[1..]));
    }
}
