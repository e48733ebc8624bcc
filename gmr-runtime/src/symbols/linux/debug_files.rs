//! Finds the debug information of a module, in its own file or in a separate one named by build-id
//! or `.gnu_debuglink`, and loads its sections.

use std::fs::File;
use std::path::{Path, PathBuf};

use gimli::{AbbreviationsCacheStrategy, EndianSlice, NativeEndian, SectionId};
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{CompressionFormat, Object, ObjectSection};

use crate::sys::linux::mapping::MappedBytes;
use crate::sys::linux::modules::hexadecimal;
use crate::sys::{Module, own_threads};

/// An ELF file with the word size and byte order of this machine.
pub(super) type Elf<'a> = ElfFile<'a, FileHeader64<object::NativeEndian>>;

/// Debug information as `gimli` reads it.
pub(super) type Dwarf<'a> = gimli::Dwarf<EndianSlice<'a, NativeEndian>>;

/// Where distributions install separate debug files.
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// The file that a module was loaded from, unless it has been replaced since.
pub(super) fn own_file(module: &Module) -> Option<MappedBytes> {
    // This link still leads to a deleted or replaced executable. There is no such link for
    // libraries.
    let is_executable =
        std::fs::read_link("/proc/self/exe").is_ok_and(|path| path == Path::new(&module.path));
    let path = if is_executable { "/proc/self/exe" } else { &module.path };
    let mapped = MappedBytes::file(&File::open(path).ok()?).ok()?;
    let same = build_id(&mapped) == module.build_id;
    same.then_some(mapped)
}

/// The separate debug file of a module, if it has one. `file` is the module's own.
pub(super) fn separate_file(module: &Module, file: &Elf<'_>) -> Option<MappedBytes> {
    let by_build_id = module.build_id.as_ref().and_then(|id| {
        let (head, tail) = id.split_at_checked(2)?;
        Some(PathBuf::from(format!("{DEBUG_DIRECTORY}/.build-id/{head}/{tail}.debug")))
    });
    let linked =
        file.gnu_debuglink().ok().flatten().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let by_link = linked.into_iter().flat_map(|name| debuglink_paths(Path::new(&module.path), &name));
    by_build_id.into_iter().chain(by_link).find_map(|path| {
        let mapped = MappedBytes::file(&File::open(path).ok()?).ok()?;
        // Checking the checksum of a debuglink would mean to read the whole file; comparing
        // build-ids answers the same question at once.
        let same = module.build_id.is_some() && build_id(&mapped) == module.build_id;
        same.then_some(mapped)
    })
}

/// The paths at which to look for a debuglink's file, as gdb does.
fn debuglink_paths(module: &Path, name: &str) -> Vec<PathBuf> {
    // By its definition it is a file name without directories. A path could lead anywhere.
    let Some(directory) = module.parent().filter(|_| !name.contains('/')) else { return Vec::new() };
    let global = Path::new(DEBUG_DIRECTORY).join(directory.strip_prefix("/").unwrap_or(directory));
    vec![directory.join(name), directory.join(".debug").join(name), global.join(name)]
}

fn build_id(bytes: &[u8]) -> Option<String> {
    Some(hexadecimal(Elf::parse(bytes).ok()?.build_id().ok()??))
}

/// Whether the file has DWARF debug information.
pub(super) fn has_debug_info(file: &Elf<'_>) -> bool {
    file.section_by_name(".debug_info").is_some()
}

/// The sections of a file that functions and lines are read from. Compressed ones are inflated.
#[derive(Debug)]
pub(super) struct Sections<'a> {
    plain: Vec<(SectionId, &'a [u8])>,
    inflated: Vec<(SectionId, MappedBytes)>,
}

/// The sections that functions and lines are read from. Those about variables, among the largest,
/// are not needed.
const NEEDED: [SectionId; 12] = [
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
    SectionId::DebugTypes,
    SectionId::DebugCuIndex,
];

