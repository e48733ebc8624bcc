//! What the executable of a process has for the names and lines of its stacks. It reads the running
//! file, which `/proc/PID/exe` refers to even if it was deleted.

use std::fmt::Write as _;
use std::fs::File;

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, ReadCache, elf};

use super::check::Check;
use crate::processes::Process;

const ABOUT: &str = "debug information";

/// What an image has.
#[derive(Debug, Default)]
struct Image {
    has_lines: bool,
    has_symbols: bool,
    /// Another file has it.
    has_link: bool,
    build_id: Option<String>,
}

pub(super) fn check(process: Process) -> Vec<Check> {
    let mut checks = Vec::new();
    if process.link("exe").is_ok_and(|path| path.ends_with(" (deleted)")) {
        checks.push(Check::note(
            "executable",
            "its file has been deleted or replaced; names come from the running one, which is still readable",
        ));
    }
    let image = match File::open(process.path("exe")) {
        // It can be large, and a few pieces of it are needed.
        Ok(file) => image(&ReadCache::new(file)),
        Err(error) => return vec![Check::unknown(ABOUT, &error)],
    };
    let Some(image) = image else {
        checks.push(Check::note(ABOUT, "the executable could not be parsed"));
        return checks;
    };
    checks.push(judge(process, &image));
    checks
}

fn judge(process: Process, image: &Image) -> Check {
    const REMEDY: &str = "set `debug = 1` in [profile.release], and do not strip";
    let id = image.build_id.as_ref().map(|id| format!(" (build-id {id})")).unwrap_or_default();
    if image.has_lines {
        return Check::good(ABOUT, format!("the executable has it{id}"));
    }
    let separate = image.build_id.as_ref().filter(|id| id.len() > 2).map(|id| {
        let (first, rest) = id.split_at(2);
        format!("root/usr/lib/debug/.build-id/{first}/{rest}.debug")
    });
    if separate.is_some_and(|path| process.path(&path).exists()) {
        return Check::good(ABOUT, format!("a separate file has it{id}"));
    }
    if image.has_link {
        return Check::note(ABOUT, format!("the executable names another file that has it{id}"));
    }
    if image.has_symbols {
        return Check::problem(
            ABOUT,
            format!("there is none: stacks have functions, but no lines{id}"),
            REMEDY,
        );
    }
    Check::problem(ABOUT, format!("the executable is stripped: stacks have addresses only{id}"), REMEDY)
}

fn image(file: &ReadCache<File>) -> Option<Image> {
    // Other classes have no gmr.
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
