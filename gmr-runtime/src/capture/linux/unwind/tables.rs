//! The unwind tables of the modules: which entry is for an address of code.
//!
//! A module's tables are copied when the first rule is looked up in them. They come from the image
//! in memory; where that has no entry for an address, from the sections of its file.

use crate::sys::sort;
use std::ops::Range;
use std::sync::OnceLock;

use gimli::{BaseAddresses, CieOrFde, DebugFrame, EhFrame, NativeEndian, UnwindSection};

use super::rule::{Context, NoRule, Reader, Rule, Store};
use crate::sys::Module;
use crate::sys::linux::mapping::MappedBytes;
use crate::sys::linux::module_files::{self, FileSection};

/// The tables of all modules.
#[derive(Debug)]
pub(super) struct Tables {
    /// The code of the modules, in ascending order, each with the index of its module.
    code: Vec<(Range<u64>, usize)>,
    modules: Vec<ModuleTables>,
}

#[derive(Debug)]
struct ModuleTables {
    module: Module,
    in_memory: OnceLock<Option<Table>>,
    in_file: OnceLock<Vec<Table>>,
}

impl Tables {
    pub(super) fn new(modules: &[Module]) -> Self {
        let mut code: Vec<(Range<u64>, usize)> = modules
            .iter()
            .enumerate()
            .flat_map(|(index, module)| module.code.iter().map(move |range| (range.clone(), index)))
            .collect();
        sort::by_key(&mut code, |(range, _)| range.start);
        let modules = modules
            .iter()
            .map(|module| ModuleTables {
                module: module.clone(),
                in_memory: OnceLock::new(),
                in_file: OnceLock::new(),
            })
            .collect();
        Self { code, modules }
    }

    /// The end of the highest code.
    pub(super) fn highest_code(&self) -> u64 {
        self.code.last().map_or(0, |(range, _)| range.end)
    }

    fn module_of(&self, address: u64) -> Option<&ModuleTables> {
        let after = self.code.partition_point(|(range, _)| range.start <= address);
        let (range, index) = self.code[..after].last()?;
        range.contains(&address).then(|| &self.modules[*index])
    }

    /// Whether this is an address of the first instructions of an executable, which nothing has
    /// called.
    pub(super) fn is_entry(&self, address: u64) -> bool {
        /// What musl has there is 20 to 50 bytes long.
        const LENGTH: u64 = 64;
        let is_entry = |module: &Module| (1..LENGTH).contains(&address.wrapping_sub(module.entry));
        self.module_of(address).is_some_and(|tables| is_entry(&tables.module))
    }

    /// Whether the address is in the code of a module.
    pub(super) fn cover(&self, address: u64) -> bool {
        self.module_of(address).is_some()
    }

    /// Finds the rule for the code at this address.
    pub(super) fn rule(
        &self,
        address: u64,
        context: &mut Context,
        store: &mut Store,
    ) -> Result<Rule, NoRule> {
        let tables = self.module_of(address).ok_or(NoRule::NoModule)?;
        let bias = tables.module.bias;
        let place = (address.wrapping_sub(bias), bias);
        let in_memory = tables.in_memory.get_or_init(|| Table::in_memory(&tables.module));
        if let Some(rule) =
            in_memory.as_ref().map(|table| table.rule(place, context, store)).transpose()?.flatten()
        {
            return Ok(rule);
        }
        let in_file = tables.in_file.get_or_init(|| {
            module_files::unwind_sections(&tables.module, in_memory.is_none())
                .into_iter()
                .map(Table::in_file)
                .collect()
        });
        for table in in_file {
            if let Some(rule) = table.rule(place, context, store)? {
                return Ok(rule);
            }
        }
        Err(NoRule::NoEntry)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    EhFrame,
    DebugFrame,
}

/// One section of entries, and how to find the one for an address.
#[derive(Debug)]
struct Table {
    kind: Kind,
    bytes: MappedBytes,
    /// Its address in the file.
    address: u64,
    index: Index,
}

#[derive(Debug)]
enum Index {
    /// `.eh_frame_hdr`, and its address in the file.
    Header(MappedBytes, u64),
    /// The first address of each entry in ascending order, and the entry's offset.
    Sorted(Vec<(u64, usize)>),
}

impl Table {
    /// The `.eh_frame` of the image in memory, which its header leads to.
    fn in_memory(module: &Module) -> Option<Self> {
        let range = module.eh_frame_hdr.clone()?;
        let header = module.section(&range)?;
        let start = eh_frame_start(&header, range.start)?;
        let bytes = module.section(&(start..module.eh_frame_limit))?;
        if sorted_by_header(&header).is_some() {
            return Some(Self {
                kind: Kind::EhFrame,
                bytes,
                address: start,
                index: Index::Header(header, range.start),
            });
        }
        Some(Self::sorted(Kind::EhFrame, bytes, start))
    }

    fn in_file(section: FileSection) -> Self {
        let kind = if section.is_eh_frame { Kind::EhFrame } else { Kind::DebugFrame };
        Self::sorted(kind, section.bytes, section.address)
    }

