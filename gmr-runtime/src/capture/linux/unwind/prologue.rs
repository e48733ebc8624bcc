//! Finds the frame pointer of a blocked thread's frame, of which only the stack pointer is known:
//! follows the stack pointer through the code of the function, and checks what calls it.
//!
//! Nothing here is a guess: where the code is not understood, or two of its paths do not agree,
//! there is no answer.

use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use super::aarch64::{decode, probing_loop};
use super::instruction::{Code, Effect, Target};
#[cfg(target_arch = "x86_64")]
use super::x86_64::{decode, probing_loop};
use crate::sys::linux::memory;

/// Functions with more code than this are not followed. Those that wait are much shorter.
const MAX_CODE: u64 = 256 << 10;

/// How the frame pointer follows from the stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FramePointer {
    /// How far it is above the stack pointer; if the function aligns its stack pointer, how far the
    /// aligned address is above it.
    above_stack: u64,
    /// What the stack pointer was aligned to, and how far it was below the frame pointer then.
    alignment: Option<(u64, u64)>,
}

impl FramePointer {
    /// The values it can have. More than one only if the function aligns its stack pointer.
    pub(super) fn candidates(self, sp: u64) -> impl Iterator<Item = u64> {
        let base = sp.wrapping_add(self.above_stack);
        let (to, above) = self.alignment.unwrap_or((8, 0));
        // The stack pointer is a multiple of 16 at each call, and so is the frame pointer.
        let is_possible = move |candidate: &u64| self.alignment.is_none() || candidate.is_multiple_of(16);
        let steps = if base.is_multiple_of(to) { 0..to / 8 } else { 0..0 };
        steps.map(move |step| base.wrapping_add(above).wrapping_add(step * 8)).filter(is_possible)
    }
}

/// Reads the code of a function, from its first address to its end.
fn read((start, end): (u64, u64)) -> Option<Vec<u8>> {
    let length = end.checked_sub(start).filter(|&length| length <= MAX_CODE)?;
    memory::read_exact(start, usize::try_from(length).ok()?)
}

/// How the frame pointer follows from the stack pointer in the code at `address`, if the function
/// shows that. The address is the one that a frame is looked up by.
pub(super) fn frame_pointer(function: (u64, u64), address: u64) -> Option<FramePointer> {
    let bytes = read(function)?;
    let offset = usize::try_from(address.checked_sub(function.0)?).ok()?;
    Walk::new(&Code { start: function.0, bytes: &bytes }).depth_at(offset)
}

/// What is called by the instruction that ends after `address`. `None` if that is no call.
pub(super) fn call_at(function: (u64, u64), address: u64) -> Option<Target> {
    let bytes = read(function)?;
    let code = Code { start: function.0, bytes: &bytes };
    let last = usize::try_from(address.checked_sub(function.0)?).ok()?;
    let mut offset = 0;
    while offset <= last {
        let (length, effect) = decode(&code, offset)?;
        offset += length;
        if let (true, Effect::Call(target)) = (offset == last + 1, effect) {
            return Some(target);
        }
    }
    None
}

/// From `call rax` to `call [rax + 8 * rbx + distance]`. A longer call ends with the bytes of one
/// of these. On aarch64, all instructions have the same length.
const LENGTHS: std::ops::RangeInclusive<usize> = if cfg!(target_arch = "x86_64") { 2..=7 } else { 4..=4 };

/// How long a call can be.
pub(super) const LONGEST_CALL: usize = *LENGTHS.end();

/// Whether the bytes before this address can be those of a call, wherever its instruction begins.
/// `is_code` returns whether a call can lead to an address.
pub(super) fn follows_call(address: u64, is_code: impl FnMut(u64) -> bool) -> bool {
    let mut buffer = [0; LONGEST_CALL];
    ends_with_call(address, bytes_before(address, &mut buffer), is_code)
}

/// The same for the bytes `before` the address, which have been read. It allocates nothing.
pub(super) fn ends_with_call(address: u64, before: &[u8], mut is_code: impl FnMut(u64) -> bool) -> bool {
    LENGTHS.into_iter().any(|length| {
        let Some(start) = before.len().checked_sub(length) else { return false };
        let bytes = &before[start..];
        match decode(&Code { start: address.wrapping_sub(length as u64), bytes }, 0) {
            Some((decoded, Effect::Call(target))) if decoded == length => match target {
                Target::Code(target) => is_code(target),
                Target::Slot(_) | Target::Unknown => true,
            },
            _ => false,
        }
    })
}

