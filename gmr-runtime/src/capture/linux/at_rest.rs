//! Reads the stacks of blocked threads from memory, without their cooperation.
//!
//! The kernel shows the stack pointer and the instruction pointer of a blocked thread. Its stack is
//! in this process's memory, and is copied by the kernel, which stops at memory that is no longer
//! mapped. A copy counts only if the thread has not run since its moment was read. The copies are
//! unwound before that is known: the unwinder takes any bytes.
//!
//! The first copy has only pages that are in memory. Other pages are fetched only if a frame lies
//! in them. This happens where a userfaultfd or a file provides the stack.

use std::time::Duration;

use super::arch::Registers;
use super::unwind::{Piece, Unwinder, Unwound};
use crate::capture::Trace;
use crate::model::Taken;
use crate::sys::current_tid;
use crate::sys::linux::mapping::MappedBuffer;
use crate::sys::linux::memory::{self, Fetched};
use crate::sys::linux::{parallel, scheduler};
use crate::threads::linux::{Observer, Rest};

/// How much of a stack is copied at first, extended to the end of the page. For most waiting
/// threads, no more is read.
const INITIAL_COPY: usize = 3 << 10;
/// The smallest page size there is; where pages are larger, the copy ends within one.
const PAGE: usize = 4 << 10;
/// The factor by which a copy grows when the stack does not end within it.
const GROWTH: usize = 4;
/// The most that is copied of any thread's stacks.
const MAX_COPY: usize = 64 << 20;
/// The most pieces of a thread's stacks that are copied. There are several if coroutines have
/// resumed others, or if a very large array, which is not copied as a whole, separates the frames.
const MAX_PIECES: usize = 256;
/// How much processor time each reading thread may use. It waits for no other thread, so time in
/// which the machine or a quota gives it no CPU time does not count.
const OWN_WORK: Duration = Duration::from_secs(1);
/// How much is copied at first of a further piece: of the same stack beyond a very large array, or
/// of another stack, which a signal handler on an alternate stack has interrupted or from which a
/// coroutine was resumed.
const FURTHER_COPY: usize = 32 << 10;

/// A thread that was blocked: its index in the list of threads, its id, and the moment.
pub(super) type Blocked = (usize, u32, Rest);

/// The outcome of reading a stack.
pub(super) enum Outcome {
    /// The stack at this moment.
    Taken(Trace, Rest),
    /// The thread runs, it keeps running in between, or its stack needs a register that the kernel
    /// does not show. These are the frames that are certain.
    Open(Option<Trace>),
    /// Its stack continues in memory that does not arrive. These are the frames before that.
    Unserved(Trace),
}

/// Why a stack ends before memory that does not arrive.
pub(super) const UNSERVED: &str =
    "its stack could not be read: a userfaultfd or a file system does not provide its memory";

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
        let mut reader = Reader::new(observer, &mut unwinder);
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
    Reader::new(observer, unwinder).read_single(tid, rest.ok().flatten())
}

/// For a thread that is observed only once: no second thread with the same id can be meant.
const NO_INODE: u64 = 0;

struct Reader<'a> {
    observer: Observer,
    unwinder: &'a mut Unwinder,
    /// For the first copies of the stacks of a chunk.
    first: Option<MappedBuffer>,
    /// For stacks that are longer than the first copy.
    grown: Option<MappedBuffer>,
}

/// A piece of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    start: u64,
    /// How many bytes are to be copied, and how many were.
    length: usize,
    copied: usize,
}

impl<'a> Reader<'a> {
    fn new(observer: Observer, unwinder: &'a mut Unwinder) -> Self {
        Self { observer, unwinder, first: None, grown: None }
    }

    /// Copies the stacks of all these threads at once. Those of threads that have run meanwhile are
    /// copied once more, one by one.
    fn read(&mut self, threads: &[Blocked]) -> Vec<(usize, Outcome)> {
        let pieces: Vec<(u64, usize)> =
            threads.iter().map(|(_, _, rest)| (rest.sp(), initial_length(rest.sp()))).collect();
        let length = pieces.iter().map(|(_, length)| length).sum();
        // The buffer is kept for all chunks: to map it again for each one takes as long as the
        // copy.
        let Some(mut copies) = buffer_of(&mut self.first, length).take() else {
            return threads.iter().map(|&(index, ..)| (index, Outcome::Open(None))).collect();
        };
        let lengths = memory::read_many(&pieces, &mut copies);
        let mut offset = 0;
        let mut outcomes = Vec::with_capacity(threads.len());
        let mut moved = Vec::new();
        for ((&(index, tid, rest), filled), (_, length)) in threads.iter().zip(lengths).zip(pieces) {
            let unwound = self.unwind(&rest, &copies[offset..offset + filled], length);
            offset += length;
            if self.observer.is_unchanged(tid, &rest) {
                outcomes.push((index, outcome(unwound, rest)));
            } else {
                moved.push((index, tid, rest));
            }
        }
        self.first = Some(copies);
        for (index, tid, before) in moved {
            let now = self.observer.observe_again(tid, &before);
            outcomes.push((index, self.read_single(tid, now)));
        }
        outcomes
    }

