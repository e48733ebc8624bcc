//! Unwinds a copy of a stack: from registers to return addresses, with the tables of the modules.
//! It has no unsafe code, and reads no memory but the copies.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use framehop::FrameAddress;

use super::arch::{self, Registers};
use crate::capture::{Address, Trace};
use crate::sys::Module;
use crate::sys::linux::mapping::MappedBytes;

/// A stack with more frames than this is truncated: an endless recursion, or a cycle in the tables.
const MAX_FRAMES: usize = 200_000;

/// The unwind tables of all modules, and a cache of the rules found in them.
pub(super) struct Unwinder {
    tables: arch::Unwinder<MappedBytes>,
    cache: arch::Cache,
    /// The addresses of the modules that have tables.
    covered: Vec<Range<u64>>,
    /// All stacks so far. Threads with the same stack, such as those of a pool, share one.
    seen: HashSet<Arc<[Address]>>,
    /// The stack that is being unwound.
    frames: Vec<Address>,
    /// The code that a signal handler returns to. Its unwind tables use rules that framehop does
    /// not support; framehop would continue by guessing.
    trampoline: Option<u64>,
}

/// The result of unwinding.
pub(super) enum Unwound {
    /// Unwound to the thread's first function, or to the end of the tables.
    Ended(Trace),
    /// Unwound until this stack address was needed, which is in none of the pieces.
    Incomplete(Trace, u64),
}

/// The address that a piece of a stack was copied from, and the piece.
pub(super) type Piece<'a> = (u64, &'a [u8]);

impl Unwinder {
    pub(super) fn new(modules: &[Module], trampoline: Option<u64>) -> Self {
        use framehop::Unwinder as _;
        let mut tables = arch::Unwinder::new();
        let mut covered = Vec::with_capacity(modules.len());
        for module in modules.iter().filter_map(with_tables) {
            covered.push(module.avma_range());
            tables.add_module(module);
        }
        Self {
            tables,
            cache: arch::Cache::new(),
            covered,
            seen: HashSet::new(),
            frames: Vec::new(),
            trampoline,
        }
    }

    /// Unwinds one stack.
    pub(super) fn unwind(&mut self, registers: Registers, pieces: &[Piece<'_>]) -> Unwound {
        use framehop::Unwinder as _;
        let mut missing = None;
        let mut read = |address: u64| {
            let in_piece = |&(start, bytes): &Piece<'_>| {
                let offset = usize::try_from(address.checked_sub(start)?).ok()?;
                bytes.get(offset..)?.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word))
            };
            pieces.iter().find_map(in_piece).ok_or_else(|| missing = Some(address))
        };
        let limit = self.tables.max_known_code_address();
        let mut state = arch::for_unwinder(registers, limit);
        let mut at = FrameAddress::from_instruction_pointer(registers.ip);
        self.frames.clear();
        let ended = loop {
            self.frames.push(at.into());
            // Following frame pointers here would be a guess: generated code need not maintain
            // them.
            if !self.covered.iter().any(|range| range.contains(&Address::from(at).lookup())) {
                break "no unwind information for this code (generated at run time, or its library was just loaded or unloaded)".to_owned();
            }
            if self.frames.len() >= MAX_FRAMES {
                break format!("truncated after {MAX_FRAMES} frames");
            }
            let caller = match self.tables.unwind_frame(at, &mut state, &mut self.cache, &mut read) {
                Ok(Some(caller)) => caller,
                Ok(None) => return Unwound::Ended(self.trace(None)),
                Err(error) => break format!("unwinding failed: {}", error.to_string().to_lowercase()),
            };
            if Some(caller) == self.trampoline {
                self.frames.push(Address::Signal(caller));
                let Some(registers) = arch::saved_by_signal(state.sp(), &mut read) else {
                    break "unwinding failed: could not read the registers that the signal interrupted"
                        .to_owned();
                };
                state = arch::for_unwinder(registers, limit);
                at = FrameAddress::from_instruction_pointer(registers.ip);
                continue;
            }
            match FrameAddress::from_return_address(caller) {
                Some(address) => at = address,
                None => break "unwinding failed: the return address is null".to_owned(),
            }
        };
        let trace = self.trace(Some(ended));
        match missing {
            Some(address) => Unwound::Incomplete(trace, address),
            None => Unwound::Ended(trace),
        }
    }

    /// The frames found so far, as a trace.
    fn trace(&mut self, incomplete: Option<String>) -> Trace {
        let frames = if let Some(seen) = self.seen.get(&self.frames[..]) {
            Arc::clone(seen)
        } else {
            let frames: Arc<[Address]> = self.frames.as_slice().into();
            self.seen.insert(Arc::clone(&frames));
            frames
        };
        Trace { frames, incomplete }
    }
}