/// Reads the code before this address into the end of the buffer. The result is shorter than the
/// buffer if the code is at the start of a page and nothing is mapped below that.
fn bytes_before(address: u64, buffer: &mut [u8]) -> &[u8] {
    /// The smallest page size there is.
    const PAGE: u64 = 4 << 10;
    let of_page = usize::try_from(address % PAGE).expect("it is less than a page");
    for length in [buffer.len(), of_page.min(buffer.len())] {
        let Some(start) = address.checked_sub(length as u64) else { continue };
        let offset = buffer.len() - length;
        if memory::read(start, &mut buffer[offset..]) == length {
            return &buffer[offset..];
        }
    }
    &[]
}

/// Where a call or a jump ends up, past a slot that the loader has filled in and a stub of the
/// procedure linkage table. A slot that cannot be read is returned as it is.
pub(super) fn destination(target: Target) -> Target {
    let read = |slot| word(slot).map_or(Target::Slot(slot), Target::Code);
    match target {
        Target::Unknown => Target::Unknown,
        Target::Slot(slot) => read(slot),
        Target::Code(address) => match stub(address) {
            Some(Target::Code(address)) => Target::Code(address),
            Some(Target::Slot(slot)) => read(slot),
            Some(Target::Unknown) | None => Target::Code(address),
        },
    }
}

/// Whether `function` may go on in the function that begins at `start` without calling it: then it
/// is not on the stack.
pub(super) fn may_jump_to(function: (u64, u64), start: u64) -> bool {
    let Some(bytes) = read(function) else { return false };
    let code = Code { start: function.0, bytes: &bytes };
    let mut offset = 0;
    while let Some((length, effect)) = decode(&code, offset) {
        let target = match effect {
            Effect::Jump(target) => target,
            Effect::Branch(target) => Target::Code(target),
            _ => Target::Unknown,
        };
        // A jump within the function enters no other one.
        let is_within = matches!(target, Target::Code(to) if (function.0..function.1).contains(&to));
        if !is_within && destination(target) == Target::Code(start) {
            return true;
        }
        offset += length;
    }
    false
}

/// The address of the instruction before `address`, if it makes a system call.
pub(super) fn system_call_before(address: u64) -> Option<u64> {
    /// `syscall`
    const CODE: [u8; 2] = [0x0f, 0x05];
    // On aarch64, a return address that is in a register is not known either.
    let start = address.checked_sub(CODE.len() as u64).filter(|_| cfg!(target_arch = "x86_64"))?;
    (memory::read_exact(start, CODE.len())? == CODE).then_some(start)
}

/// Whether the code at this address returns without changing the stack pointer, if none of the
/// branches before is taken.
pub(super) fn only_returns(address: u64) -> bool {
    /// `test rax, rax`, two branches and `ret` are 16 bytes.
    const LENGTH: usize = 32;
    const RET: u8 = 0xc3;
    let Some(bytes) = memory::read_exact(address, LENGTH) else { return false };
    let code = Code { start: address, bytes: &bytes };
    let mut offset = 0;
    while let Some((length, effect)) = decode(&code, offset) {
        match effect {
            Effect::None | Effect::Branch(_) => offset += length,
            Effect::End => return cfg!(target_arch = "x86_64") && bytes[offset] == RET,
            _ => return false,
        }
    }
    false
}

fn word(address: u64) -> Option<u64> {
    let mut word = [0; 8];
    (memory::read(address, &mut word) == 8).then(|| u64::from_ne_bytes(word))
}

/// Whether the code at `address`, in a stub that begins at `start`, has yet to jump: nothing has
/// been stored since the stub was called.
pub(super) fn is_in_stub(start: u64, address: u64) -> bool {
    const ENDBR64: u64 = 4;
    cfg!(target_arch = "x86_64")
        && stub(start).is_some()
        && (address == start || address == start + ENDBR64 && stub(address).is_some())
}

/// Where a stub goes: code that does nothing but jump.
fn stub(address: u64) -> Option<Target> {
    /// `endbr64` and `bnd jmp` are 11 bytes.
    const LENGTH: usize = 16;
    let bytes = memory::read_exact(address, LENGTH)?;
    let code = Code { start: address, bytes: &bytes };
    let (first, effect) = decode(&code, 0)?;
    match effect {
        Effect::Jump(target) => Some(target),
        // `endbr64`
        Effect::None if bytes.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]) => match decode(&code, first)?.1 {
            Effect::Jump(target) => Some(target),
            _ => None,
        },
        _ => None,
    }
}

