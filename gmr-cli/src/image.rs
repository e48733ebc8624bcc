//! What an ELF file has for the names and lines of stacks.

use std::fmt::Write as _;
use std::fs::File;

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, ReadCache, elf};

/// What an image has.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) has_lines: bool,
    pub(crate) has_symbols: bool,
    /// Another file has it.
    pub(crate) has_link: bool,
    pub(crate) build_id: Option<String>,
}

/// What the file has. `None` if it is no ELF file of 64 bits: others have no gmr. It can be large, and
/// a few pieces of it are read.
pub(crate) fn image(file: File) -> Option<Image> {
    let file = &ReadCache::new(file);
    let header = elf::FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, file).ok()?;
    let mut image = Image::default();
    for section in sections.iter() {
        match sections.section_name(endian, section).unwrap_or_default() {
            b".debug_line" | b".zdebug_line" => image.has_lines = true,
            b".symtab" => image.has_symbols = true,
            b".gnu_debuglink" => image.has_link = true,
            _ => {}
        }
        let notes = section.notes(endian, file).ok().flatten();
        let mut notes =
            notes.into_iter().flat_map(|mut notes| std::iter::from_fn(move || notes.next().ok().flatten()));
        let id = notes
            .find(|note| note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID);
        if let Some(id) = id {
            image.build_id = Some(hexadecimal(id.desc()));
        }
    }
    Some(image)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
