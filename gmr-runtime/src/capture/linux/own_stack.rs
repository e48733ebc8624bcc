//! The calling thread's own stack, from one of gmr's functions up to an object in an outer frame.
//!
//! It reads registers and memory, and nothing else: it takes no lock, allocates only for a copy,
//! and unwinds nothing. Programs call it inside their polls.

#![allow(unsafe_code)]

use std::arch::asm;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::arch::Registers;
use crate::sys::linux::copy;

/// The most that is read of a stack. Polls take some KiB; those of a debug build can have large
/// frames, since values are moved on the stack there.
const LIMIT: usize = 256 << 10;

/// The smallest page size there is.
const PAGE: usize = 4 << 10;

const WORD: usize = size_of::<u64>();

/// Counts the looks. A look is one round of reading stacks: memory that was verified in an earlier
/// one is verified again.
static LOOK: AtomicU64 = AtomicU64::new(0);

/// A range of addresses that the kernel could read, and the look in which it could.
#[derive(Clone, Copy)]
struct Verified {
    look: u64,
    start: usize,
    end: usize,
}

thread_local! {
    /// A part of this thread's stack that can be read.
    static VERIFIED: Cell<Verified> = const { Cell::new(Verified { look: 0, start: 0, end: 0 }) };
}

/// Begins a look: every thread verifies its stack again before it reads it.
pub(super) fn begin_look() {
    LOOK.fetch_add(1, Ordering::Relaxed);
}

/// Marks how far a stack is read: up to this object, which a function keeps in its frame while it
/// calls others.
#[derive(Debug)]
pub(crate) struct Root {
    thread: usize,
}