    /// A section without an index of its own.
    fn sorted(kind: Kind, bytes: MappedBytes, address: u64) -> Self {
        let mut table = Self { kind, bytes, address, index: Index::Sorted(Vec::new()) };
        let bases = table.bases();
        let mut entries = match kind {
            Kind::EhFrame => entries_of(&table.eh_frame(), &bases),
            Kind::DebugFrame => entries_of(&table.debug_frame(), &bases),
        };
        entries.sort_unstable();
        table.index = Index::Sorted(entries);
        table
    }

    fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame(self.address)
    }

    fn eh_frame(&self) -> EhFrame<Reader<'_>> {
        eh_frame(&self.bytes)
    }

    fn debug_frame(&self) -> DebugFrame<Reader<'_>> {
        let mut section = DebugFrame::new(&self.bytes, NativeEndian);
        section.set_address_size(8);
        section.set_vendor(VENDOR);
        section
    }

    /// The rule for an address, which counts from the start of the file. `None` if no entry covers
    /// it.
    fn rule(
        &self,
        place: (u64, u64),
        context: &mut Context,
        store: &mut Store,
    ) -> Result<Option<Rule>, NoRule> {
        let Some(offset) = self.entry_before(place.0) else { return Ok(None) };
        let bases = self.bases();
        match self.kind {
            Kind::EhFrame => {
                store.compile((&self.eh_frame(), &self.bytes), &bases, offset.into(), place, context)
            }
            Kind::DebugFrame => {
                store.compile((&self.debug_frame(), &self.bytes), &bases, offset.into(), place, context)
            }
        }
    }

    /// The offset of the last entry that begins at or below this address.
    fn entry_before(&self, address: u64) -> Option<usize> {
        match &self.index {
            Index::Header(header, start) => entry_by_header((header, *start), self.address, address),
            Index::Sorted(entries) => {
                let after = entries.partition_point(|(start, _)| *start <= address);
                Some(entries[..after].last()?.1)
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
const VENDOR: gimli::Vendor = gimli::Vendor::AArch64;
#[cfg(not(target_arch = "aarch64"))]
const VENDOR: gimli::Vendor = gimli::Vendor::Default;

/// The section of these bytes.
pub(super) fn eh_frame(bytes: &[u8]) -> EhFrame<Reader<'_>> {
    let mut section = EhFrame::new(bytes, NativeEndian);
    section.set_address_size(8);
    section.set_vendor(VENDOR);
    section
}

/// The first address and the offset of each entry that can be read.
fn entries_of<'a, S>(section: &S, bases: &BaseAddresses) -> Vec<(u64, usize)>
where
    S: UnwindSection<Reader<'a>>,
{
    let mut found = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        if let CieOrFde::Fde(partial) = entry
            && let Ok(entry) = partial.parse(S::cie_from_offset)
            // Entries of functions that the linker has removed are at 0.
            && entry.initial_address() != 0
        {
            found.push((entry.initial_address(), partial.offset()));
        }
    }
    found
}

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`, `DW_EH_PE_udata4`, `DW_EH_PE_datarel | DW_EH_PE_sdata4`.
const ENCODINGS: [u8; 3] = [0x1b, 0x03, 0x3b];

/// Where `.eh_frame` begins, from `.eh_frame_hdr`: the pointer after its four bytes of version and
/// encodings.
///
/// Every linker in use writes it as a signed 32-bit offset from its own address (`DW_EH_PE_pcrel |
/// DW_EH_PE_sdata4`); see "Exception Frames" in the Linux Standard Base.
pub(super) fn eh_frame_start(header: &[u8], address: u64) -> Option<u64> {
    let (&[1, encoding, _, _], rest) = header.split_first_chunk::<4>()? else { return None };
    if encoding != ENCODINGS[0] {
        return None;
    }
    let offset = i32::from_ne_bytes(*rest.first_chunk::<4>()?);
    address.checked_add(4)?.checked_add_signed(offset.into())
}

/// The offset of the last entry that begins at or below an address, by the header of a section that
/// begins at `section`. All addresses count from the start of the file. It allocates nothing.
pub(super) fn entry_by_header((header, start): (&[u8], u64), section: u64, address: u64) -> Option<usize> {
    let entries = sorted_by_header(header)?;
    let position = |entry: &[u8; 8]| {
        let [code, frame] = [&entry[..4], &entry[4..]]
            .map(|half| i32::from_ne_bytes(half.try_into().expect("half of eight bytes")));
        [code, frame].map(|offset| start.wrapping_add_signed(offset.into()))
    };
    let after = entries.partition_point(|entry| position(entry)[0] <= address);
    let [_, frame] = position(entries[..after].last()?);
    usize::try_from(frame.checked_sub(section)?).ok()
}

/// The search table of `.eh_frame_hdr`, in the encodings that every linker in use writes: pairs of
/// code and entry, as signed 32-bit offsets from the header's own address.
fn sorted_by_header(header: &[u8]) -> Option<&[[u8; 8]]> {
    let (&[1, encodings @ ..], rest) = header.split_first_chunk::<4>()? else { return None };
    let (count, table) = rest.get(4..)?.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_ne_bytes(*count)).ok()?;
    (encodings == ENCODINGS && count > 0).then(|| table.as_chunks().0.get(..count))?
}
