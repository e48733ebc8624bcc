//! The executable and its libraries as they are in memory: addresses, unwind tables, build-ids.
//!
//! They come from `/proc/self/maps` and from the images themselves, read through the kernel.
//! Neither the loader nor any file is involved, so it also works in a process that is stuck inside
//! `dlopen`, or whose executable was deleted or stripped.

use crate::sys::sort;
use std::ops::Range;

use object::NativeEndian;
use object::elf;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};

use super::mapping::MappedBytes;
use super::maps::{self, FileId, Region};
use super::memory;

type Header = elf::FileHeader64<NativeEndian>;

/// All modules of this process, in ascending order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    list: Vec<Module>,
}

/// One executable, library, or the vDSO: an image whose code is mapped to be run. A file that is
/// only mapped for reading is not a module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Module {
    /// The path as the kernel shows it.
    pub(crate) path: String,
    /// The addresses from its beginning to the end of its last segment, in memory.
    pub(crate) image: Range<u64>,
    /// The addresses of its code in memory, in ascending order.
    pub(crate) code: Vec<Range<u64>>,
    /// The addresses of its variables in memory (`.data`, `.bss`).
    pub(crate) variables: Vec<Range<u64>>,
    /// Its file, if it has one.
    pub(crate) file: Option<FileId>,
    /// What to add to an address in its file to get the address in memory.
    pub(crate) bias: u64,
    /// Where the kernel or the loader starts it, in memory.
    pub(crate) entry: u64,
    /// The GNU build-id, in hexadecimal.
    pub(crate) build_id: Option<String>,
    /// `.eh_frame_hdr`, as addresses in its file.
    pub(crate) eh_frame_hdr: Option<Range<u64>>,
    /// The end, as an address in its file, of the segment that holds `.eh_frame_hdr`. It bounds
    /// `.eh_frame`, whose length is in no header.
    pub(crate) eh_frame_limit: u64,
}

impl Modules {
    /// Reads the address map and the headers of all images. A module that cannot be read is left
    /// out; its frames then have no module.
    pub(crate) fn load() -> Self {
        Self::load_where(|_| true)
    }

    /// Like [`load`](Self::load), but reads only the headers of the images whose paths are wanted.
    pub(crate) fn load_where(is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut starts = Vec::new();
        let mut code = Vec::new();
        maps::of_modules(|region| {
            if is_start_of_image(&region) && is_wanted(region.path) {
                starts.push((region.range.start, region.file, region.path.to_owned()));
            }
            if region.executable {
                code.push(Mapped { range: region.range, offset: region.offset, file: region.file });
            }
        });
        sort::by_key(&mut starts, |(start, ..)| *start);
        starts.dedup_by_key(|(start, ..)| *start);
        sort::by_key(&mut code, |mapped| mapped.range.start);
        code.dedup_by_key(|mapped| mapped.range.start);
        // A program may have mapped thousands of files to read them.
        starts.retain(|(start, file, _)| match file {
            Some(_) => code.iter().any(|mapped| mapped.file == *file),
            None => code.iter().any(|mapped| mapped.range.start == *start),
        });
        let modules = starts.into_iter().filter_map(|(start, file, path)| {
            let (module, segments) = Module::image(start, path)?;
            let code = clipped(&segments, module.bias, start, file, &code);
            (!code.is_empty()).then_some(Module { code, file, ..module })
        });
        let mut list: Vec<Module> = modules.collect();
        sort::by_key(&mut list, Module::start);
        Self { list }
    }

    /// The module that covers this address.
    pub(crate) fn find(&self, address: u64) -> Option<&Module> {
        let after = self.list.partition_point(|module| module.start() <= address);
        self.list[..after].last().filter(|module| module.covers(address))
    }

    /// The module with this path.
    pub(crate) fn named(&self, path: &str) -> Option<&Module> {
        self.list.iter().find(|module| module.path == path)
    }

