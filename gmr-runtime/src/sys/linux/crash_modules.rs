//! The modules of this process, read in a signal handler into memory that is already there: their
//! code, build-ids and unwind tables. [`Modules`](super::Modules) has the same for reports, but
//! allocates.
//!
//! They are read when the signal arrives, from the address map and from the images in memory: a
//! library may have been loaded at any time before. Nothing is read that the map does not have.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use object::NativeEndian;
use object::elf;
use object::read::elf::ProgramHeader as _;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::super::short::Short;
use super::mapping::{MappedBuffer, MappedList};
use super::maps::{FileId, Region};
use super::{copy, pages};

/// How many modules, and how many pieces of code, are kept. Most services have less than 50.
const MAX_MODULES: usize = 256;
const MAX_CODE: usize = 1024;
/// How much is kept of a path: its end.
const PATH: usize = 200;
/// The longest build-id that is kept. The linkers' have 8, 16 or 20 bytes.
const BUILD_ID: usize = 32;
/// How many program headers are read of an image. They have up to 15.
const MAX_HEADERS: usize = 32;
/// How much is read of a segment of notes.
const NOTES: usize = 1 << 10;
/// How much of the address map is read at a time.
const BUFFER: usize = 16 << 10;

const MAPS: &CStr = c"/proc/thread-self/maps";

type ProgramHeader = elf::ProgramHeader64<NativeEndian>;

/// An executable, a library, or the vDSO.
pub(crate) struct CrashModule {
    path: Short<PATH>,
    /// What to add to an address in its file to get the address in memory.
    pub(crate) bias: u64,
    build_id: [u8; BUILD_ID],
    build_id_length: usize,
    /// `.eh_frame_hdr`, as addresses in its file.
    pub(crate) eh_frame_hdr: Range<u64>,
    /// The end of the segment that holds it, as an address in its file.
    pub(crate) eh_frame_limit: u64,
    /// Where its image begins, and which file it is.
    start: u64,
    file: Option<FileId>,
}

impl CrashModule {
    fn empty() -> Self {
        Self {
            path: Short::default(),
            bias: 0,
            build_id: [0; BUILD_ID],
            build_id_length: 0,
            eh_frame_hdr: 0..0,
            eh_frame_limit: 0,
            start: 0,
            file: None,
        }
    }

    /// The path as the kernel shows it, or its end if it is long.
    pub(crate) fn path(&self) -> &str {
        self.path.as_str()
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// Empty if it has none.
    pub(crate) fn build_id(&self) -> &[u8] {
        &self.build_id[..self.build_id_length]
    }
}

/// A piece of code, and the index of its module.
#[derive(Clone, Copy)]
struct Code {
    start: u64,
    end: u64,
    readable: bool,
    module: Option<usize>,
}

/// All of them, in ascending order of their addresses.
pub(crate) struct CrashModules {
    modules: MappedList<CrashModule>,
    modules_length: usize,
    code: MappedList<Code>,
    code_length: usize,
    /// How many pieces of code were left out, or their modules.
    pub(crate) omitted: usize,
    buffer: MappedBuffer,
}

impl CrashModules {
    /// The memory for them, without any.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn new() -> io::Result<Self> {
        let modules = MappedList::new(MAX_MODULES, std::iter::repeat_with(CrashModule::empty))?;
        let none = Code { start: 0, end: 0, readable: false, module: None };
        let code = MappedList::new(MAX_CODE, std::iter::repeat(none))?;
        let buffer = MappedBuffer::new(BUFFER)?;
        Ok(Self { modules, modules_length: 0, code, code_length: 0, omitted: 0, buffer })
    }

