//! Sections of a module's file that are not in memory: unwind tables that the loader does not map.
//!
//! They are copied with `pread`, so a file that shrinks meanwhile causes an error and no fault.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use object::{CompressionFormat, NativeEndian, elf, pod};

use super::compressed::decompress;
use super::debug_paths;
use super::descriptor_table::separate_files;
use super::mapping::MappedBytes;
use super::maps::FileId;
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

/// `.debug_frame` of the module's file, or of its separate debug file; and, if it is wanted,
/// `.eh_frame` of its own. Nothing of a file that is not the one in memory, or cannot be read, and
/// nothing at all if the files are not read in time.
pub(crate) fn unwind_sections(module: &Module, with_eh_frame: bool) -> Vec<FileSection> {
    if !module.path.starts_with('/') {
        return Vec::new();
    }
    let module = module.clone();
    let (sender, receiver) = mpsc::channel();
    let read = move || drop(sender.send(read(&module, with_eh_frame)));
    match own_threads::spawn_or_run("gmr-tables", separate_files, read) {
        Ok(()) => receiver.recv_timeout(TIMEOUT).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn read(module: &Module, with_eh_frame: bool) -> Vec<FileSection> {
    let own = open(&module.path).and_then(|(file, id)| Ok((Sections::of(&file)?, file, id)));
    let own = own.ok().filter(|(sections, file, id)| match &module.build_id {
        Some(build_id) => sections.build_id(file).as_ref() == Some(build_id),
        None => module.file == Some(*id),
    });
    let mut found = Vec::new();
    let mut link = None;
    if let Some((sections, file, _)) = &own {
        if with_eh_frame {
            found.extend(sections.find(file, b".eh_frame", true));
        }
        link = sections.named(b".gnu_debuglink").and_then(|header| short(file, header));
    }
    let of_own = own.and_then(|(sections, file, _)| sections.find(&file, b".debug_frame", false));
    found.extend(of_own.or_else(|| separate(module, link.as_deref())));
    found
}

/// `.debug_frame` of the module's separate debug file, where a stripped module has it.
fn separate(module: &Module, link: Option<&[u8]>) -> Option<FileSection> {
    let build_id = module.build_id.as_ref()?;
    let link = link.and_then(|link| link.split(|byte| *byte == 0).next());
    debug_paths::separate(module, link).into_iter().find_map(|path| {
        let (file, _) = open(path).ok()?;
        let sections = Sections::of(&file).ok()?;
        let is_same = sections.build_id(&file).as_ref() == Some(build_id);
        is_same.then(|| sections.find(&file, b".debug_frame", false))?
    })
}

/// Opens a regular file: opening a named pipe or a device can block or have side effects.
fn open(path: impl AsRef<Path>) -> io::Result<(File, FileId)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    let id = FileId { device: metadata.dev(), inode: metadata.ino() };
    if metadata.is_file() { Ok((file, id)) } else { Err(io::ErrorKind::InvalidInput.into()) }
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

    /// A section of unwind entries, unless it was stripped.
    fn find(&self, file: &File, name: &[u8], is_eh_frame: bool) -> Option<FileSection> {
        let header = self.named(name).filter(|header| header.sh_type.get(NativeEndian) != elf::SHT_NOBITS)?;
        let bytes = contents(file, header)?;
        Some(FileSection { is_eh_frame, bytes, address: header.sh_addr.get(NativeEndian) })
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

/// The contents of a table, decompressed if it is compressed.
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
    let format = match kind.ch_type.get(NativeEndian) {
        elf::ELFCOMPRESS_ZLIB => CompressionFormat::Zlib,
        elf::ELFCOMPRESS_ZSTD => CompressionFormat::Zstandard,
        _ => return None,
    };
    let size = kind.ch_size.get(NativeEndian);
    if size > MAX_SECTION { None } else { decompress(format, rest, size) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const HEADER: usize = size_of::<elf::FileHeader64<NativeEndian>>();
    const SECTION: usize = size_of::<SectionHeader>();
    const PROGBITS: u32 = 1;
    const STRTAB: u32 = 3;
    const NOTE: u32 = 7;
    const NOBITS: u32 = 8;

    /// A file with these sections: name, type, flags, contents.
    fn elf(sections: &[(&str, u32, u64, &[u8])]) -> Vec<u8> {
        let mut names = vec![0];
        let mut bytes = vec![0; HEADER];
        let mut headers = Vec::new();
        let mut add = |name: usize, kind: u32, flags: u64, offset: usize, size: usize| {
            let mut header = [0; SECTION];
            header[..4].copy_from_slice(&u32::try_from(name).unwrap().to_ne_bytes());
            header[4..8].copy_from_slice(&kind.to_ne_bytes());
            for (place, value) in [(8, flags), (24, offset as u64), (32, size as u64)] {
                header[place..place + 8].copy_from_slice(&value.to_ne_bytes());
            }
            headers.extend(header);
        };
        for (name, kind, flags, contents) in sections {
            add(names.len(), *kind, *flags, bytes.len(), contents.len());
            names.extend([name.as_bytes(), &[0]].concat());
            bytes.extend(*contents);
        }
        add(0, STRTAB, 0, bytes.len(), names.len());
        bytes.extend(&names);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let table = bytes.len() as u64;
        bytes.extend(headers);
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[40..48].copy_from_slice(&table.to_ne_bytes());
        let count = u16::try_from(sections.len()).unwrap();
        for (place, value) in [(58, u16::try_from(SECTION).unwrap()), (60, count + 1), (62, count)] {
            bytes[place..place + 2].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    fn note(build_id: [u8; 4]) -> Vec<u8> {
        let words = [4_u32, 4, 3].map(u32::to_ne_bytes).concat();
        [&words[..], b"GNU\0", &build_id].concat()
    }

    const ID: [u8; 4] = [0xab, 0xcd, 0xef, 0x01];
    const FRAMES: &[u8] = b"the frames, the frames, the frames, the frames, the frames, the frames";

    /// A directory that is removed at the end of a test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gmr-tables-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join(".debug")).unwrap();
            Self(path)
        }

        fn module(&self, own: &[(&str, u32, u64, &[u8])]) -> Module {
            let path = self.0.join("lib.so");
            fs::write(&path, elf(own)).unwrap();
            Module {
                path: path.display().to_string(),
                build_id: Some("abcdef01".into()),
                ..Module::default()
            }
        }

        fn separate(&self, id: [u8; 4], frames: (u32, u64, &[u8])) {
            let (kind, flags, contents) = frames;
            let sections = [(".note", NOTE, 0, &note(id)[..]), (".debug_frame", kind, flags, contents)];
            fs::write(self.0.join(".debug/lib.debug"), elf(&sections)).unwrap();
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn tables(module: &Module) -> Vec<Vec<u8>> {
        unwind_sections(module, true).iter().map(|section| section.bytes.to_vec()).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "it reads files")]
    fn tables_that_are_stripped_are_read_from_the_separate_file() {
        let directory = Directory::new("separate");
        let note = note(ID);
        let link = b"lib.debug\0\0\0\x01\x02\x03\x04";
        let stripped = [(".note", NOTE, 0, &note[..]), (".gnu_debuglink", PROGBITS, 0, &link[..])];
        let module = directory.module(&stripped);
        assert!(tables(&module).is_empty(), "there is none");
        directory.separate(ID, (PROGBITS, 0, FRAMES));
        assert_eq!(tables(&module), [FRAMES]);
        directory.separate([1, 2, 3, 4], (PROGBITS, 0, FRAMES));
        assert!(tables(&module).is_empty(), "it is of another build");
        directory.separate(ID, (NOBITS, 0, FRAMES));
        assert!(tables(&module).is_empty(), "it has been stripped too");
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(FRAMES, 6);
        let zstd = ruzstd::encoding::compress_to_vec(FRAMES, level);
        for (kind, data) in [(1_u32, zlib), (2, zstd)] {
            let header = [&kind.to_ne_bytes()[..], &[0; 4], &(FRAMES.len() as u64).to_ne_bytes(), &[0; 8]];
            let compressed = [header.concat(), data].concat();
            directory.separate(ID, (PROGBITS, 0x800, &compressed));
            assert_eq!(tables(&module), [FRAMES]);
        }
        // Its own come first.
        let own = [stripped[0], stripped[1], (".debug_frame", PROGBITS, 0, &b"its own"[..])];
        assert_eq!(tables(&directory.module(&own)), [b"its own"]);
        let both = [own[0], own[1], own[2], (".eh_frame", PROGBITS, 0, &b"mapped"[..])];
        assert_eq!(tables(&directory.module(&both)), [&b"mapped"[..], b"its own"]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it reads files")]
    fn tables_of_a_file_that_was_replaced_are_not_read() {
        let directory = Directory::new("replaced");
        let note = note([1, 2, 3, 4]);
        let own = [(".note", NOTE, 0, &note[..]), (".debug_frame", PROGBITS, 0, FRAMES)];
        let module = directory.module(&own);
        assert!(tables(&module).is_empty());
        assert_eq!(tables(&Module { build_id: Some("01020304".into()), ..module.clone() }), [FRAMES]);
        let without_id = Module { build_id: None, ..module };
        assert!(tables(&without_id).is_empty());
        let metadata = fs::metadata(&without_id.path).unwrap();
        let file = Some(FileId { device: metadata.dev(), inode: metadata.ino() });
        assert_eq!(tables(&Module { file, ..without_id }), [FRAMES]);
    }
}