    /// Whether no module could be read. There is one at least, the executable.
    pub(crate) fn are_unread(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in ascending order of their addresses.
    pub(crate) fn all(&self) -> &[Module] {
        &self.list
    }
}

/// A mapping of code.
#[derive(Debug)]
struct Mapped {
    range: Range<u64>,
    /// The offset in its file at which it begins.
    offset: u64,
    file: Option<FileId>,
}

/// Whether an image begins here: the mapping of a file's beginning, or the vDSO.
fn is_start_of_image(region: &Region<'_>) -> bool {
    let image = region.path.starts_with('/') || region.path == "[vdso]";
    image && region.readable && region.offset == 0
}

/// The mapped parts of these segments of the image that begins at `start`. What else is mapped
/// between them, such as generated code, is not the image's.
fn clipped(
    segments: &[Segment],
    bias: u64,
    start: u64,
    file: Option<FileId>,
    mapped: &[Mapped],
) -> Vec<Range<u64>> {
    let belongs = |mapped: &&Mapped| {
        // The vDSO is one mapping, of no file.
        (file.is_none() && mapped.range.start == start)
            || (file.is_some()
                && mapped.file == file
                && segments.iter().any(|segment| segment.holds(mapped, bias)))
    };
    mapped.iter().filter(belongs).map(|mapped| mapped.range.clone()).collect()
}

/// A segment of code, with addresses as in the file.
#[derive(Debug)]
struct Segment {
    address: u64,
    length: u64,
    offset: u64,
}

impl Segment {
    /// Whether a mapping is this segment, or a part of it, loaded with this bias.
    fn holds(&self, mapped: &Mapped, bias: u64) -> bool {
        // The kernel maps whole pages, so it can begin before the segment, and end after it.
        let [start, end] = [mapped.range.start, mapped.range.end].map(|address| address.wrapping_sub(bias));
        start < self.address.saturating_add(self.length)
            && self.address < end
            && mapped.offset.wrapping_sub(start) == self.offset.wrapping_sub(self.address)
    }
}

/// The bits of an address that are its offset within a page of the smallest size.
const PAGE_MASK: u64 = 0xfff;

impl Module {
    /// Reads the image that begins at this address, and takes all of its segments of code to be
    /// mapped.
    #[cfg(any(test, feature = "__fuzz"))]
    pub(crate) fn read(start: u64, path: String) -> Option<Self> {
        let (module, segments) = Self::image(start, path)?;
        let range = |segment: Segment| {
            let start = segment.address.wrapping_add(module.bias);
            start..start.saturating_add(segment.length)
        };
        let mut code: Vec<Range<u64>> = segments.into_iter().map(range).collect();
        sort::by_key(&mut code, |range| range.start);
        Some(Self { code, ..module })
    }

    /// Reads the headers of the image that begins at this address, and returns its segments of
    /// code.
    fn image(start: u64, path: String) -> Option<(Self, Vec<Segment>)> {
        let header = memory::read_exact(start, size_of::<Header>())?;
        let header = Header::parse(&*header).ok()?;
        let endian = NativeEndian;
        let count = usize::from(header.e_phnum.get(endian));
        let size = size_of::<elf::ProgramHeader64<NativeEndian>>();
        let table =
            memory::read_exact(start.checked_add(header.e_phoff.get(endian))?, count.checked_mul(size)?)?;
        let (segments, _) =
            object::pod::slice_from_bytes::<elf::ProgramHeader64<NativeEndian>>(&table, count).ok()?;

        let in_file = |segment: &elf::ProgramHeader64<NativeEndian>| {
            segment.p_vaddr(endian)..segment.p_vaddr(endian).saturating_add(segment.p_memsz(endian))
        };
        let is_loaded =
            |segment: &&elf::ProgramHeader64<NativeEndian>| segment.p_type(endian) == elf::PT_LOAD;
        let loaded: Vec<Range<u64>> = segments.iter().filter(is_loaded).map(in_file).collect();
        let first = loaded.iter().map(|segment| segment.start).min()?;
        // The first segment begins where the file does, except for its alignment within a page.
        let bias = start.wrapping_sub(first & !PAGE_MASK);
        let entry = header.e_entry.get(endian).wrapping_add(bias);
        let last = loaded.iter().map(|segment| segment.end).max().unwrap_or(first);
        let image = start..last.wrapping_add(bias);
        let mut module = Self { path, image, bias, entry, ..Self::default() };
        let mut code = Vec::new();
        // The part that is written only while the module is loaded is at the beginning of a
        // segment.
        let is_relro =
            |segment: &&elf::ProgramHeader64<NativeEndian>| segment.p_type(endian) == elf::PT_GNU_RELRO;
        let relro = segments.iter().find(is_relro).map(in_file);
        for segment in segments {
            let range = in_file(segment);
            if is_loaded(&segment) && segment.p_flags(endian).contains(elf::PF_W) {
                let relro = relro.as_ref().filter(|relro| range.contains(&relro.start));
                let start = relro.map_or(range.start, |relro| relro.end.min(range.end));
                module.variables.push(start.wrapping_add(bias)..range.end.wrapping_add(bias));
            }
            match segment.p_type(endian) {
                elf::PT_LOAD if segment.p_flags(endian).contains(elf::PF_X) => code.push(Segment {
                    address: range.start,
                    length: segment.p_memsz(endian),
                    offset: segment.p_offset(endian),
                }),
                elf::PT_GNU_EH_FRAME => {
                    module.eh_frame_limit = loaded
                        .iter()
                        .find(|loaded| loaded.contains(&range.start))
                        .map_or(0, |loaded| loaded.end);
                    module.eh_frame_hdr = Some(range);
                }
                elf::PT_NOTE if module.build_id.is_none() => {
                    module.build_id = module.notes(&range).and_then(|notes| build_id_in(&notes));
                }
                _ => {}
            }
        }
        Some((module, code))
    }

