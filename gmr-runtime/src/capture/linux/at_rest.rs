//! Reads the stacks of blocked threads from memory, without their cooperation.
//!
//! The kernel shows the stack pointer and the instruction pointer of a blocked thread. Its stack is
//! in this process's memory, and is copied by the kernel, which stops at memory that is no longer
//! mapped. A copy counts only if the thread has not run since its moment was read. The copies are
//! unwound before that is known: the unwinder takes any bytes.

use std::time::Duration;

use super::arch::Registers;
use super::unwind::{Piece, Unwinder, Unwound};
use crate::capture::Trace;
use crate::model::Taken;
use crate::sys::current_tid;
use crate::sys::linux::mapping::MappedBuffer;
use crate::sys::linux::{memory, parallel, scheduler};
use crate::threads::linux::{Observer, Rest};

/// How much of a stack is copied at first, extended to the end of the page. For most waiting
/// threads, no more is read.
const INITIAL_COPY: usize = 3 << 10;
/// The smallest page size there is; where pages are larger, the copy ends within one.
const PAGE: usize = 4 << 10;
/// The factor by which a copy grows when the stack does not end within it.
const GROWTH: usize = 4;
/// The most that is copied of any stack.
const MAX_COPY: usize = 64 << 20;
/// How far beyond the end of the copy an address may lie and still belong to the same stack: one
/// frame with a very large array.
const MAX_GAP: u64 = 1 << 20;
/// How many stacks a thread's frames may be on: coroutines can resume others.
const MAX_STACKS: usize = 16;
/// How much processor time each reading thread may use. It waits for no other thread, so time in
/// which the machine or a quota gives it no processor does not count.
const OWN_WORK: Duration = Duration::from_secs(1);
/// How much is copied of another stack at first: of the one that was interrupted, while a signal
/// handler runs on an alternate one, or of the one that a coroutine was resumed from.
const SECOND_COPY: usize = 32 << 10;

/// A thread that was blocked: its index in the list of threads, its id, and the moment.
pub(super) type Blocked = (usize, u32, Rest);

/// The outcome of reading a stack.
pub(super) enum Outcome {
    /// The stack at this moment.
    Taken(Trace, Rest),
    /// The thread runs, it keeps running in between, or its stack needs a register that the kernel
    /// does not show. These are the frames that are certain.
    Open(Option<Trace>),
}

/// Reads the stacks of these threads, on as many threads as are useful. `unwinder` makes an
/// unwinder for each of them.
pub(super) fn read(
    blocked: &[Blocked],
    unwinder: impl Fn() -> Unwinder + Sync,
) -> impl Iterator<Item = (usize, Outcome)> {
    let outcomes = parallel::divide(blocked, |mut chunks| {
        let Some(first) = chunks.next() else { return Vec::new() };
        let all = std::iter::once(first).chain(chunks);
        let open = |chunk: &[Blocked]| -> Vec<(usize, Outcome)> {
            chunk.iter().map(|&(index, ..)| (index, Outcome::Open(None))).collect()
        };
        // This fails if there is no free descriptor.
        let Ok(observer) = Observer::new() else { return all.map(open).collect() };
        let mut unwinder = unwinder();
        let mut reader = Reader { observer, unwinder: &mut unwinder, grown: None };
        let started = own_time();
        let is_over = || own_time().saturating_sub(started) >= OWN_WORK;
        let read = |chunk| if is_over() { open(chunk) } else { reader.read(chunk) };
        all.map(read).collect::<Vec<_>>()
    });
    outcomes.into_iter().flatten().flatten()
}

/// The processor time that the calling thread has used.
fn own_time() -> Duration {
    Duration::from_nanos(scheduler::cpu_time(current_tid()).unwrap_or(0))
}

/// Reads the stack of a thread that may be blocked by now.
pub(super) fn read_now(tid: u32, unwinder: &mut Unwinder) -> Outcome {
    let observer = Observer::new().ok().filter(|_| scheduler::is_precise());
    let Some(mut observer) = observer else { return Outcome::Open(None) };
    let rest = observer.observe(tid, NO_INODE);
    Reader { observer, unwinder, grown: None }.read_single(tid, rest.ok().flatten())
}