impl From<FrameAddress> for Address {
    fn from(frame: FrameAddress) -> Self {
        match frame {
            FrameAddress::InstructionPointer(address) => Address::Exact(address),
            FrameAddress::ReturnAddress(address) => Address::Return(address.into()),
        }
    }
}

/// The module as framehop needs it; `None` for one without `.eh_frame_hdr`.
fn with_tables(module: &Module) -> Option<framehop::Module<MappedBytes>> {
    let tables = Tables::of(module)?;
    Some(framehop::Module::new(module.path.clone(), module.range.clone(), module.bias, tables))
}

/// Copies of a module's tables, each with its addresses in the file. Those of a large program are
/// megabytes long, so they are mapped instead of allocated.
struct Tables {
    eh_frame_hdr: (Range<u64>, Option<MappedBytes>),
    eh_frame: (Range<u64>, Option<MappedBytes>),
}

impl Tables {
    fn of(module: &Module) -> Option<Self> {
        let header_range = module.eh_frame_hdr.clone()?;
        let header = module.section(&header_range)?;
        let range = eh_frame_start(&header, header_range.start)?..module.eh_frame_limit;
        let table = module.section(&range)?;
        Some(Self { eh_frame_hdr: (header_range, Some(header)), eh_frame: (range, Some(table)) })
    }

    fn section(&mut self, name: &[u8]) -> Option<&mut (Range<u64>, Option<MappedBytes>)> {
        match name {
            b".eh_frame_hdr" => Some(&mut self.eh_frame_hdr),
            b".eh_frame" => Some(&mut self.eh_frame),
            _ => None,
        }
    }
}

impl framehop::ModuleSectionInfo<MappedBytes> for Tables {
    fn base_svma(&self) -> u64 {
        0
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.section(name).map(|(range, _)| range.clone())
    }

    fn section_data(&mut self, name: &[u8]) -> Option<MappedBytes> {
        self.section(name)?.1.take()
    }
}

/// Where `.eh_frame` begins, from `.eh_frame_hdr`: the pointer after its four bytes of version and
/// encodings.
///
/// Every linker in use writes it as a signed 32-bit offset from its own address (`DW_EH_PE_pcrel |
/// DW_EH_PE_sdata4`); see "Exception Frames" in the Linux Standard Base.
fn eh_frame_start(header: &[u8], address: u64) -> Option<u64> {
    const PCREL_SDATA4: u8 = 0x1b;
    let (&[1, PCREL_SDATA4, _, _], rest) = header.split_first_chunk::<4>()? else { return None };
    let offset = i32::from_ne_bytes(*rest.first_chunk::<4>()?);
    address.checked_add(4)?.checked_add_signed(offset.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_the_table_is_in_its_header() {
        let header = [1, 0x1b, 3, 0x3b, 0xfc, 0xff, 0xff, 0xff];
        assert_eq!(eh_frame_start(&header, 0x1000), Some(0x1000));
        assert_eq!(eh_frame_start(&[2, 0x1b, 3, 0x3b, 0, 0, 0, 0], 0x1000), None);
        assert_eq!(eh_frame_start(&[1, 0x1b], 0x1000), None);
    }

    #[test]
    fn without_tables_and_stack_the_innermost_frame_remains() {
        let mut unwinder = Unwinder::new(&[], None);
        let registers = Registers { ip: 0x1000, sp: 0x7000, fp: 0x7100, lr: 0 };
        let (Unwound::Ended(trace) | Unwound::Incomplete(trace, _)) = unwinder.unwind(registers, &[]);
        assert_eq!(*trace.frames, [Address::Exact(0x1000)]);
        assert!(trace.incomplete.unwrap().starts_with("no unwind information"));
    }
}