impl Root {
    /// For a frame of the calling thread.
    pub(crate) fn new() -> Self {
        Self { thread: this_thread() }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// A number that identifies the calling thread among all that exist at the same time.
fn this_thread() -> usize {
    // On some platforms, a thread that is ending has none; 0 matches no other thread.
    VERIFIED.try_with(|verified| std::ptr::from_ref(verified).addr()).unwrap_or(0)
}

/// The registers of a function, at an instruction within it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnRegisters {
    ip: u64,
    sp: u64,
    saved: [u64; SAVED],
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use super::{OwnRegisters, SAVED, asm};

    /// The DWARF numbers of the registers that a function saves: `rbx`, `rbp`, and `r12` to `r15`.
    pub(super) const NUMBERS: [usize; 6] = [3, 6, 12, 13, 14, 15];

    impl OwnRegisters {
        /// The registers of the calling function, which must not have returned when its stack is
        /// read.
        #[inline(always)]
        #[allow(clippy::inline_always, reason = "they are those of the function that it is inlined into")]
        pub(crate) fn here() -> Self {
            let mut registers = Self { ip: 0, sp: 0, saved: [0; SAVED] };
            // SAFETY: it reads registers, and writes to six words of the array that it was given.
            // It changes neither the stack nor the flags. A register that the compiler picks for an
            // operand is either not one of the six, or the function has saved that one, and its
            // unwind information says where.
            unsafe {
                asm!(
                    "lea {ip}, [rip]",
                    "mov {sp}, rsp",
                    "mov [{saved}], rbx",
                    "mov [{saved} + 8], rbp",
                    "mov [{saved} + 16], r12",
                    "mov [{saved} + 24], r13",
                    "mov [{saved} + 32], r14",
                    "mov [{saved} + 40], r15",
                    ip = out(reg) registers.ip,
                    sp = out(reg) registers.sp,
                    saved = in(reg) registers.saved.as_mut_ptr(),
                    options(nostack, preserves_flags),
                );
            }
            registers
        }
    }

    /// Loads the word at an address.
    ///
    /// # Safety
    /// The eight bytes there must be readable.
    #[inline]
    pub(super) unsafe fn load(address: usize) -> u64 {
        let word: u64;
        // SAFETY: the caller guarantees that it can be read. The compiler makes no assumptions
        // about what an instruction in assembly reads.
        unsafe {
            asm!("mov {word}, qword ptr [{address}]", address = in(reg) address, word = out(reg) word,
                options(nostack, preserves_flags, readonly));
        }
        word
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod imp {
    use super::{OwnRegisters, SAVED, asm};

    /// The DWARF numbers of the registers that a function saves: `x19` to `x30`.
    pub(super) const NUMBERS: [usize; 12] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30];

    impl OwnRegisters {
        /// The registers of the calling function, which must not have returned when its stack is
        /// read.
        #[inline(always)]
        #[allow(clippy::inline_always, reason = "they are those of the function that it is inlined into")]
        pub(crate) fn here() -> Self {
            let mut registers = Self { ip: 0, sp: 0, saved: [0; SAVED] };
            // SAFETY: it reads registers, and writes to twelve words of the array that it was
            // given. It changes neither the stack nor the flags. A register that the compiler picks
            // for an operand is either not one of the twelve, or the function has saved that one,
            // and its unwind information says where.
            unsafe {
                asm!(
                    "adr {ip}, .",
                    "mov {sp}, sp",
                    "stp x19, x20, [{saved}]",
                    "stp x21, x22, [{saved}, #16]",
                    "stp x23, x24, [{saved}, #32]",
                    "stp x25, x26, [{saved}, #48]",
                    "stp x27, x28, [{saved}, #64]",
                    "stp x29, x30, [{saved}, #80]",
                    ip = out(reg) registers.ip,
                    sp = out(reg) registers.sp,
                    saved = in(reg) registers.saved.as_mut_ptr(),
                    options(nostack, preserves_flags),
                );
            }
            registers
        }
    }

    /// Loads the word at an address.
    ///
    /// # Safety
    /// The eight bytes there must be readable.
    #[inline]
    pub(super) unsafe fn load(address: usize) -> u64 {
        let word: u64;
        // SAFETY: the caller guarantees that it can be read. The compiler makes no assumptions
        // about what an instruction in assembly reads.
        unsafe {
            asm!("ldr {word}, [{address}]", address = in(reg) address, word = out(reg) word,
                options(nostack, preserves_flags, readonly));
        }
        word
    }
}

/// Miri runs no assembly: a stack is never read there.
#[cfg(miri)]
mod imp {
    use super::{OwnRegisters, SAVED};

    pub(super) const NUMBERS: [usize; 0] = [];

    impl OwnRegisters {
        pub(crate) fn here() -> Self {
            Self { ip: 0, sp: u64::MAX, saved: [] }
        }
    }

    pub(super) unsafe fn load(_: usize) -> u64 {
        0
    }
}

const SAVED: usize = imp::NUMBERS.len();

impl OwnRegisters {
    /// A caller's other registers are lost: a function need not save them.
    fn for_unwinder(&self) -> Registers {
        let mut registers = Registers::at_rest(self.ip, self.sp);
        for (number, value) in imp::NUMBERS.into_iter().zip(self.saved) {
            registers.set(number, Some(value));
        }
        registers
    }
}

/// A part of the calling thread's stack that can be read.
pub(crate) struct OwnStack<'a> {
    registers: &'a OwnRegisters,
    /// How many words lie between the stack pointer and the root.
    words: usize,
    /// It belongs to this thread.
    not_send: std::marker::PhantomData<*const ()>,
}

impl<'a> OwnStack<'a> {
    /// The stack from the function that these registers belong to, up to the root, or the reason
    /// why it can't be read.
    pub(crate) fn new(registers: &'a OwnRegisters, root: &Root) -> Result<Self, &'static str> {
        if root.thread == 0 || root.thread != this_thread() {
            return Err("its waker was cloned by another thread");
        }
        let sp = usize::try_from(registers.sp).map_err(|_| ON_ANOTHER_STACK)?;
        let length = root.address().checked_sub(sp).ok_or(ON_ANOTHER_STACK)?;
        if length > LIMIT {
            return Err("its poll is more than 256 KiB deep, or on another stack");
        }
        if !can_be_read(sp, root.address()) {
            return Err(ON_ANOTHER_STACK);
        }
        Ok(Self { registers, words: length / WORD, not_send: std::marker::PhantomData })
    }

    /// Copies it.
    pub(crate) fn copy(&self) -> StackCopy {
        let bytes = (SAVED..SAVED + self.words).flat_map(|index| self.word(index).to_ne_bytes()).collect();
        StackCopy { registers: *self.registers, bytes }
    }

    /// How many bytes a copy takes.
    pub(crate) fn len(&self) -> usize {
        self.words * WORD
    }
}

const ON_ANOTHER_STACK: &str = "its waker was cloned on another stack, such as a coroutine's";

/// Whether all memory between two addresses of this thread's stack can be read: there is no guard
/// page between them.
fn can_be_read(start: usize, end: usize) -> bool {
    let look = LOOK.load(Ordering::Relaxed);
    let check = |cell: &Cell<Verified>| {
        let known = Some(cell.get()).filter(|known| known.look == look);
        if known.is_some_and(|known| known.start <= start && end <= known.end) {
            return true;
        }
        let (first, end) = (start & !(PAGE - 1), end.next_multiple_of(PAGE));
        for page in (first..end).step_by(PAGE) {
            let is_known = known.is_some_and(|known| (known.start..known.end).contains(&page));
            if !is_known && copy::read(page as u64, &mut [0]) != 1 {
                return false;
            }
        }
        let touching = known.filter(|known| known.start <= end && first <= known.end);
        let (start, end) =
            touching.map_or((first, end), |known| (first.min(known.start), end.max(known.end)));
        cell.set(Verified { look, start, end });
        true
    };
    VERIFIED.try_with(check).unwrap_or(false)
}

/// A copy of a stack, from a stack pointer up.
pub(crate) struct StackCopy {
    registers: OwnRegisters,
    bytes: Box<[u8]>,
}

impl StackCopy {
    pub(super) fn for_unwinder(&self) -> Registers {
        self.registers.for_unwinder()
    }

