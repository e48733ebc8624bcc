//! The executable and its libraries as they are in memory: addresses, unwind tables, build-ids.
//!
//! They come from `/proc/self/maps` and from the images themselves, read through the kernel.
//! Neither the loader nor any file is involved, so it also works in a process that is stuck inside
//! `dlopen`, or whose executable was deleted or stripped.

use std::ops::Range;

use object::NativeEndian;
use object::elf;
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};

use super::mapping::MappedBytes;
use super::maps::{self, Region};
use super::memory;

type Header = elf::FileHeader64<NativeEndian>;

/// All modules of this process, in ascending order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    list: Vec<Module>,
}

/// One executable, library, or the vDSO.
#[derive(Debug, Clone, Default)]
pub(crate) struct Module {
    /// The path as the kernel shows it.
    pub(crate) path: String,
    /// The addresses that its segments cover.
    pub(crate) range: Range<u64>,
    /// What to add to an address in its file to get the address in memory.
    pub(crate) bias: u64,
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
        let mut starts = Vec::new();
        let _: Option<()> = maps::find(|region| {
            if is_start_of_image(&region) {
                starts.push((region.range.start, region.path.to_owned()));
            }
            None
        });
        let mut list: Vec<Module> =
            starts.into_iter().filter_map(|(start, path)| Module::read(start, path)).collect();
        list.sort_by_key(|module| module.range.start);
        Self { list }
    }

    /// The module that covers this address.
    pub(crate) fn find(&self, address: u64) -> Option<&Module> {
        let after = self.list.partition_point(|module| module.range.start <= address);
        self.list[..after].last().filter(|module| module.covers(address))
    }

    /// The module with this path.
    pub(crate) fn named(&self, path: &str) -> Option<&Module> {
        self.list.iter().find(|module| module.path == path)
    }

    /// All of them, in ascending order of their addresses.
    pub(crate) fn all(&self) -> &[Module] {
        &self.list
    }
}

/// Whether an image begins here: the mapping of a file's beginning, or the vDSO.
fn is_start_of_image(region: &Region<'_>) -> bool {
    let image = region.path.starts_with('/') || region.path == "[vdso]";
    image && region.readable && region.offset == 0
}

impl Module {
    /// Reads the image that begins at this address.
    pub(crate) fn read(start: u64, path: String) -> Option<Self> {
        let header = memory::read_exact(start, size_of::<Header>())?;
        let header = Header::parse(&*header).ok()?;
        let endian = NativeEndian;
        let count = usize::from(header.e_phnum.get(endian));
        let size = size_of::<elf::ProgramHeader64<NativeEndian>>();
        let table =
            memory::read_exact(start.checked_add(header.e_phoff.get(endian))?, count.checked_mul(size)?)?;
        let (segments, _) =
            object::pod::slice_from_bytes::<elf::ProgramHeader64<NativeEndian>>(&table, count).ok()?;

        let loaded: Vec<Range<u64>> = segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .map(|segment| {
                segment.p_vaddr(endian)..segment.p_vaddr(endian).saturating_add(segment.p_memsz(endian))
            })
            .collect();
        let first = loaded.iter().map(|segment| segment.start).min()?;
        let last = loaded.iter().map(|segment| segment.end).max()?;
        // The first segment begins where the file does, except for its alignment within a page.
        let bias = start.wrapping_sub(first & !0xfff);
        let mut module =
            Self { path, range: first.wrapping_add(bias)..last.wrapping_add(bias), bias, ..Self::default() };
        for segment in segments {
            let range =
                segment.p_vaddr(endian)..segment.p_vaddr(endian).saturating_add(segment.p_memsz(endian));
            match segment.p_type(endian) {
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
        Some(module)
    }

    /// Whether the address is in one of its segments, or between them.
    pub(crate) fn covers(&self, address: u64) -> bool {
        self.range.contains(&address)
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

fn build_id_in(notes: &[u8]) -> Option<String> {
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