/// For a thread that is observed only once: no second thread with the same id can be meant.
const NO_INODE: u64 = 0;

struct Reader<'a> {
    observer: Observer,
    unwinder: &'a mut Unwinder,
    /// For stacks that are longer than the first copy.
    grown: Option<MappedBuffer>,
}

impl Reader<'_> {
    /// Copies the stacks of all these threads at once. Those of threads that have run meanwhile are
    /// copied once more, one by one.
    fn read(&mut self, threads: &[Blocked]) -> Vec<(usize, Outcome)> {
        let pieces: Vec<(u64, usize)> =
            threads.iter().map(|(_, _, rest)| (rest.sp(), initial_length(rest.sp()))).collect();
        let length = pieces.iter().map(|(_, length)| length).sum();
        let Ok(mut copies) = MappedBuffer::new(length) else {
            return threads.iter().map(|&(index, ..)| (index, Outcome::Open(None))).collect();
        };
        let lengths = memory::read_many(&pieces, &mut copies);
        let mut offset = 0;
        let mut outcomes = Vec::with_capacity(threads.len());
        let mut moved = Vec::new();
        for ((&(index, tid, rest), filled), (_, length)) in threads.iter().zip(lengths).zip(pieces) {
            let unwound = self.unwind(&rest, &copies[offset..offset + filled]);
            offset += length;
            if self.observer.is_unchanged(tid, &rest) {
                outcomes.push((index, outcome(unwound, rest)));
            } else {
                moved.push((index, tid, rest));
            }
        }
        for (index, tid, before) in moved {
            let now = self.observer.observe_again(tid, &before);
            outcomes.push((index, self.read_single(tid, now)));
        }
        outcomes
    }

    fn read_single(&mut self, tid: u32, rest: Option<Rest>) -> Outcome {
        let Some(rest) = rest else { return Outcome::Open(None) };
        let mut copy = [0; INITIAL_COPY + PAGE];
        let copied = memory::read(rest.sp(), &mut copy[..initial_length(rest.sp())]);
        let unwound = self.unwind(&rest, &copy[..copied]);
        if self.observer.is_unchanged(tid, &rest) { outcome(unwound, rest) } else { Outcome::Open(None) }
    }

    /// Unwinds a stack, of which `copy` is the beginning. Copies more as it goes on.
    fn unwind(&mut self, rest: &Rest, copy: &[u8]) -> Unwinding {
        if copy.is_empty() {
            return Err(None);
        }
        let registers = registers(rest);
        let mut pieces = vec![(rest.sp(), copy.len())];
        let mut copied = copy.len();
        let mut unwound = self.unwinder.unwind(registers, &[(rest.sp(), copy)]);
        loop {
            let address = match unwound {
                Unwound::Ended(trace) => return Ok(trace),
                Unwound::Uncertain(trace) => return Err(Some(trace)),
                Unwound::Incomplete(_, address) => address,
            };
            // A recovered frame pointer is certain only if the stack reaches the thread's first
            // function.
            if !extend(&mut pieces, address) {
                return Err(None);
            }
            let larger = copy_all(&mut self.grown, &pieces);
            let length = larger.iter().map(|(_, copy)| copy.len()).sum();
            if length <= copied {
                // There is no more of it.
                return Err(None);
            }
            copied = length;
            unwound = self.unwinder.unwind(registers, &larger);
        }
    }
}

/// The stack, or the frames of it that are certain.
type Unwinding = Result<Trace, Option<Trace>>;

/// The outcome, which counts only if the thread has not run.
fn outcome(unwinding: Unwinding, rest: Rest) -> Outcome {
    let at_rest = |trace| Trace { taken: Some(Taken::AtRest), ..trace };
    match unwinding {
        Ok(trace) => Outcome::Taken(at_rest(trace), rest),
        Err(certain) => Outcome::Open(certain.map(at_rest)),
    }
}

/// The registers that hold the arguments of a system call, by their DWARF numbers. They are known
/// as well: the kernel's code has registers of its own.
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [usize; 6] = [5, 4, 1, 10, 8, 9];
#[cfg(target_arch = "aarch64")]
const ARGUMENTS: [usize; 6] = [0, 1, 2, 3, 4, 5];