    /// The stack pointer, and the bytes from there on.
    pub(super) fn piece(&self) -> (u64, &[u8]) {
        (self.registers.sp, &self.bytes)
    }

    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// What makes the same unwinder find the same frames in another stack: the words of a copy that
/// unwinding can have used.
///
/// Unwinding is a function of the code address, the registers and the words that it reads. It finds
/// a caller at the return address, and the place of that address from the stack pointer, or from a
/// register or word that points into the stack. So these words are kept, and all that might be:
/// each that equals one of the return addresses, and each that points into the stack, by its
/// distance to the stack pointer. If they are the same in another stack of the same length, each
/// step leads to the same place and finds the same address there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    ip: u64,
    words: usize,
    /// Words by their index, which are return addresses.
    addresses: Box<[(u32, u64)]>,
    /// Words by their index, which are that far from the stack pointer.
    pointers: Box<[(u32, u64)]>,
}

impl Shape {
    /// The shape of a copy in which the unwinder found these code addresses.
    pub(super) fn of(copy: &StackCopy, is_address: impl Fn(u64) -> bool) -> Self {
        let (sp, length) = (copy.registers.sp, copy.bytes.len() as u64);
        let (mut addresses, mut pointers) = (Vec::new(), Vec::new());
        for (index, word) in (0..).zip((0..SAVED + copy.words()).map(|index| copy.word(index))) {
            let offset = word.wrapping_sub(sp);
            if is_address(word) {
                addresses.push((index, word));
            } else if offset <= length {
                pointers.push((index, offset));
            }
        }
        Self {
            ip: copy.registers.ip,
            words: copy.bytes.len() / WORD,
            addresses: addresses.into(),
            pointers: pointers.into(),
        }
    }

    pub(super) fn is_of(&self, stack: &impl Words) -> bool {
        let sp = stack.registers().sp;
        let word = |index: u32| stack.word(index as usize);
        self.ip == stack.registers().ip
            && self.words == stack.words()
            && self.addresses.iter().all(|&(index, address)| word(index) == address)
            && self.pointers.iter().all(|&(index, offset)| word(index).wrapping_sub(sp) == offset)
    }
}

/// A stack as words: those of the registers, then those from the stack pointer up.
pub(crate) trait Words {
    fn registers(&self) -> &OwnRegisters;

    /// How many words of the stack there are.
    fn words(&self) -> usize;

    /// A word; one that is not there is 0.
    fn word(&self, index: usize) -> u64;
}

impl Words for OwnStack<'_> {
    fn registers(&self) -> &OwnRegisters {
        self.registers
    }

    fn words(&self) -> usize {
        self.words
    }

    fn word(&self, index: usize) -> u64 {
        let Some(of_stack) = index.checked_sub(SAVED) else { return self.registers.saved[index] };
        if of_stack >= self.words {
            return 0;
        }
        let address = usize::try_from(self.registers.sp).unwrap_or_default() + of_stack * WORD;
        // If the ends are on two stacks, there is a guard page between them, which cannot be read,
        // so that the look is refused. That leaves two stacks which both have none, such as two
        // coroutines' on the heap, at most `LIMIT` apart: what is between them must stay mapped
        // during the look, as what an allocator has in small pieces does.
        //
        // SAFETY: the word lies between the stack pointer and the root, and in this look the kernel
        // could read every page in between (`can_be_read`). They stay readable: both ends are on
        // stacks that this thread is running on, and those are not unmapped while it does; for what
        // is between two stacks, see above.
        unsafe { imp::load(address) }
    }
}

impl Words for StackCopy {
    fn registers(&self) -> &OwnRegisters {
        &self.registers
    }

