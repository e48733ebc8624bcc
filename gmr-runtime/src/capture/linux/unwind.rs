//! From registers and a copy of a stack to return addresses, by the tables of the modules. No unsafe code, no memory but the copies.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use framehop::FrameAddress;

use super::arch::{self, Registers};
use crate::capture::{Address, Trace};
use crate::sys::Module;
use crate::sys::linux::mapping::MappedBytes;

/// A stack with more frames than this is cut: it is a recursion that has eaten its stack, or a loop in the tables.
const MAX_FRAMES: usize = 200_000;

/// The tables of all modules, and a cache of the rules found in them.
pub(super) struct Unwinder {
    tables: arch::Unwinder<MappedBytes>,
    cache: arch::Cache,
    /// Where there is code that the tables tell of.
    covered: Vec<Range<u64>>,
    /// The stacks that were unwound: the threads of a pool have the same.
    known: HashSet<Arc<[Address]>>,
    /// The one that is being unwound.
    frames: Vec<Address>,
    /// What a signal handler returns to. Its tables are written in a way that framehop does not read, and it would go on by guessing.
    trampoline: Option<u64>,
}

/// How far unwinding came.
pub(super) enum Unwound {
    /// To the thread's first function, or to where the tables end.
    Ended(Trace),
    /// To this address, which is in none of the pieces.
    Wanting(Trace, u64),
}

/// A piece of a stack, and the address that it was copied from.
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
            known: HashSet::new(),
            frames: Vec::new(),
            trampoline,
        }
    }

    /// Unwinds one stack.
    pub(super) fn unwind(&mut self, registers: Registers, pieces: &[Piece<'_>]) -> Unwound {
        use framehop::Unwinder as _;
        let mut wanted = None;
        let mut read = |address: u64| {
            let in_piece = |&(start, bytes): &Piece<'_>| {
                let offset = usize::try_from(address.checked_sub(start)?).ok()?;
                bytes.get(offset..)?.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word))
            };
            pieces.iter().find_map(in_piece).ok_or_else(|| wanted = Some(address))
        };
        let limit = self.tables.max_known_code_address();
        let mut state = arch::for_unwinder(registers, limit);
        let mut at = FrameAddress::from_instruction_pointer(registers.ip);
        self.frames.clear();
        let ended = loop {
            self.frames.push(at.into());
            // Following frame pointers from here would be a guess: generated code need not keep them.
            if !self.covered.iter().any(|range| range.contains(&Address::from(at).lookup())) {
                break "there is no unwind information for this code: generated at run time, or in a library that comes or goes at this moment"
                    .to_owned();
            }
            if self.frames.len() >= MAX_FRAMES {
                break format!("cut after {MAX_FRAMES} frames");
            }
            let caller = match self.tables.unwind_frame(at, &mut state, &mut self.cache, &mut read) {
                Ok(Some(caller)) => caller,
                Ok(None) => return Unwound::Ended(self.trace(None)),
                Err(error) => break format!("unwinding ended here: {}", error.to_string().to_lowercase()),
            };
            if Some(caller) == self.trampoline {
                self.frames.push(Address::Signal(caller));
                let Some(registers) = arch::saved(state.sp(), &mut read) else {
                    break "unwinding ended here: what the signal has interrupted could not be read"
                        .to_owned();
                };
                state = arch::for_unwinder(registers, limit);
                at = FrameAddress::from_instruction_pointer(registers.ip);
                continue;
            }
            match FrameAddress::from_return_address(caller) {
                Some(address) => at = address,
                None => break "unwinding ended here: the return address is null".to_owned(),
            }
        };
        let trace = self.trace(Some(ended));
        match wanted {
            Some(address) => Unwound::Wanting(trace, address),
            None => Unwound::Ended(trace),
        }
    }

    /// What has been unwound.
    fn trace(&mut self, incomplete: Option<String>) -> Trace {
        let frames = if let Some(known) = self.known.get(&self.frames[..]) {
            Arc::clone(known)
        } else {
            let frames: Arc<[Address]> = self.frames.as_slice().into();
            self.known.insert(Arc::clone(&frames));
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

/// The module in framehop's terms; none for one without `.eh_frame_hdr`.
fn with_tables(module: &Module) -> Option<framehop::Module<MappedBytes>> {
    let tables = Tables::of(module)?;
    Some(framehop::Module::new(module.path.clone(), module.range.clone(), module.bias, tables))
}

/// Copies of a module's tables, each with its addresses in the file. Those of a large program have megabytes: they do not come from its allocator.
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

/// Where `.eh_frame` begins, as `.eh_frame_hdr` has it: the pointer after its four bytes of version and encodings.
///
/// Every linker in use writes it as a signed 32-bit offset from its own place (`DW_EH_PE_pcrel | DW_EH_PE_sdata4`); see "Exception Frames" in the Linux Standard Base.
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
    fn the_table_is_found_from_its_header() {
        let header = [1, 0x1b, 3, 0x3b, 0xfc, 0xff, 0xff, 0xff];
        assert_eq!(eh_frame_start(&header, 0x1000), Some(0x1000));
        assert_eq!(eh_frame_start(&[2, 0x1b, 3, 0x3b, 0, 0, 0, 0], 0x1000), None);
        assert_eq!(eh_frame_start(&[1, 0x1b], 0x1000), None);
    }

    #[test]
    fn without_tables_and_without_stack_the_leaf_remains() {
        let mut unwinder = Unwinder::new(&[], None);
        let registers = Registers { ip: 0x1000, sp: 0x7000, fp: 0x7100, lr: 0 };
        let (Unwound::Ended(trace) | Unwound::Wanting(trace, _)) = unwinder.unwind(registers, &[]);
        assert_eq!(*trace.frames, [Address::Exact(0x1000)]);
        assert!(trace.incomplete.unwrap().starts_with("there is no unwind information"));
    }
}
