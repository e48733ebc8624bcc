//! Finds and opens the files with the debug information of a module: its own, or a separate one
//! named by build-id or `.gnu_debuglink`; and the supplementary file of either.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Object, ObjectSection};

pub(super) use crate::sys::linux::debug_paths::path_of;
use crate::sys::linux::debug_paths::{self, DELETED};
use crate::sys::linux::mapping::MappedBytes;
use crate::sys::linux::modules::hexadecimal;
use crate::sys::{Module, proc};

/// An ELF file with the word size and byte order of this machine.
pub(super) type Elf<'a> = ElfFile<'a, FileHeader64<object::NativeEndian>>;

/// The file that a module was loaded from, and when it was last changed.
pub(super) struct OwnFile {
    pub(super) mapped: MappedBytes,
    pub(super) modified: Option<SystemTime>,
}

/// Opens the file that a module was loaded from, unless it has been replaced since.
///
/// # Errors
/// Why its symbols are missing. Empty for a module without a file, such as the vDSO.
pub(super) fn own_file(module: &Module) -> Result<OwnFile, String> {
    if !module.path.starts_with('/') {
        return Err(String::new());
    }
    // This link still leads to a deleted or replaced executable. There is no such link for
    // libraries.
    let is_executable = proc::link("thread-self/exe").is_ok_and(|path| path == Path::new(&module.path));
    let opened =
        if is_executable { proc::open("thread-self/exe") } else { open_regular(Path::new(&module.path)) };
    let file = match opened {
        Err(_) if module.path.ends_with(DELETED) => return Err("its file was deleted".to_owned()),
        opened => opened.map_err(|error| format!("its file could not be opened: {error}"))?,
    };
    let mapped =
        MappedBytes::file(&file).map_err(|error| format!("its file could not be mapped: {error}"))?;
    if build_id(&mapped) != module.build_id {
        return Err("its file was replaced since it was loaded".to_owned());
    }
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
    Ok(OwnFile { mapped, modified })
}

/// Maps a file for reading.
pub(super) fn map(path: &Path) -> io::Result<MappedBytes> {
    MappedBytes::file(&open_regular(path)?)
}

/// Opens regular files only: opening a named pipe or a device can block or have side effects.
fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// The separate debug file of a module, if it has one. `file` is the module's own.
pub(super) fn separate_file(module: &Module, file: &Elf<'_>) -> Option<(PathBuf, MappedBytes)> {
    let link = file.gnu_debuglink().ok().flatten().map(|(name, _)| name);
    debug_paths::separate(module, link).into_iter().find_map(|path| {
        let mapped = map(&path).ok()?;
        // Checking the checksum of a debuglink would mean to read the whole file; comparing
        // build-ids answers the same question at once.
        let same = module.build_id.is_some() && build_id(&mapped) == module.build_id;
        same.then_some((path, mapped))
    })
}

/// The supplementary file that a debug file refers to, in which `dwz` puts what several files have
/// in common. None if it refers to none.
///
/// # Errors
/// The path of one that is missing, or that is another file by now.
pub(super) fn supplementary_file(path: &Path, file: &Elf<'_>) -> Option<Result<MappedBytes, String>> {
    let (name, id) = file.gnu_debugaltlink().ok()??;
    let name = String::from_utf8_lossy(name).into_owned();
    // A relative name is relative to the directory of the file.
    let path = path.parent().unwrap_or(Path::new("/")).join(&name);
    let mapped =
        map(&path).ok().filter(|mapped| build_id(mapped).is_some_and(|other| other == hexadecimal(id)));
    Some(mapped.ok_or(name))
}

fn build_id(bytes: &[u8]) -> Option<String> {
    Some(hexadecimal(Elf::parse(bytes).ok()?.build_id().ok()??))
}

/// Whether the file has DWARF debug information.
pub(super) fn has_debug_info(file: &Elf<'_>) -> bool {
    file.section_by_name(".debug_info").is_some()
}

/// The index of addresses that gdb and some linkers add.
pub(super) fn gdb_index<'a>(file: &Elf<'a>) -> &'a [u8] {
    file.section_by_name(".gdb_index").and_then(|section| section.data().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_has_debug_information_in_its_own_file() {
        let modules = crate::sys::Modules::load();
        let here = modules.find(build_id as *const () as u64).unwrap();
        let own = own_file(here).unwrap();
        assert!(own.modified.is_some());
        assert!(has_debug_info(&Elf::parse(&own.mapped[..]).unwrap()));
    }

    #[test]
    fn a_file_that_is_not_the_one_loaded_is_not_used_and_why() {
        let modules = crate::sys::Modules::load();
        let here = modules.find(build_id as *const () as u64).unwrap();
        let reason = |module: Module| own_file(&module).err();
        let other = Module { build_id: Some("00ff".into()), ..here.clone() };
        assert_eq!(reason(other).unwrap(), "its file was replaced since it was loaded");
        let deleted = Module { path: "/nonexistent/shop (deleted)".into(), ..Module::default() };
        assert_eq!(reason(deleted).unwrap(), "its file was deleted");
        let device = Module { path: "/dev/zero".into(), ..Module::default() };
        assert_eq!(reason(device).unwrap(), "its file could not be opened: it is not a regular file");
        let none = Module { path: "[vdso]".into(), ..Module::default() };
        assert_eq!(reason(none).unwrap(), "");
    }
}