/// Where the stack pointer is at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Not known: nothing that was seen leads here.
    Unknown,
    /// The frame pointer is not set up yet, or is the caller's again.
    Outside,
    /// This far below the frame pointer, or below the aligned address.
    Inside(i64),
    /// This far below the frame pointer of a function that has aligned its stack pointer, at its
    /// end.
    Leaving(i64),
    /// Below the frame pointer, but how far is decided when the function runs (`alloca`).
    Variable,
    /// Within a loop that moves the stack pointer from page to page.
    Probing,
}

/// Follows the stack pointer through a function, in the order of addresses.
struct Walk<'a> {
    code: &'a Code<'a>,
    /// At each offset: what was found there, or what a branch that was seen brings there.
    depths: Vec<Depth>,
    /// Where the prologue leaves the stack pointer.
    body: Option<i64>,
    has_frame: bool,
    /// What the stack pointer was aligned to, and how far it was below the frame pointer then.
    alignment: Option<(u64, i64)>,
    /// Whether some of the function's code is at a [variable](Depth::Variable) depth.
    is_variable: bool,
}

impl<'a> Walk<'a> {
    fn new(code: &'a Code<'a>) -> Self {
        let depths = vec![Depth::Unknown; code.bytes.len() + 1];
        Self { code, depths, body: None, has_frame: false, alignment: None, is_variable: false }
    }

    /// Whether an instruction changes the stack pointer by an amount that the code does not show.
    fn is_variable(code: &Code<'_>) -> bool {
        let mut offset = 0;
        while let Some((length, effect)) = decode(code, offset) {
            if effect == Effect::Unclear {
                return true;
            }
            offset += length;
        }
        false
    }

    /// What is known at `at`: the beginning of an instruction, or the last byte of a call.
    fn depth_at(mut self, at: usize) -> Option<FramePointer> {
        let mut depth = Depth::Outside;
        let mut after_call = false;
        let mut found = None;
        let mut offset = 0;
        self.is_variable = Self::is_variable(self.code);
        while offset < self.code.bytes.len() {
            let probing = probing_loop(self.code, offset);
            if let Some((length, _)) = probing {
                self.enter_loop(offset + 1..offset + length)?;
            }
            let (length, effect) = probing.or_else(|| decode(self.code, offset))?;
            depth = self.arrive(offset, depth, after_call)?;
            let next = offset + length;
            if (offset..next).contains(&at) {
                if offset != at && !(matches!(effect, Effect::Call(_)) && at + 1 == next) {
                    return None;
                }
                found = Some(depth);
            }
            after_call = matches!(effect, Effect::Call(_));
            depth = self.apply(offset, effect, depth)?;
            offset = next;
        }
        let Depth::Inside(depth) = found? else { return None };
        let alignment = match self.alignment {
            Some((to, above)) => Some((to, u64::try_from(above).ok()?)),
            None => None,
        };
        Some(FramePointer { above_stack: u64::try_from(depth).ok()?, alignment })
    }

    /// Marks all but the first byte of a loop: no branch from outside may lead there.
    fn enter_loop(&mut self, rest: Range<usize>) -> Option<()> {
        let depths = self.depths.get_mut(rest)?;
        if depths.iter().any(|depth| *depth != Depth::Unknown) {
            return None;
        }
        depths.fill(Depth::Probing);
        Some(())
    }

    /// What holds at this offset, which control reaches from the instruction before with `depth`.
    /// `None` if a branch disagrees.
    fn arrive(&mut self, offset: usize, depth: Depth, after_call: bool) -> Option<Depth> {
        let depth = match (depth, self.depths[offset]) {
            // A landing pad, or a place that a table of jumps leads to: in the body.
            (Depth::Unknown, Depth::Unknown) => match self.body {
                Some(_) if self.is_variable => Depth::Variable,
                body => body.map_or(Depth::Unknown, Depth::Inside),
            },
            (Depth::Unknown, brought) => brought,
            (depth, Depth::Unknown) => depth,
            (depth, brought) if depth == brought => depth,
            (Depth::Variable, Depth::Inside(_)) | (Depth::Inside(_), Depth::Variable) => Depth::Variable,
            // The call never returns.
            (_, brought) if after_call => brought,
            _ => return None,
        };
        self.depths[offset] = depth;
        Some(depth)
    }