    /// Whether this is an address of its code.
    pub(crate) fn covers(&self, address: u64) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }

    /// Where its code begins.
    fn start(&self) -> u64 {
        self.code.first().map_or(0, |range| range.start)
    }

    /// A copy of what is loaded at these addresses of the file.
    pub(crate) fn section(&self, range: &Range<u64>) -> Option<MappedBytes> {
        let (start, length) = self.in_memory(range)?;
        MappedBytes::filled(length, |copy| memory::read(start, copy) == length)
    }

    /// A copy of a segment of notes, which is too short for a mapping.
    fn notes(&self, range: &Range<u64>) -> Option<Vec<u8>> {
        // A header that claims more is not trusted: real ones have some hundred bytes.
        const LIMIT: usize = 64 << 10;
        let (start, length) = self.in_memory(range)?;
        if length > LIMIT { None } else { memory::read_exact(start, length) }
    }

    /// Where this range of the file is in memory, and its length.
    fn in_memory(&self, range: &Range<u64>) -> Option<(u64, usize)> {
        // A header that claims more than this is not trusted: the largest unwind tables known are a
        // tenth of it.
        const LIMIT: u64 = 1 << 30;
        let length = range.end.checked_sub(range.start).filter(|&length| length < LIMIT)?;
        Some((range.start.wrapping_add(self.bias), usize::try_from(length).ok()?))
    }
}

pub(super) fn build_id_in(notes: &[u8]) -> Option<String> {
    let mut notes = NoteIterator::<Header>::new(NativeEndian, 4, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(NativeEndian) == elf::NT_GNU_BUILD_ID {
            return Some(hexadecimal(note.desc()));
        }
    }
    None
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Option<FileId> = Some(FileId { device: 1, inode: 2 });

    #[test]
    fn only_what_is_mapped_to_be_run_is_code() {
        let segments = [Segment { address: 0x2010, length: 0x2800, offset: 0x1010 }];
        let mapped = |range: Range<u64>, offset, file| Mapped { range, offset, file };
        let bias = 0x7000_0000;
        let code = [
            // The segment, of which a page in the middle has become something else.
            mapped(0x7000_2000..0x7000_3000, 0x1000, FILE),
            mapped(0x7000_3000..0x7000_4000, 0, None),
            mapped(0x7000_4000..0x7000_5000, 0x3000, FILE),
            // Behind the segment, at another offset of the file, of another file.
            mapped(0x7000_5000..0x7000_6000, 0x4000, FILE),
            mapped(0x7000_2000..0x7000_3000, 0x2000, FILE),
            mapped(0x7000_2000..0x7000_3000, 0x1000, Some(FileId { device: 1, inode: 3 })),
        ];
        let clipped = clipped(&segments, bias, 0x7000_0000, FILE, &code);
        assert_eq!(clipped, [0x7000_2000..0x7000_3000, 0x7000_4000..0x7000_5000]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn a_file_that_is_mapped_to_be_read_is_no_module() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let mapped = MappedBytes::file(&file).unwrap();
        let modules = Modules::load();
        let own = modules.find(only_what_is_mapped_to_be_run_is_code as fn() as usize as u64).unwrap();
        assert!(modules.find(mapped.as_ptr() as u64).is_none());
        assert_eq!(modules.all().iter().filter(|module| module.file == own.file).count(), 1);
        assert!(modules.named("[vdso]").is_some());
    }
}