impl<'a> Sections<'a> {
    /// Finds and inflates the sections. Inflating takes most of the time, so the largest section is
    /// inflated on a thread of its own.
    pub(super) fn load(file: &Elf<'a>) -> Self {
        let (largest, others) = NEEDED.split_first().expect("there are some");
        std::thread::scope(|scope| {
            let found = compressed(file, *largest);
            let inflating = found
                .filter(|(format, ..)| *format != CompressionFormat::None)
                .map(|found| own_threads::spawn_scoped(scope, "gmr symbols", move || inflate(found)));
            let mut sections = Self { plain: Vec::new(), inflated: Vec::new() };
            for id in others {
                sections.add(file, *id);
            }
            match inflating {
                Some(Ok(thread)) => {
                    sections.inflated.extend(thread.join().ok().flatten().map(|mapped| (*largest, mapped)));
                }
                Some(Err(_)) | None => sections.add(file, *largest),
            }
            sections
        })
    }

    fn add(&mut self, file: &Elf<'a>, id: SectionId) {
        match compressed(file, id) {
            Some((CompressionFormat::None, data, _)) => self.plain.push((id, data)),
            Some(found) => self.inflated.extend(inflate(found).map(|mapped| (id, mapped))),
            None => {}
        }
    }

    /// The sections as debug information.
    pub(super) fn dwarf(&self) -> Dwarf<'_> {
        let load = |id| Ok::<_, std::convert::Infallible>(EndianSlice::new(self.section(id), NativeEndian));
        let mut dwarf = match gimli::Dwarf::load(load) {
            Ok(dwarf) => dwarf,
            Err(never) => match never {},
        };
        // Hundreds of units of the standard library share one abbreviation table. Parse it once.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        dwarf
    }

    fn section(&self, id: SectionId) -> &[u8] {
        let plain = self.plain.iter().find(|(other, _)| *other == id).map(|(_, bytes)| *bytes);
        let inflated = || self.inflated.iter().find(|(other, _)| *other == id).map(|(_, mapped)| &**mapped);
        plain.or_else(inflated).unwrap_or_default()
    }
}

type Compressed<'a> = (CompressionFormat, &'a [u8], u64);

fn compressed<'a>(file: &Elf<'a>, id: SectionId) -> Option<Compressed<'a>> {
    let data = file.section_by_name(id.name())?.compressed_data().ok()?;
    Some((data.format, data.data, data.uncompressed_size))
}

/// Inflates a zlib-compressed section into memory of its own. Other compressions (zstd) are not
/// supported; such a section counts as missing.
fn inflate((format, data, length): Compressed<'_>) -> Option<MappedBytes> {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
    if format != CompressionFormat::Zlib {
        return None;
    }
    // What a header claims is only believed up to zlib's highest ratio of compression, 1032:1.
    let length = usize::try_from(length).ok().filter(|length| *length <= data.len().saturating_mul(1032))?;
    let flags =
        inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    MappedBytes::filled(length, |output| {
        let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, output, 0, flags);
        status == TINFLStatus::Done && written == output.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debuglink_is_looked_for_where_gdb_does() {
        let paths = debuglink_paths(Path::new("/usr/lib/libshop.so"), "libshop.debug");
        let expected = [
            "/usr/lib/libshop.debug",
            "/usr/lib/.debug/libshop.debug",
            "/usr/lib/debug/usr/lib/libshop.debug",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
        assert!(debuglink_paths(Path::new("/usr/lib/libshop.so"), "/dev/zero").is_empty());
    }

    #[test]
    fn a_compressed_section_is_inflated_and_a_corrupt_one_is_missing() {
        let text = b"guru meditation guru meditation guru meditation".repeat(100);
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let length = text.len() as u64;
        assert_eq!(inflate((CompressionFormat::Zlib, &packed, length)).unwrap()[..], text);
        assert!(inflate((CompressionFormat::Zlib, &packed, length + 1)).is_none());
        assert!(inflate((CompressionFormat::Zlib, &packed[..packed.len() / 2], length)).is_none());
        assert!(inflate((CompressionFormat::Zstandard, &packed, length)).is_none());
        assert!(inflate((CompressionFormat::Zlib, &packed, 1 << 40)).is_none());
    }

    #[test]
    fn this_test_has_debug_information_in_its_own_file() {
        let modules = crate::sys::Modules::load();
        let here = modules.find(build_id as *const () as u64).unwrap();
        let file = own_file(here).unwrap();
        let file = Elf::parse(&file[..]).unwrap();
        assert!(has_debug_info(&file));
        // A file with another build-id is not accepted.
        let other = Module { build_id: Some("00ff".into()), ..here.clone() };
        assert!(own_file(&other).is_none());
    }
}