    fn read_single(&mut self, tid: u32, rest: Option<Rest>) -> Outcome {
        let Some(rest) = rest else { return Outcome::Open(None) };
        let mut copy = [0; INITIAL_COPY + PAGE];
        let length = initial_length(rest.sp());
        let copied = memory::read_ready(rest.sp(), &mut copy[..length], None);
        let unwound = self.unwind(&rest, &copy[..copied], length);
        if self.observer.is_unchanged(tid, &rest) { outcome(unwound, rest) } else { Outcome::Open(None) }
    }

    /// Unwinds a stack. `copy` is its beginning: the part of its first `length` bytes that was in
    /// memory. Copies more where that is needed.
    fn unwind(&mut self, rest: &Rest, copy: &[u8], length: usize) -> Unwinding {
        let registers = registers(rest);
        let mut pieces = vec![Extent { start: rest.sp(), length, copied: copy.len() }];
        let mut unwound = self.unwinder.unwind(registers, &[(rest.sp(), copy)]);
        loop {
            let (trace, address) = match unwound {
                Unwound::Ended(trace) => return Ok(trace),
                Unwound::Uncertain(trace) => return Err(Unfinished::Open(Some(trace))),
                Unwound::Incomplete(trace, address) => (trace, address),
            };
            // A recovered frame pointer is certain only if the stack reaches the thread's first
            // function.
            if !extend(&mut pieces, address) {
                return Err(Unfinished::Open(None));
            }
            let copied = total(&pieces);
            copy_all(&mut self.grown, &mut pieces);
            if total(&pieces) <= copied {
                // The page is not in memory, or not mapped.
                match memory::provide(address, size_of::<u64>()) {
                    Fetched::Whole => copy_all(&mut self.grown, &mut pieces),
                    Fetched::Unserved => return Err(Unfinished::Unserved(trace)),
                    Fetched::Unreadable => return Err(Unfinished::Open(None)),
                }
                if total(&pieces) <= copied {
                    return Err(Unfinished::Open(None));
                }
            }
            unwound = self.unwinder.unwind(registers, &copies_of(self.grown.as_deref(), &pieces));
        }
    }
}

/// The stack, or why it is not complete.
type Unwinding = Result<Trace, Unfinished>;

/// A stack that was not read to its end, with the frames that are certain.
enum Unfinished {
    Open(Option<Trace>),
    Unserved(Trace),
}

/// The outcome, which counts only if the thread has not run.
fn outcome(unwinding: Unwinding, rest: Rest) -> Outcome {
    let at_rest = |trace| Trace { taken: Some(Taken::AtRest), ..trace };
    match unwinding {
        Ok(trace) => Outcome::Taken(at_rest(trace), rest),
        Err(Unfinished::Open(certain)) => Outcome::Open(certain.map(at_rest)),
        Err(Unfinished::Unserved(trace)) => {
            Outcome::Unserved(Trace { incomplete: Some(UNSERVED.to_owned()), ..at_rest(trace) })
        }
    }
}

/// The registers that hold the arguments of a system call, by their DWARF numbers. They are known
/// as well: the kernel's code has registers of its own.
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [usize; 6] = [5, 4, 1, 10, 8, 9];
#[cfg(target_arch = "aarch64")]
const ARGUMENTS: [usize; 6] = [0, 1, 2, 3, 4, 5];

pub(super) fn registers(rest: &Rest) -> Registers {
    let mut registers = Registers::at_rest(rest.ip(), rest.sp());
    for (register, value) in ARGUMENTS.into_iter().zip(rest.arguments().into_iter().flatten()) {
        registers.set(register, Some(value));
    }
    registers
}

/// The length of the first copy of a stack. It ends with a page: the next page may not be mapped,
/// and looking it up takes time.
pub(super) fn initial_length(sp: u64) -> usize {
    let end = sp.saturating_add(INITIAL_COPY as u64).div_ceil(PAGE as u64).saturating_mul(PAGE as u64);
    usize::try_from(end.saturating_sub(sp)).unwrap_or(0)
}