    fn words(&self) -> usize {
        self.bytes.len() / WORD
    }

    fn word(&self, index: usize) -> u64 {
        let Some(of_stack) = index.checked_sub(SAVED) else { return self.registers.saved[index] };
        let word = self.bytes.get(of_stack * WORD..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| u64::from_ne_bytes(*word))
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    fn all(stack: &impl Words) -> Vec<u64> {
        (0..SAVED + stack.words()).map(|index| stack.word(index)).collect()
    }

    /// Calls `each` with the stack of a function that has the array in its frame.
    #[inline(never)]
    fn at_depth(array: [u64; 8], root: &Root, each: impl FnOnce(Result<OwnStack<'_>, &'static str>)) {
        let array = std::hint::black_box(array);
        let registers = OwnRegisters::here();
        call(each, OwnStack::new(&registers, root));
        std::hint::black_box(array);
    }

    /// In a frame of its own, also in an optimized build: the frames that are read do not change.
    #[inline(never)]
    fn call<T>(each: impl FnOnce(T), with: T) {
        each(with);
    }

    #[test]
    fn the_words_of_the_callers_are_read() {
        let root = Root::new();
        at_depth([0x4711_4711_4711_4711; 8], &root, |stack| {
            let stack = stack.unwrap();
            let copy = stack.copy();
            assert_eq!(copy.len(), stack.len());
            assert!(all(&copy).contains(&0x4711_4711_4711_4711), "a local variable is in it");
            assert_eq!(all(&copy), all(&stack));
        });
    }

    #[test]
    fn the_stack_of_another_thread_is_refused() {
        let root = Root::new();
        std::thread::scope(|scope| {
            scope.spawn(|| at_depth([0; 8], &root, |stack| assert!(stack.is_err())));
        });
    }

    #[inline(never)]
    #[allow(clippy::large_stack_arrays, reason = "it is what is tested")]
    fn with_a_large_array(root: &Root) {
        let space = std::hint::black_box([0_u8; LIMIT + PAGE]);
        at_depth([0; 8], root, |stack| assert!(stack.is_err()));
        std::hint::black_box(space);
    }

    #[test]
    fn a_root_that_is_far_away_or_not_on_the_stack_is_refused() {
        let root = Box::new(Root::new());
        at_depth([0; 8], &root, |stack| assert!(stack.is_err()));
        with_a_large_array(&Root::new());
    }

    #[test]
    fn memory_with_a_hole_is_refused() {
        use crate::sys::linux::mapping::Mapping;
        // Large, so that no other test of this process maps something at the same address
        // meanwhile.
        let mapping = Mapping::reserve(1 << 30).unwrap();
        let start = mapping.base().addr();
        begin_look();
        assert!(can_be_read(start, start + 2 * PAGE));
        drop(mapping);
        assert!(can_be_read(start, start + PAGE), "it was verified in this look");
        begin_look();
        assert!(!can_be_read(start, start + 2 * PAGE));
    }

    #[test]
    fn a_shape_is_of_the_stacks_that_unwind_to_the_same_frames() {
        let root = Root::new();
        let mut shapes = Vec::new();
        // Twice: the first time, this function's own frame has yet to be filled.
        for marker in [0x1717, 0x1718, 0x1719, 0x1717, 0x1718, 0x1719] {
            at_depth([marker; 8], &root, |stack| {
                let stack = stack.unwrap();
                let copy = stack.copy();
                shapes.push((Shape::of(&copy, |_| false), Shape::of(&copy, |word| word == marker)));
                let of_this = |shape: &Shape| shape.is_of(&stack) && shape.is_of(&copy);
                let second = shapes.get(3..).unwrap_or_default();
                assert!(second.iter().all(|(shape, _)| of_this(shape)), "data does not matter");
                let (last, others) = shapes.split_last().unwrap();
                assert!(of_this(&last.1));
                let others = &others[others.len().min(3)..];
                assert!(!others.iter().any(|(_, shape)| of_this(shape)), "addresses do");
            });
        }
    }
}
