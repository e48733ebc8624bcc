//! Sections of a module's file that are not in memory: unwind tables that the loader does not map.
//!
//! They are copied with `pread`, so a file that shrinks meanwhile causes an error and no fault.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::mpsc;
use std::time::Duration;

use object::NativeEndian;
use object::elf;
use object::pod;

use super::descriptor_table::separate_files;
use super::mapping::MappedBytes;
use super::modules::{Module, build_id_in};
use crate::sys::own_threads;

type SectionHeader = elf::SectionHeader64<NativeEndian>;

/// How long a file may take: a disk that does not respond must not hold up the stacks.
const TIMEOUT: Duration = Duration::from_millis(500);
/// A table that claims more is not trusted: the largest known are a tenth of it.
const MAX_SECTION: u64 = 1 << 30;
/// How many sections are looked at. Object files of a whole program can have more; executables have
/// some dozens.
const MAX_SECTIONS: u16 = 4096;

/// A section of unwind entries.
#[derive(Debug)]
pub(crate) struct FileSection {
    /// Whether it is `.eh_frame`; else it is `.debug_frame`.
    pub(crate) is_eh_frame: bool,
    pub(crate) bytes: MappedBytes,
    /// Its address in the file.
    pub(crate) address: u64,
}

/// `.debug_frame` of the module's file and, if it is wanted, `.eh_frame`. Nothing if the file is
/// not the one in memory, cannot be read, or is not read in time.
pub(crate) fn unwind_sections(module: &Module, with_eh_frame: bool) -> Vec<FileSection> {
    if !module.path.starts_with('/') {
        return Vec::new();
    }
    let module = module.clone();
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        separate_files();
        drop(sender.send(read(&module, with_eh_frame).unwrap_or_default()));
    };
    match own_threads::spawn("gmr-tables", read) {
        Ok(()) => receiver.recv_timeout(TIMEOUT).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn read(module: &Module, with_eh_frame: bool) -> io::Result<Vec<FileSection>> {
    let file = File::open(&module.path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    let sections = Sections::of(&file)?;
    let is_same = match &module.build_id {
        Some(build_id) => sections.build_id(&file).as_ref() == Some(build_id),
        None => module.file.is_some_and(|id| (id.device, id.inode) == (metadata.dev(), metadata.ino())),
    };
    if !is_same {
        return Ok(Vec::new());
    }
    let find = |name: &[u8], is_eh_frame: bool| {
        let header = sections.named(name)?;
        let bytes = contents(&file, header)?;
        Some(FileSection { is_eh_frame, bytes, address: header.sh_addr.get(NativeEndian) })
    };
    let eh_frame = with_eh_frame.then(|| find(b".eh_frame", true)).flatten();
    Ok(eh_frame.into_iter().chain(find(b".debug_frame", false)).collect())
}

struct Sections {
    headers: Vec<SectionHeader>,
    names: Vec<u8>,
}

impl Sections {
    fn of(file: &File) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let mut bytes = [0; size_of::<elf::FileHeader64<NativeEndian>>()];
        file.read_exact_at(&mut bytes, 0)?;
        let (header, _) =
            pod::from_bytes::<elf::FileHeader64<NativeEndian>>(&bytes).map_err(|()| invalid())?;
        let count = header.e_shnum.get(NativeEndian);
        if header.e_ident.magic != elf::ELFMAG
            || count > MAX_SECTIONS
            || usize::from(header.e_shentsize.get(NativeEndian)) != size_of::<SectionHeader>()
        {
            return Err(invalid());
        }
        let mut bytes = vec![0; usize::from(count) * size_of::<SectionHeader>()];
        file.read_exact_at(&mut bytes, header.e_shoff.get(NativeEndian))?;
        let (headers, _) =
            pod::slice_from_bytes::<SectionHeader>(&bytes, count.into()).map_err(|()| invalid())?;
        let strings = headers.get(usize::from(header.e_shstrndx.get(NativeEndian).0)).ok_or_else(invalid)?;
        let names = short(file, strings).ok_or_else(invalid)?;
        Ok(Self { headers: headers.to_vec(), names })
    }

    fn named(&self, name: &[u8]) -> Option<&SectionHeader> {
        self.headers.iter().find(|header| {
            let start = header.sh_name.get(NativeEndian) as usize;
            let rest = self.names.get(start..).and_then(|names| names.strip_prefix(name));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    fn build_id(&self, file: &File) -> Option<String> {
        let notes = self.headers.iter().filter(|header| header.sh_type.get(NativeEndian) == elf::SHT_NOTE);
        notes.filter_map(|header| short(file, header)).find_map(|notes| build_id_in(&notes))
    }
}

/// The contents of a section of names or notes.
fn short(file: &File, header: &SectionHeader) -> Option<Vec<u8>> {
    const LIMIT: u64 = 1 << 20;
    let size = header.sh_size.get(NativeEndian);
    let mut bytes = vec![0; usize::try_from(size).ok().filter(|_| size <= LIMIT)?];
    file.read_exact_at(&mut bytes, header.sh_offset.get(NativeEndian)).ok()?;
    Some(bytes)
}

/// The contents of a table, inflated if it is compressed with zlib.
fn contents(file: &File, header: &SectionHeader) -> Option<MappedBytes> {
    let size = header.sh_size.get(NativeEndian);
    let length = usize::try_from(size).ok().filter(|_| size <= MAX_SECTION)?;
    let bytes = MappedBytes::filled(length, |bytes| {
        file.read_exact_at(bytes, header.sh_offset.get(NativeEndian)).is_ok()
    })?;
    if !header.sh_flags.get(NativeEndian).contains(elf::SHF_COMPRESSED) {
        return Some(bytes);
    }
    let (kind, rest) = pod::from_bytes::<elf::CompressionHeader64<NativeEndian>>(&bytes).ok()?;
    let size = kind.ch_size.get(NativeEndian);
    if kind.ch_type.get(NativeEndian) != elf::ELFCOMPRESS_ZLIB || size > MAX_SECTION {
        return None;
    }
    MappedBytes::filled(usize::try_from(size).ok()?, |inflated| {
        let chunks = std::iter::once(rest);
        miniz_oxide::inflate::decompress_slice_iter_to_slice(inflated, chunks, true, false)
            .is_ok_and(|length| length == inflated.len())
    })
}