fn registers(rest: &Rest) -> Registers {
    let mut registers = Registers::at_rest(rest.ip(), rest.sp());
    for (register, value) in ARGUMENTS.into_iter().zip(rest.arguments().into_iter().flatten()) {
        registers.set(register, Some(value));
    }
    registers
}

/// The length of the first copy of a stack. It ends with a page: the next page may not be mapped,
/// and looking it up takes time.
fn initial_length(sp: u64) -> usize {
    let end = sp.saturating_add(INITIAL_COPY as u64).div_ceil(PAGE as u64).saturating_mul(PAGE as u64);
    usize::try_from(end.saturating_sub(sp)).unwrap_or(0)
}

/// Changes the pieces of a stack, by their addresses and lengths, so that they hold this address:
/// one of them grows, or there is another one. False if there is nothing to copy.
fn extend(pieces: &mut Vec<(u64, usize)>, address: u64) -> bool {
    let is_of = |&&mut (start, length): &&mut (u64, usize)| {
        (start..start.saturating_add(length as u64).saturating_add(MAX_GAP)).contains(&address)
    };
    if let Some((start, length)) = pieces.iter_mut().find(is_of) {
        let needed = usize::try_from(address - *start).unwrap_or(MAX_COPY) + PAGE;
        let before = *length;
        *length = (before.saturating_mul(GROWTH)).max(needed).min(MAX_COPY);
        return *length > before;
    }
    if pieces.len() == MAX_STACKS {
        return false;
    }
    pieces.push((address & !(PAGE as u64 - 1), SECOND_COPY));
    true
}

/// Copies these pieces, each as far as its memory is mapped.
fn copy_all<'a>(buffer: &'a mut Option<MappedBuffer>, pieces: &[(u64, usize)]) -> Vec<Piece<'a>> {
    let length = pieces.iter().map(|(_, length)| length).sum();
    if buffer.as_ref().is_none_or(|buffer| buffer.len() < length) {
        *buffer = MappedBuffer::new(length).ok();
    }
    let Some(buffer) = buffer else { return Vec::new() };
    let lengths = memory::read_many(pieces, buffer);
    let mut rest: &[u8] = buffer;
    let mut copies = Vec::with_capacity(pieces.len());
    for (&(start, length), filled) in pieces.iter().zip(lengths) {
        let (piece, behind) = rest.split_at(length);
        copies.push((start, &piece[..filled]));
        rest = behind;
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_ends_with_a_page() {
        for sp in [0x7000_0000, 0x7000_0008, 0x7000_0400, 0x7000_0ff8] {
            let length = initial_length(sp);
            assert!((INITIAL_COPY..INITIAL_COPY + PAGE).contains(&length), "{length}");
            assert_eq!((sp + length as u64) % PAGE as u64, 0);
        }
        assert!(initial_length(u64::MAX - 7) < 8);
    }

    #[test]
    fn a_stack_that_goes_on_grows_and_other_stacks_are_added() {
        let mut pieces = vec![(0x7000_0000, 0x1000)];
        assert!(extend(&mut pieces, 0x7000_1000));
        assert_eq!(pieces, [(0x7000_0000, 0x4000)]);
        assert!(extend(&mut pieces, 0x7008_0008), "a large frame");
        assert_eq!(pieces, [(0x7000_0000, 0x8_1008)]);
        assert!(extend(&mut pieces, 0x1234_5678), "another stack");
        assert_eq!(pieces[1], (0x1234_5000, SECOND_COPY));
        assert!(extend(&mut pieces, 0x1234_5000 + SECOND_COPY as u64));
        assert_eq!(pieces[1], (0x1234_5000, 4 * SECOND_COPY));
        assert!((2..MAX_STACKS as u64).all(|number| extend(&mut pieces, number << 32)));
        assert!(!extend(&mut pieces, 99 << 32), "too many");
        pieces[0].1 = MAX_COPY;
        assert!(!extend(&mut pieces, 0x7000_0000 + MAX_COPY as u64), "large enough");
    }
}
