//! Unwinds a copy of a stack: from registers to return addresses, with the tables of the modules.
//! It has no unsafe code, and reads no memory but the copies.

use std::collections::HashSet;
use std::ops::{Deref, Range};
use std::sync::Arc;

use framehop::FrameAddress;
use gimli::{
    BaseAddresses, CallFrameInstruction, EhFrame, EhFrameHdr, EndianSlice, NativeEndian, Operation,
    UnwindSection as _,
};

use super::arch::{self, Registers};
use crate::capture::{Address, Trace};
use crate::sys::Module;
use crate::sys::linux::mapping::MappedBytes;

/// A stack with more frames than this is truncated: an endless recursion, or a cycle in the tables.
const MAX_FRAMES: usize = 200_000;

/// The unwind tables of all modules, and a cache of the rules found in them.
pub(super) struct Unwinder {
    tables: arch::Unwinder<Shared>,
    cache: arch::Cache,
    /// The modules that have tables.
    modules: Vec<Tables>,
    /// Code addresses whose tables have been checked, each at its place by [`checked_index`]; 0
    /// where there is none.
    checked: Box<[u64; CHECKED]>,
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
    /// Unwound until a register was needed that is unknown. The trace says so.
    Uncertain(Trace),
}

impl Unwound {
    pub(super) fn into_trace(self) -> Trace {
        match self {
            Self::Ended(trace) | Self::Incomplete(trace, _) | Self::Uncertain(trace) => trace,
        }
    }
}

/// The address that a piece of a stack was copied from, and the piece.
pub(super) type Piece<'a> = (u64, &'a [u8]);

