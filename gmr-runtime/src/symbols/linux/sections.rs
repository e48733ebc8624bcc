//! The sections of an ELF file that functions and lines are read from. Compressed ones are
//! decompressed into memory of gmr's own.

use std::sync::{Mutex, PoisonError};

use gimli::{EndianSlice, NativeEndian, SectionId};
use object::{CompressionFormat, Object, ObjectSection};

use super::debug_files::Elf;
use super::parallel;
use super::reading::{Dwarf, Reader};
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

/// The highest compression ratio that is believed of a header: zlib's, 1032:1. Debug information is
/// compressed to a third or a fifth of its size; zstd could claim 30,000:1.
const MAX_RATIO: usize = 1032;

/// Memory that decompressing zstd may take from the program's allocator. It is what the format's
/// definition recommends that every decoder supports; linkers use a quarter of it.
const MAX_ZSTD_WINDOW: u64 = 8 << 20;

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
        compressed.sort_by_key(|(.., found)| std::cmp::Reverse(found.data.len()));
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

/// Decompresses a section to this length.
fn decompress(format: CompressionFormat, data: &[u8], length: u64) -> Option<MappedBytes> {
    let length =
        usize::try_from(length).ok().filter(|&length| length <= data.len().saturating_mul(MAX_RATIO))?;
    match format {
        CompressionFormat::Zlib => MappedBytes::filled(length, |output| inflate(data, output)),
        CompressionFormat::Zstandard => MappedBytes::filled(length, |output| {
            let mut decoder = ruzstd::decoding::FrameDecoder::new();
            decoder.set_max_window_size(MAX_ZSTD_WINDOW);
            decoder.decode_all(data, output).is_ok_and(|written| written == output.len())
        }),
        _ => None,
    }
}

/// Inflates data that zlib has compressed. False if it has another length.
fn inflate(data: &[u8], output: &mut [u8]) -> bool {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    let flags =
        inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, output, 0, flags);
    status == TINFLStatus::Done && written == output.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_section_is_decompressed_and_a_corrupt_one_is_missing() {
        let text = b"guru meditation guru meditation guru meditation".repeat(100);
        let length = text.len() as u64;
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(&*text, level);
        for (format, packed) in [(CompressionFormat::Zlib, zlib), (CompressionFormat::Zstandard, zstd)] {
            assert_eq!(decompress(format, &packed, length).unwrap()[..], text, "{format:?}");
            assert!(decompress(format, &packed, length + 1).is_none(), "{format:?}");
            assert!(decompress(format, &packed, length - 1).is_none(), "{format:?}");
            assert!(decompress(format, &packed[..packed.len() / 2], length).is_none(), "{format:?}");
            assert!(decompress(format, &packed, 1 << 40).is_none(), "{format:?}");
        }
        assert!(decompress(CompressionFormat::Unknown, &text, length).is_none());
    }
}