    /// Reads them. It allocates nothing.
    ///
    /// # Errors
    /// The address map cannot be read. Then there may be some of them, or none.
    pub(crate) fn read(&mut self) -> Result<(), Errno> {
        (self.modules_length, self.code_length, self.omitted) = (0, 0, 0);
        let file = openat(CWD, MAPS, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut last_start = None;
        let mut filled = 0;
        loop {
            let length = match rustix::io::read(&file, &mut self.buffer[filled..]) {
                Err(Errno::INTR) => continue,
                length => length?,
            };
            if length == 0 {
                return Ok(());
            }
            filled += length;
            let mut start = 0;
            while let Some(end) = self.buffer[start..filled].iter().position(|byte| *byte == b'\n') {
                let mut line = [0; 512];
                let kept = end.min(line.len());
                line[..kept].copy_from_slice(&self.buffer[start..start + kept]);
                self.line(&line[..kept], &mut last_start);
                start += end + 1;
            }
            self.buffer.copy_within(start..filled, 0);
            filled -= start;
            if filled == self.buffer.len() {
                // A line that is longer than the buffer is left out.
                filled = 0;
            }
        }
    }

    /// Adds what a line of the map says. `last_start` is where the last image begins.
    fn line(&mut self, line: &[u8], last_start: &mut Option<(u64, Option<FileId>)>) {
        // A path that is cut off may end within a character.
        let text = match str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
        };
        let Some(region) = Region::parse(text) else { return };
        let is_image = region.path.starts_with('/') || region.path == "[vdso]";
        if is_image && region.readable && region.offset == 0 {
            *last_start = Some((region.range.start, region.file));
        }
        if !region.executable {
            return;
        }
        if self.code_length == MAX_CODE {
            self.omitted += 1;
            return;
        }
        let start = last_start.filter(|(_, file)| is_image && *file == region.file);
        let module = start.and_then(|(start, file)| self.module(start, file, region.path));
        let Range { start, end } = region.range;
        self.code[self.code_length] = Code { start, end, readable: region.readable, module };
        self.code_length += 1;
    }

    /// The index of the module whose image begins here.
    fn module(&mut self, start: u64, file: Option<FileId>, path: &str) -> Option<usize> {
        let known = self.modules[..self.modules_length].iter();
        if let Some(index) = known.rev().position(|known| known.start == start && known.file == file) {
            return Some(self.modules_length - 1 - index);
        }
        if self.modules_length == MAX_MODULES {
            self.omitted += 1;
            return None;
        }
        let mut module = CrashModule { start, file, ..CrashModule::empty() };
        let _ = module.path.write_str(end_of(path, PATH));
        module.read_headers()?;
        self.modules[self.modules_length] = module;
        self.modules_length += 1;
        Some(self.modules_length - 1)
    }

    /// All modules.
    pub(crate) fn all(&self) -> &[CrashModule] {
        &self.modules[..self.modules_length]
    }

    /// The module whose code is at this address.
    pub(crate) fn find(&self, address: u64) -> Option<&CrashModule> {
        self.modules.get(self.code_at(address)?.module?)
    }

    /// Whether there is code at this address that can be read, in a module or not.
    pub(crate) fn has_code(&self, address: u64) -> bool {
        self.code_at(address).is_some_and(|code| code.readable)
    }

    /// The end of the highest code.
    pub(crate) fn highest_code(&self) -> u64 {
        // The kernel's page of system calls of old times is above all addresses of user space.
        let user = |code: &&Code| code.end < 1 << 63;
        self.code[..self.code_length].iter().rev().find(user).map_or(0, |code| code.end)
    }

    fn code_at(&self, address: u64) -> Option<&Code> {
        let code = &self.code[..self.code_length];
        let after = code.partition_point(|code| code.start <= address);
        code[..after].last().filter(|code| address < code.end)
    }
}