impl Unwinder {
    pub(super) fn new(modules: &[Module], trampoline: Option<u64>) -> Self {
        use framehop::Unwinder as _;
        let mut tables = arch::Unwinder::new();
        let mut with_tables = Vec::with_capacity(modules.len());
        for module in modules {
            let Some(sections) = Tables::of(module) else { continue };
            let name = module.path.clone();
            let range = module.range.clone();
            tables.add_module(framehop::Module::new(name, range, module.bias, sections.clone()));
            with_tables.push(sections);
        }
        Self {
            tables,
            cache: arch::Cache::new(),
            modules: with_tables,
            checked: Box::new([0; CHECKED]),
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
        let mut at = FrameAddress::from_instruction_pointer(registers.ip());
        self.frames.clear();
        let ended = loop {
            self.frames.push(at.into());
            // Following frame pointers here would be a guess: generated code need not maintain
            // them.
            let lookup = Address::from(at).lookup();
            let Some(module) = self.modules.iter().find(|module| module.code.contains(&lookup)) else {
                break "no unwind information for this code (generated at run time, or its library was just loaded or unloaded)".to_owned();
            };
            let checked = &mut self.checked[checked_index(lookup)];
            if *checked != lookup {
                if module.are_harmful_for(lookup) {
                    break "unwinding failed: the unwind tables of this code are damaged".to_owned();
                }
                *checked = lookup;
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
                at = FrameAddress::from_instruction_pointer(registers.ip());
                continue;
            }
            match FrameAddress::from_return_address(caller) {
                Some(address) => at = address,
                None => break "unwinding failed: the return address is null".to_owned(),
            }
        };
        let trace = self.trace(Some(ended));
        match missing {
            Some(address) if arch::is_of_unknown_register(address) => Unwound::Uncertain(trace),
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
        Trace { frames, incomplete, taken: None }
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

/// The size of the table of checked addresses, as many as framehop keeps rules for. All stacks of a
/// process have some hundred distinct addresses.
const CHECKED: usize = 509;

fn checked_index(address: u64) -> usize {
    usize::try_from(address % CHECKED as u64).expect("it is below 509")
}

/// A table, shared by framehop and our own check.
#[derive(Clone)]
struct Shared(Arc<MappedBytes>);

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Copies of a module's tables, each with its addresses in the file. Those of a large program are
/// megabytes long, so they are mapped instead of allocated.
#[derive(Clone)]
struct Tables {
    /// The addresses of the module in memory.
    code: Range<u64>,
    bias: u64,
    eh_frame_hdr: (Range<u64>, Shared),
    eh_frame: (Range<u64>, Shared),
}

impl Tables {
    fn of(module: &Module) -> Option<Self> {
        let header_range = module.eh_frame_hdr.clone()?;
        let header = Shared(Arc::new(module.section(&header_range)?));
        let range = eh_frame_start(&header, header_range.start)?..module.eh_frame_limit;
        let table = Shared(Arc::new(module.section(&range)?));
        Some(Self {
            code: module.range.clone(),
            bias: module.bias,
            eh_frame_hdr: (header_range, header),
            eh_frame: (range, table),
        })
    }

    fn section(&self, name: &[u8]) -> Option<&(Range<u64>, Shared)> {
        match name {
            b".eh_frame_hdr" => Some(&self.eh_frame_hdr),
            b".eh_frame" => Some(&self.eh_frame),
            _ => None,
        }
    }

    /// Whether framehop must not look up the rules for this code address, because the tables would
    /// make it panic or loop.
    fn are_harmful_for(&self, address: u64) -> bool {
        // After an error framehop cannot read the rules either, and says so.
        self.harm(address.wrapping_sub(self.bias)).unwrap_or(false)
    }

    /// The same for an address in the file.
    fn harm(&self, address: u64) -> gimli::Result<bool> {
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(self.eh_frame_hdr.0.start)
            .set_eh_frame(self.eh_frame.0.start);
        let header = EhFrameHdr::new(&self.eh_frame_hdr.1, NativeEndian).parse(&bases, 8)?;
        let Some(table) = header.table() else { return Ok(false) };
        let mut section = EhFrame::new(&self.eh_frame.1, NativeEndian);
        section.set_address_size(8);
        // gimli multiplies the number of entries, and subtracts the start of the table from a
        // pointer into it: in a build with overflow checks, either can panic.
        if table.iter(&bases).size_hint().0 > self.eh_frame_hdr.1.len() {
            return Ok(true);
        }
        let pointer = table.lookup(address, &bases)?;
        if pointer.direct()? < header.eh_frame_ptr().direct()? {
            return Ok(true);
        }
        let offset = table.pointer_to_offset(pointer)?;
        let entry = section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset)?;
        let encoding = entry.cie().encoding();
        for mut instructions in
            [entry.cie().instructions(&section, &bases), entry.instructions(&section, &bases)]
        {
            while let Ok(Some(instruction)) = instructions.next() {
                let (CallFrameInstruction::DefCfaExpression { expression }
                | CallFrameInstruction::Expression { expression, .. }
                | CallFrameInstruction::ValExpression { expression, .. }) = instruction
                else {
                    continue;
                };
                let expression: gimli::Expression<EndianSlice<'_, NativeEndian>> =
                    expression.get(&section)?;
                // framehop evaluates expressions without a limit, so one with a loop would never
                // end. Compilers write none with branches.
                let mut operations = expression.operations(encoding);
                while let Ok(Some(operation)) = operations.next() {
                    if matches!(operation, Operation::Skip { .. } | Operation::Bra { .. }) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

impl framehop::ModuleSectionInfo<Shared> for Tables {
    fn base_svma(&self) -> u64 {
        0
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.section(name).map(|(range, _)| range.clone())
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Shared> {
        self.section(name).map(|(_, table)| table.clone())
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

/// Copies an image into memory, with the same distances between its segments as in the file.
#[cfg(any(test, feature = "__fuzz"))]
fn loaded(image: &[u8]) -> Option<MappedBytes> {
    MappedBytes::filled(image.len(), |memory| {
        memory.copy_from_slice(image);
        true
    })
}

/// Registers of which all but these are 0.
#[cfg(any(test, feature = "__fuzz"))]
fn registers(ip: u64, sp: u64, fp: u64, lr: u64) -> Registers {
    let mut registers = Registers::all(ip, [0; arch::COUNT]);
    registers.set(arch::STACK_POINTER, Some(sp));
    registers.set(arch::FRAME_POINTER, Some(fp));
    if cfg!(target_arch = "aarch64") {
        registers.set(30, Some(lr));
    }
    registers
}

/// Loads an image, and unwinds from each of these code addresses. Returns the number of frames.
///
/// The addresses count from the start of the image, and so do words of the stack up to 64 KiB. The
/// registers are stack pointer, frame pointer and link register.
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) fn unwind_bytes(image: &[u8], code: &[u64], [sp, fp, lr]: [u64; 3], stack: &[u64]) -> usize {
    let Some(image) = loaded(image) else { return 0 };
    let base = image.as_ptr() as u64;
    let word = |word: u64| if word < 1 << 16 { base + word } else { word };
    let stack: Vec<u8> = stack.iter().flat_map(|&bytes| word(bytes).to_ne_bytes()).collect();
    let Some(module) = Module::read(base, "image".to_owned()) else { return 0 };
    let mut unwinder = Unwinder::new(&[module], None);
    let mut frames = 0;
    for ip in code.iter().map(|offset| base.wrapping_add(*offset)) {
        let trace = unwinder.unwind(registers(ip, sp, fp, lr), &[(sp, &stack)]).into_trace();
        assert!(trace.frames.len() <= MAX_FRAMES);
        frames += trace.frames.len();
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::{FILES, damaged_file, terminates};

    #[test]
    fn the_test_files_have_tables_to_damage() {
        for file in FILES {
            let image = loaded(file).unwrap();
            let base = image.as_ptr() as u64;
            let module = Module::read(base, "whole".to_owned()).unwrap();
            assert!(module.build_id.is_some());
            let tables = Tables::of(&module).unwrap();
            assert!((0..0x2000).any(|address| tables.harm(address).is_ok()));
        }
    }

    proptest! {
        #[test]
        fn damaged_tables_are_read_without_panics_and_in_finite_time(
            file in damaged_file(),
            code in proptest::collection::vec(0..0x2000_u64, 32),
            sp in prop_oneof![Just(0x7_0000), any::<u64>()],
            fp in 0..128_u64,
            lr in any::<u64>(),
            // Half code, half addresses on the stack, as saved frame pointers are.
            words in proptest::collection::vec((0..0x2000_u64, 0..128_u64), 0..64),
        ) {
            let on_stack = move |word: u64| sp.wrapping_add(8 * word);
            let stack: Vec<u64> = words.iter().flat_map(|(code, word)| [*code, on_stack(*word)]).collect();
            terminates(move || unwind_bytes(&file, &code, [sp, on_stack(fp), lr], &stack));
        }
    }

    #[test]
    fn an_expression_with_a_branch_is_refused() {
        let mut file = FILES[0].to_vec();
        let image = loaded(&file).unwrap();
        let module = Module::read(image.as_ptr() as u64, "whole".to_owned()).unwrap();
        let tables = Tables::of(&module).unwrap();
        // The rules of this code, replaced by `DW_CFA_def_cfa_expression` with a loop: DW_OP_skip
        // -3.
        let (start, table) = (tables.eh_frame.0.start, &tables.eh_frame.1);
        let (address, instructions) = first_instructions(&tables, table);
        let place = usize::try_from(start).unwrap() + instructions;
        file[place..place + 5].copy_from_slice(&[0x0f, 3, 0x2f, 0xfd, 0xff]);
        let image = loaded(&file).unwrap();
        let base = image.as_ptr() as u64;
        let module = Module::read(base, "looping".to_owned()).unwrap();
        assert!(Tables::of(&module).unwrap().harm(address).unwrap());
        let registers = registers(base + address, 0x7000, 0x7100, 0);
        let ended = terminates(move || {
            let mut unwinder = Unwinder::new(&[module], None);
            let trace = unwinder.unwind(registers, &[(0x7000, &[0; 64])]).into_trace();
            drop(image);
            trace.incomplete
        });
        assert!(ended.unwrap().contains("damaged"));
    }

    /// The address that the first entry with at least five bytes of instructions is for, and where
    /// in the table those are.
    fn first_instructions(tables: &Tables, table: &[u8]) -> (u64, usize) {
        let bases = BaseAddresses::default().set_eh_frame(tables.eh_frame.0.start);
        let mut section = EhFrame::new(table, NativeEndian);
        section.set_address_size(8);
        let mut entries = section.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            let gimli::CieOrFde::Fde(partial) = entry else { continue };
            let Ok(entry) = partial.parse(EhFrame::cie_from_offset) else { continue };
            // Length, pointer to the common entry, two addresses of four bytes each, and no
            // augmentation.
            if entry.entry_len() >= 4 + 4 + 4 + 1 + 5 {
                return (entry.initial_address(), entry.offset() + 4 + 4 + 4 + 4 + 1);
            }
        }
        panic!("there is none")
    }

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
        let trace = unwinder.unwind(registers(0x1000, 0x7000, 0x7100, 0), &[]).into_trace();
        assert_eq!(*trace.frames, [Address::Exact(0x1000)]);
        assert!(trace.incomplete.unwrap().starts_with("no unwind information"));
    }
}
