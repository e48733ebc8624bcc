//! Sections of an ELF file, by their names. For files that are not mapped: they are copied with
//! `pread`, so a file that shrinks meanwhile causes an error and no fault.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use object::{NativeEndian, elf, pod};

pub(crate) type SectionHeader = elf::SectionHeader64<NativeEndian>;

/// How many sections are looked at. Object files of a whole program can have more; executables have
/// some dozens.
const MAX_SECTIONS: u16 = 4096;

/// The contents of a section of a file. `None` if the file has none with this name, or is damaged.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn section(file: &File, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let read = Sections::of(file)
        .and_then(|sections| sections.named(name).map(|header| short(file, header)).transpose());
    match read {
        Err(error) if is_damage(&error) => Ok(None),
        read => read,
    }
}

/// Whether a file was read, and is not as it should be.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// The section headers of a file, and their names.
pub(crate) struct Sections {
    headers: Vec<SectionHeader>,
    names: Vec<u8>,
}

impl Sections {
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
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
        let names = short(file, strings)?;
        Ok(Self { headers: headers.to_vec(), names })
    }

    pub(crate) fn named(&self, name: &[u8]) -> Option<&SectionHeader> {
        self.headers.iter().find(|header| {
            let start = header.sh_name.get(NativeEndian) as usize;
            let rest = self.names.get(start..).and_then(|names| names.strip_prefix(name));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    pub(crate) fn of_type(&self, kind: elf::SectionType) -> impl Iterator<Item = &SectionHeader> {
        self.headers.iter().filter(move |header| header.sh_type.get(NativeEndian) == kind)
    }
}

/// The contents of a section of names or notes.
///
/// # Errors
/// The file cannot be read, or the section is too long for one of these.
pub(crate) fn short(file: &File, header: &SectionHeader) -> io::Result<Vec<u8>> {
    const LIMIT: u64 = 1 << 20;
    let size = header.sh_size.get(NativeEndian);
    let size = usize::try_from(size).ok().filter(|_| size <= LIMIT).ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, header.sh_offset.get(NativeEndian))?;
    Ok(bytes)
}