    /// Notes that a branch brings `depth` to this address. `None` if that disagrees with what was
    /// found there.
    fn branch(&mut self, from: usize, target: u64, depth: Depth) -> Option<()> {
        let offset = usize::try_from(target.wrapping_sub(self.code.start)).ok();
        // A branch out of the function goes to another one.
        let Some(there) = offset.and_then(|offset| self.depths.get_mut(offset)) else { return Some(()) };
        match (*there, depth) {
            (_, Depth::Unknown) => {}
            (Depth::Unknown, _) => *there = depth,
            (there, depth) if there == depth => {}
            // The address may have been passed already: then what was found there does not always
            // hold.
            (Depth::Inside(_), Depth::Variable) if offset > Some(from) => *there = Depth::Variable,
            (Depth::Variable, Depth::Inside(_)) => {}
            _ => return None,
        }
        Some(())
    }

    /// The depth after the instruction at this offset. `None` if it cannot be followed.
    fn apply(&mut self, offset: usize, effect: Effect, depth: Depth) -> Option<Depth> {
        if let (Effect::Call(_) | Effect::Jump(_) | Effect::Branch(_) | Effect::End, Depth::Inside(depth)) =
            (effect, depth)
        {
            // A compiler's prologue has no branches.
            self.body.get_or_insert(depth);
        }
        Some(match (effect, depth) {
            (Effect::None | Effect::Call(_), _) => depth,
            (Effect::Branch(target), _) => {
                self.branch(offset, target, depth)?;
                depth
            }
            (Effect::Jump(target), _) => {
                if let Target::Code(target) = target {
                    self.branch(offset, target, depth)?;
                }
                Depth::Unknown
            }
            (Effect::End, _) | (Effect::AddToStack(_) | Effect::PopFrame, Depth::Unknown) => Depth::Unknown,
            (Effect::SetFrame(distance), Depth::Outside) => {
                // A second prologue, on another path, could differ.
                if std::mem::replace(&mut self.has_frame, true) {
                    return None;
                }
                Depth::Inside(distance)
            }
            // Without a frame pointer there is nothing to follow.
            (_, Depth::Outside) | (Effect::Leave, _) | (Effect::PopFrame, Depth::Leaving(0)) => {
                Depth::Outside
            }
            (Effect::StackFromFrame(distance), _) if self.has_frame => {
                let below = distance.checked_neg()?;
                if self.alignment.is_some() { Depth::Leaving(below) } else { Depth::Inside(below) }
            }
            (Effect::AddToStack(by), Depth::Inside(depth)) => Depth::Inside(depth.checked_sub(by)?),
            (Effect::AddToStack(by), Depth::Leaving(depth)) => Depth::Leaving(depth.checked_sub(by)?),
            (Effect::Align(to), Depth::Inside(above)) => {
                if self.alignment.replace((to, above)).is_some() || self.body.is_some() {
                    return None;
                }
                Depth::Inside(0)
            }
            (Effect::PopFrame, Depth::Inside(0)) if self.alignment.is_none() => Depth::Outside,
            (Effect::Unclear, Depth::Inside(_))
            | (Effect::Unclear | Effect::AddToStack(_), Depth::Variable) => Depth::Variable,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::mapping::MappedBuffer;
    use crate::sys::linux::pages;

    #[test]
    #[cfg_attr(miri, ignore = "it protects a page")]
    #[allow(unsafe_code)]
    fn code_at_the_beginning_of_a_mapping_is_read_too() {
        let page = usize::try_from(pages::size()).unwrap();
        let mut mapped = MappedBuffer::new(2 * page).unwrap();
        mapped[page..page + 8].copy_from_slice(b"\x7fELF....");
        let start = mapped.as_ptr() as u64 + page as u64;
        // What is before it cannot be read.
        // SAFETY: the page belongs to this buffer, and nothing reads or writes it from here on.
        assert_eq!(unsafe { libc::mprotect(mapped.as_mut_ptr().cast(), page, libc::PROT_NONE) }, 0);
        assert_eq!(memory::read(start - 1, &mut [0]), 0);
        let mut buffer = [0; 7];
        assert_eq!(bytes_before(start + 4, &mut buffer), b"\x7fELF");
        assert_eq!(bytes_before(start, &mut buffer), b"");
        assert_eq!(bytes_before(start + 8, &mut buffer)[..3], *b"ELF");
        assert_eq!(bytes_before(3, &mut buffer), b"");
    }
}