impl CrashModule {
    /// Reads the headers of the image. `None` if it has none.
    fn read_headers(&mut self) -> Option<()> {
        const HEADER: usize = size_of::<elf::FileHeader64<NativeEndian>>();
        let mut bytes = [0; HEADER];
        read_exact(self.start, &mut bytes)?;
        let (header, _) = object::pod::from_bytes::<elf::FileHeader64<NativeEndian>>(&bytes).ok()?;
        let endian = NativeEndian;
        if header.e_ident.magic != elf::ELFMAG {
            return None;
        }
        let count = usize::from(header.e_phnum.get(endian)).min(MAX_HEADERS);
        let mut table = [0; MAX_HEADERS * size_of::<ProgramHeader>()];
        let table = &mut table[..count * size_of::<ProgramHeader>()];
        read_exact(self.start.checked_add(header.e_phoff.get(endian))?, table)?;
        let (segments, _) = object::pod::slice_from_bytes::<ProgramHeader>(table, count).ok()?;
        let in_file = |segment: &ProgramHeader| {
            segment.p_vaddr(endian)..segment.p_vaddr(endian).saturating_add(segment.p_memsz(endian))
        };
        let loaded = || segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).map(in_file);
        let first = loaded().map(|segment| segment.start).min()?;
        // The first segment begins where the file does, except for its alignment within a page.
        self.bias = self.start.wrapping_sub(first & !0xfff);
        for segment in segments {
            let range = in_file(segment);
            match segment.p_type(endian) {
                elf::PT_GNU_EH_FRAME => {
                    let limit = loaded().find(|loaded| loaded.contains(&range.start));
                    self.eh_frame_limit = limit.map_or(0, |loaded| loaded.end);
                    self.eh_frame_hdr = range;
                }
                elf::PT_NOTE if self.build_id_length == 0 => self.read_build_id(&range),
                _ => {}
            }
        }
        Some(())
    }

    fn read_build_id(&mut self, notes: &Range<u64>) {
        let mut buffer = [0; NOTES];
        let length = usize::try_from(notes.end.saturating_sub(notes.start)).unwrap_or(NOTES).min(NOTES);
        let buffer = &mut buffer[..length];
        if read_exact(notes.start.wrapping_add(self.bias), buffer).is_none() {
            return;
        }
        let Some(id) = build_id_in(buffer).filter(|id| id.len() <= BUILD_ID) else { return };
        self.build_id[..id.len()].copy_from_slice(id);
        self.build_id_length = id.len();
    }
}

/// The build-id among these notes.
fn build_id_in(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let (sizes, rest) = notes.split_first_chunk::<12>()?;
        let number = |at: usize| u32::from_ne_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]);
        let [name, description] =
            [number(0), number(4)].map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let (name_end, padded) = (name, name.checked_next_multiple_of(4)?);
        let found = rest.get(padded..padded.checked_add(description)?)?;
        if rest.get(..name_end)? == b"GNU\0" && number(8) == elf::NT_GNU_BUILD_ID.0 {
            return Some(found);
        }
        notes = rest.get(padded.checked_add(description.checked_next_multiple_of(4)?)?..)?;
    }
}

/// Copies all of these bytes, if their pages are in memory.
fn read_exact(address: u64, buffer: &mut [u8]) -> Option<()> {
    (read(address, buffer) == buffer.len()).then_some(())
}

/// Copies bytes of this process, up to the first page that is not in memory. A signal handler may
/// call it.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    let ready = pages::resident(address, buffer.len());
    copy::read(address, &mut buffer[..ready])
}

/// The last bytes of a text, at most this many.
fn end_of(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::super::Modules;
    use super::super::modules::hexadecimal;
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn they_are_those_of_reports() {
        let mut found = CrashModules::new().unwrap();
        found.read().unwrap();
        found.read().unwrap();
        let expected = Modules::load();
        assert_eq!((found.all().len(), found.omitted), (expected.all().len(), 0));
        for (one, other) in found.all().iter().zip(expected.all()) {
            let id = Some(hexadecimal(one.build_id())).filter(|id| !id.is_empty());
            assert_eq!((one.path(), one.bias, &id), (&*other.path, other.bias, &other.build_id));
            let header = Some(one.eh_frame_hdr.clone()).filter(|header| !header.is_empty());
            assert_eq!((header, one.eh_frame_limit), (other.eh_frame_hdr.clone(), other.eh_frame_limit));
        }
        let here = they_are_those_of_reports as fn() as usize as u64;
        assert_eq!(found.find(here).unwrap().path(), expected.find(here).unwrap().path);
        assert!(found.has_code(here) && !found.has_code(16) && found.highest_code() > here);
        let data = 0_u8;
        assert!(!found.has_code(&raw const data as u64));
    }

    #[test]
    fn damaged_notes_have_no_build_id() {
        let mut notes = [0; 40];
        notes[..4].copy_from_slice(&4_u32.to_ne_bytes());
        notes[4..8].copy_from_slice(&20_u32.to_ne_bytes());
        notes[8..12].copy_from_slice(&elf::NT_GNU_BUILD_ID.0.to_ne_bytes());
        notes[12..16].copy_from_slice(b"GNU\0");
        assert_eq!(build_id_in(&notes).map(<[u8]>::len), Some(20));
        for end in 0..36 {
            assert_eq!(build_id_in(&notes[..end]), None);
        }
        notes[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(build_id_in(&notes), None);
    }
}