/// Changes the pieces of a stack so that they include this address, which none of them does: one of
/// them grows, or a new one is added. False if there is nothing to copy.
fn extend(pieces: &mut Vec<Extent>, address: u64) -> bool {
    let left = MAX_COPY.saturating_sub(pieces.iter().map(|piece| piece.length).sum());
    // A piece that was copied only in part does not grow: what follows is not in memory.
    let grows = |piece: &&mut Extent| {
        let grown = piece.length.saturating_mul(GROWTH) as u64;
        piece.copied == piece.length && (piece.start..piece.start.saturating_add(grown)).contains(&address)
    };
    if let Some(piece) = pieces.iter_mut().find(grows) {
        let before = piece.length;
        piece.length = before.saturating_mul(GROWTH).min(before + left);
        return piece.length > before;
    }
    let start = address & !(PAGE as u64 - 1);
    if pieces.len() == MAX_PIECES || left == 0 || pieces.iter().any(|piece| piece.start == start) {
        return false;
    }
    pieces.push(Extent { start, length: FURTHER_COPY.min(left), copied: 0 });
    true
}

/// How many bytes of these pieces were copied.
fn total(pieces: &[Extent]) -> usize {
    pieces.iter().map(|piece| piece.copied).sum()
}

/// Copies these pieces, each as far as it is in memory.
fn copy_all(buffer: &mut Option<MappedBuffer>, pieces: &mut [Extent]) {
    let wanted: Vec<(u64, usize)> = pieces.iter().map(|piece| (piece.start, piece.length)).collect();
    let lengths = match buffer_of(buffer, wanted.iter().map(|(_, length)| length).sum()) {
        Some(buffer) => memory::read_many(&wanted, buffer),
        None => vec![0; wanted.len()],
    };
    for (piece, copied) in pieces.iter_mut().zip(lengths) {
        piece.copied = copied;
    }
}

/// What was copied of these pieces.
fn copies_of<'a>(buffer: Option<&'a [u8]>, pieces: &[Extent]) -> Vec<Piece<'a>> {
    let mut rest = buffer.unwrap_or_default();
    let copy = |piece: &Extent| {
        let (copy, behind) = rest.split_at_checked(piece.length)?;
        rest = behind;
        Some((piece.start, &copy[..piece.copied]))
    };
    pieces.iter().map_while(copy).collect()
}

/// The buffer, if it is long enough or can be replaced by one that is.
fn buffer_of(buffer: &mut Option<MappedBuffer>, length: usize) -> &mut Option<MappedBuffer> {
    if buffer.as_ref().is_none_or(|buffer| buffer.len() < length) {
        // Unmap the old one first.
        *buffer = None;
        *buffer = MappedBuffer::new(length).ok();
    }
    buffer
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

    /// Copies all of each piece.
    fn copied(pieces: &mut [Extent]) -> Vec<(u64, usize)> {
        for piece in &mut *pieces {
            piece.copied = piece.length;
        }
        pieces.iter().map(|piece| (piece.start, piece.length)).collect()
    }

    #[test]
    fn a_stack_that_goes_on_grows_and_other_pieces_are_added() {
        let mut pieces = vec![Extent { start: 0x7000_0000, length: 0x1000, copied: 0x1000 }];
        assert!(extend(&mut pieces, 0x7000_1000));
        assert_eq!(copied(&mut pieces), [(0x7000_0000, 0x4000)]);
        assert!(extend(&mut pieces, 0x7030_0008), "behind a large array");
        assert!(extend(&mut pieces, 0x1234_5678), "another stack");
        let three = [(0x7000_0000, 0x4000), (0x7030_0000, FURTHER_COPY), (0x1234_5000, FURTHER_COPY)];
        assert_eq!(copied(&mut pieces), three);
        assert!(extend(&mut pieces, 0x1234_5000 + FURTHER_COPY as u64));
        assert_eq!(copied(&mut pieces)[2], (0x1234_5000, GROWTH * FURTHER_COPY));
    }

    #[test]
    fn a_piece_does_not_grow_beyond_what_is_in_memory() {
        let mut pieces = vec![Extent { start: 0x7000_0800, length: 0x1800, copied: 0x800 }];
        assert!(extend(&mut pieces, 0x7000_1010));
        assert_eq!((pieces[0].length, pieces[1].start), (0x1800, 0x7000_1000));
        assert!(!extend(&mut pieces, 0x7000_1010), "it was not there either");
    }

    #[test]
    fn what_is_copied_of_a_stack_is_bounded() {
        let mut pieces = vec![Extent { start: 0x7000_0000, length: MAX_COPY - 1, copied: MAX_COPY - 1 }];
        assert!(extend(&mut pieces, 0x7000_0000 + MAX_COPY as u64));
        assert_eq!(copied(&mut pieces), [(0x7000_0000, MAX_COPY)]);
        assert!(!extend(&mut pieces, 0x7000_0000 + MAX_COPY as u64));
        assert!(!extend(&mut pieces, 0x1000), "another piece");
        let mut pieces = Vec::new();
        assert!((1..=MAX_PIECES as u64).all(|number| extend(&mut pieces, number << 32)));
        assert!(!extend(&mut pieces, 999 << 32));
    }
}
