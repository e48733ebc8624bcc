//! The sections of an ELF file that functions and lines are read from. Compressed ones are
//! decompressed into memory of gmr's own.

use crate::sys::sort;
use std::sync::{Mutex, PoisonError};

use gimli::{EndianSlice, NativeEndian, SectionId};
use object::{CompressionFormat, Object, ObjectSection};

use super::debug_files::Elf;
use super::parallel;
use super::reading::{Dwarf, Reader};
use crate::sys::linux::compressed::decompress;
use crate::sys::linux::mapping::MappedBytes;

/// The sections that functions and lines are read from. Those about variables, among the largest,
/// are not needed.
const NEEDED: [SectionId; 10] = [
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugAbbrev,
    SectionId::DebugRngLists,
    SectionId::DebugRanges,
    SectionId::DebugStr,
    SectionId::DebugLineStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
];

/// The same for a file with split debug information: a `.dwo`, or a package of them with its index.
/// Of a package, all sections are needed: a unit is not found if its part of one is not there.
const NEEDED_OF_SPLIT: [SectionId; 12] = [
    SectionId::DebugInfo,
    SectionId::DebugAbbrev,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugCuIndex,
    SectionId::DebugLine,
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugMacinfo,
    SectionId::DebugMacro,
    SectionId::DebugTypes,
];

#[derive(Debug, Default)]
pub(super) struct Sections<'a> {
    plain: Vec<(SectionId, &'a [u8])>,
    decompressed: Vec<(SectionId, MappedBytes)>,
    /// The name of a section that could not be decompressed.
    pub(super) failed: Option<&'static str>,
}

impl<'a> Sections<'a> {
    /// Finds the sections of a file with debug information.
    pub(super) fn load(file: &Elf<'a>) -> Self {
        Self::find(file, NEEDED.into_iter().map(|id| (id, id.name())))
    }

    /// Finds the sections of a file with split debug information.
    pub(super) fn load_split(file: &Elf<'a>) -> Self {
        Self::find(file, NEEDED_OF_SPLIT.into_iter().filter_map(|id| Some((id, id.dwo_name()?))))
    }

    /// Decompressing takes most of the time, so several threads share it.
    fn find(file: &Elf<'a>, names: impl Iterator<Item = (SectionId, &'static str)>) -> Self {
        let mut sections = Self::default();
        let mut compressed = Vec::new();
        for (id, name) in names {
            let Some(section) = file.section_by_name(name) else { continue };
            match section.compressed_data() {
                Ok(found) if found.format == CompressionFormat::None => sections.plain.push((id, found.data)),
                Ok(found) => compressed.push((id, name, found)),
                Err(_) => sections.failed = Some(name),
            }
        }
        // The largest first, so that no thread is left with it at the end.
        sort::by_key(&mut compressed, |(.., found)| std::cmp::Reverse(found.data.len()));
        let bytes = compressed.iter().map(|(.., found)| found.data.len().saturating_mul(4)).sum();
        let results = Mutex::new(Vec::new());
        parallel::each(&compressed, bytes, |(id, name, found)| {
            let result = decompress(found.format, found.data, found.uncompressed_size);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((*id, *name, result));
        });
        for (id, name, result) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match result {
                Some(mapped) => sections.decompressed.push((id, mapped)),
                None => sections.failed = Some(name),
            }
        }
        sections
    }

    /// The sections as debug information.
    pub(super) fn dwarf(&self) -> Dwarf<'_> {
        match gimli::Dwarf::load(|id| Ok::<_, std::convert::Infallible>(self.reader(id))) {
            Ok(dwarf) => dwarf,
            Err(never) => match never {},
        }
    }

    /// The sections as a package of split units.
    pub(super) fn package(&self) -> Option<gimli::DwarfPackage<Reader<'_>>> {
        gimli::DwarfPackage::load(|id| Ok::<_, gimli::Error>(self.reader(id)), Reader::default()).ok()
    }

    fn reader(&self, id: SectionId) -> Reader<'_> {
        let plain = self.plain.iter().find(|(other, _)| *other == id).map(|(_, bytes)| *bytes);
        let decompressed =
            || self.decompressed.iter().find(|(other, _)| *other == id).map(|(_, mapped)| &**mapped);
        EndianSlice::new(plain.or_else(decompressed).unwrap_or_default(), NativeEndian)
    }
}
