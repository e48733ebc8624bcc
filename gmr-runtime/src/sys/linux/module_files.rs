//! Sections of a module's file that are not in memory: unwind tables that the loader does not map.
//!
//! They are copied with `pread`, so a file that shrinks meanwhile causes an error and no fault.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use object::{CompressionFormat, NativeEndian, elf, pod};

use super::compressed::decompress;
use super::debug_paths;
use super::descriptor_table::separate_files;
use super::mapping::MappedBytes;
use super::maps::FileId;
use super::modules::{Module, build_id_in};
use crate::sys::channel;
use crate::sys::elf_sections::{SectionHeader, Sections, short};
use crate::sys::own_threads;

/// How long a file may take: a disk that does not respond must not hold up the stacks.
const TIMEOUT: Duration = Duration::from_millis(500);
/// A table that claims more is not trusted: the largest known are a tenth of it.
const MAX_SECTION: u64 = 1 << 30;

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
    let (sender, receiver) = channel::channel();
    let read = move || drop(sender.send(read(&module, with_eh_frame)));
    match own_threads::spawn_or_run("gmr-tables", separate_files, read) {
        Ok(()) => receiver.recv_timeout(TIMEOUT).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn read(module: &Module, with_eh_frame: bool) -> Vec<FileSection> {
    let own = open(&module.path).and_then(|(file, id)| Ok((Sections::of(&file)?, file, id)));
    let own = own.ok().filter(|(sections, file, id)| match &module.build_id {
        Some(build_id) => id_of(file, sections).as_ref() == Some(build_id),
        None => module.file == Some(*id),
    });
    let mut found = Vec::new();
    let mut link = None;
    if let Some((sections, file, _)) = &own {
        if with_eh_frame {
            found.extend(find(file, sections, b".eh_frame", true));
        }
        link = sections.named(b".gnu_debuglink").and_then(|header| short(file, header).ok());
    }
    let of_own = own.and_then(|(sections, file, _)| find(&file, &sections, b".debug_frame", false));
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
        let is_same = id_of(&file, &sections).as_ref() == Some(build_id);
        is_same.then(|| find(&file, &sections, b".debug_frame", false))?
    })
}

/// Opens a regular file: opening a named pipe or a device can block or have side effects.
fn open(path: impl AsRef<Path>) -> io::Result<(File, FileId)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    let id = FileId { device: metadata.dev(), inode: metadata.ino() };
    if metadata.is_file() { Ok((file, id)) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// A section of unwind entries, unless it was stripped.
fn find(file: &File, sections: &Sections, name: &[u8], is_eh_frame: bool) -> Option<FileSection> {
    let header = sections.named(name).filter(|header| header.sh_type.get(NativeEndian) != elf::SHT_NOBITS)?;
    let bytes = contents(file, header)?;
    Some(FileSection { is_eh_frame, bytes, address: header.sh_addr.get(NativeEndian) })
}

fn id_of(file: &File, sections: &Sections) -> Option<String> {
    let mut notes = sections.of_type(elf::SHT_NOTE).filter_map(|header| short(file, header).ok());
    notes.find_map(|notes| build_id_in(&notes))
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
