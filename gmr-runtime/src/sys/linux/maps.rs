//! The address map of this process (`/proc/self/maps`), read line by line: a process with a
//! thousand threads has thousands of lines, and no caller needs all of them at once.

use std::io::{self, BufRead, BufReader};
use std::ops::Range;

use super::super::proc;
use super::map_query::{Answer, EXECUTABLE, FILE_BACKED, Map, READABLE, WRITABLE};

/// One line of the map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Region<'a> {
    pub(crate) range: Range<u64>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    /// The offset in its file at which it begins.
    pub(crate) offset: u64,
    /// The file, if there is one.
    pub(crate) file: Option<FileId>,
    /// The path as the kernel shows it, or a name in brackets; empty for memory that has neither.
    pub(crate) path: &'a str,
}

/// What tells a file from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    /// Parses `major:minor`, both hexadecimal, and an inode. Memory without a file has inode 0.
    fn parse(device: &str, inode: &str) -> Option<Self> {
        let (major, minor) = device.split_once(':')?;
        let [major, minor] = [major, minor].map(|number| u32::from_str_radix(number, 16).ok());
        let inode = inode.parse().ok().filter(|&inode| inode != 0)?;
        Some(Self { device: rustix::fs::makedev(major?, minor?), inode })
    }

    fn answered(answer: &Answer) -> Option<Self> {
        let device = rustix::fs::makedev(answer.major, answer.minor);
        (answer.inode != 0).then_some(Self { device, inode: answer.inode })
    }
}

impl<'a> Region<'a> {
    /// As in the file, a region whose path is not UTF-8 is skipped.
    fn answered(answer: &Answer, name: &'a [u8]) -> Option<Self> {
        Some(Self {
            range: answer.start..answer.end,
            readable: answer.has & READABLE != 0,
            writable: answer.has & WRITABLE != 0,
            executable: answer.has & EXECUTABLE != 0,
            offset: answer.offset,
            file: FileId::answered(answer),
            path: str::from_utf8(name).ok()?,
        })
    }

    /// Parses `address-address perms offset device inode   path`. The path may contain spaces.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let hexadecimal = |number| u64::from_str_radix(number, 16).ok();
        let mut fields = line.trim_end_matches('\n').splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let offset = hexadecimal(fields.next()?)?;
        let (device, inode) = (fields.next()?, fields.next()?);
        // There may be several spaces before the path.
        let path = fields.next()?.trim_start();
        Some(Self {
            range: hexadecimal(start)?..hexadecimal(end)?,
            readable: permissions.starts_with('r'),
            writable: permissions.as_bytes().get(1) == Some(&b'w'),
            executable: permissions.as_bytes().get(2) == Some(&b'x'),
            offset,
            file: FileId::parse(device, inode),
            path,
        })
    }
}

/// Calls `look` with each region that has code, and with those that the images of code in files
/// begin with. Maybe also with others, and more than once.
pub(crate) fn of_modules(mut look: impl FnMut(Region<'_>)) {
    if ask_for_modules(&mut look).is_err() {
        let _: Option<()> = find(|region| {
            look(region);
            None
        });
    }
}

/// The same without reading the whole map: it has some regions of each thread.
fn ask_for_modules(look: &mut impl FnMut(Region<'_>)) -> io::Result<()> {
    let mut map = Map::open()?;
    let mut all_begin_below = true;
    ask_for_all(&mut map, EXECUTABLE, |map, region| {
        if let (Some(file), 1..) = (region.file, region.offset) {
            all_begin_below &= ask_for_beginning(map, region.range.start, file, look)?;
        }
        look(region);
        Ok(())
    })?;
    if all_begin_below {
        return Ok(());
    }
    // Generated code, for example, can be in a file that is mapped in pieces.
    ask_for_all(&mut map, FILE_BACKED | READABLE, |_, region| {
        look(region);
        Ok(())
    })
}

/// Calls `look` with each region that has these flags.
fn ask_for_all(
    map: &mut Map,
    flags: u64,
    mut look: impl FnMut(&mut Map, Region<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut address = 0;
    while let Some((answer, name)) = map.next(address, flags)? {
        if answer.end <= address {
            break;
        }
        address = answer.end;
        let name = name.to_owned();
        if let Some(region) = Region::answered(&answer, &name) {
            look(map, region)?;
        }
    }
    Ok(())
}

/// Calls `look` with the region that an image begins with, if all of the image's regions from there
/// up to `address` are adjacent. The kernel and loaders map them so.
fn ask_for_beginning(
    map: &mut Map,
    mut address: u64,
    file: FileId,
    look: &mut impl FnMut(Region<'_>),
) -> io::Result<bool> {
    while let Some(below) = address.checked_sub(1)
        && let Some((answer, name)) = map.at(below)?
        && FileId::answered(&answer) == Some(file)
    {
        if answer.offset == 0 && answer.has & READABLE != 0 {
            Region::answered(&answer, name).map(look);
            return Ok(true);
        }
        address = answer.start;
    }
    Ok(false)
}

/// Calls `look` with each region in ascending order of addresses, until it returns something. Also
/// returns `None` if the map cannot be read.
pub(crate) fn find<T>(mut look: impl FnMut(Region<'_>) -> Option<T>) -> Option<T> {
    let mut map = BufReader::new(proc::open("thread-self/maps").ok()?);
    let mut line = Vec::new();
    while map.read_until(b'\n', &mut line).ok()? > 0 {
        // A path can be any bytes. A region whose path is not UTF-8 could not be shown; it is
        // skipped.
        let found = str::from_utf8(&line).ok().and_then(Region::parse).and_then(&mut look);
        if found.is_some() {
            return found;
        }
        line.clear();
    }
    None
}

/// How many bytes are mapped from `address` to the end of its region: the rest of the stack, if
/// `address` is in one.
pub(crate) fn rest_from(address: u64) -> Option<usize> {
    let end = match Map::open().and_then(|mut map| Ok(map.next(address, 0)?.map(|(region, _)| region))) {
        Ok(region) => region.filter(|region| region.start <= address)?.end,
        Err(_) => find(|region| region.range.contains(&address).then_some(region.range.end))?,
    };
    usize::try_from(end - address).ok()
}

/// Whether code is mapped at `address`. `None` if the map cannot be read.
pub(crate) fn has_code(address: u64) -> Option<bool> {
    let mut map = Map::open().ok()?;
    Some(match map.next(address, EXECUTABLE) {
        Ok(region) => region.is_some_and(|(region, _)| region.start <= address),
        Err(_) => {
            find(|region| (region.executable && region.range.contains(&address)).then_some(())).is_some()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged_text;

    #[test]
    fn a_line_is_parsed() {
        let line = "7f10000-7f12000 r-xp 00001000 fe:00 4711      /opt/a b/lib.so (deleted)\n";
        let path = "/opt/a b/lib.so (deleted)";
        let region = Region {
            range: 0x7f1_0000..0x7f1_2000,
            readable: true,
            writable: false,
            executable: true,
            offset: 0x1000,
            file: Some(FileId { device: 0xfe00, inode: 4711 }),
            path,
        };
        assert_eq!(Region::parse(line), Some(region));
        let without_path = Region::parse("7f10000-7f12000 ---p 00000000 00:00 0 \n").unwrap();
        assert_eq!((without_path.readable, without_path.executable), (false, false));
        assert_eq!((without_path.file, without_path.path), (None, ""));
        assert_eq!(Region::parse("no line of a map"), None);
    }

    proptest! {
        #[test]
        fn a_damaged_line_is_parsed_without_panics(
            line in damaged_text("7f1000-7f2000 r-xp 00001000 fe:00 4711      /opt/a b/lib.so\n"),
        ) {
            let region = Region::parse(&line);
            prop_assert!(region.is_none_or(|region| line.contains(region.path)));
        }
    }

    /// The regions of code, and the addresses of those that files begin with, by the file.
    #[derive(Debug, Default)]
    struct Found {
        code: BTreeSet<String>,
        beginnings: BTreeMap<(u64, u64), BTreeSet<u64>>,
        files_with_code: BTreeSet<(u64, u64)>,
    }

    impl Found {
        fn add(&mut self, region: &Region<'_>) {
            let file = region.file.map(|file| (file.device, file.inode));
            if region.executable {
                self.code.insert(format!("{region:x?}"));
                self.files_with_code.extend(file);
            }
            if let Some(file) = file.filter(|_| region.offset == 0 && region.readable) {
                self.beginnings.entry(file).or_default().insert(region.range.start);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn the_kernel_tells_what_its_file_says() {
        let mut asked = Found::default();
        if ask_for_modules(&mut |region| asked.add(&region)).is_err() {
            return eprintln!("skipped: this kernel does not know the question");
        }
        let mut read = Found::default();
        let _: Option<()> = find(|region| {
            // The page of old system calls is no region.
            if region.path != "[vsyscall]" {
                read.add(&region);
            }
            None
        });
        assert_eq!(asked.code, read.code);
        // The program, and the C library where it is another file.
        let least = if cfg!(target_feature = "crt-static") { 1 } else { 2 };
        assert!(asked.files_with_code.len() >= least, "{asked:?}");
        for file in &asked.files_with_code {
            // Other tests map the program to read it.
            assert!(!asked.beginnings[file].is_empty(), "{asked:?}");
            assert!(asked.beginnings[file].is_subset(&read.beginnings[file]), "{asked:?} {read:?}");
        }
        // Nothing else is asked for while images are as loaders map them.
        assert!(asked.beginnings.keys().all(|file| asked.files_with_code.contains(file)), "{asked:?}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn an_image_begins_below_its_code() {
        let Ok(mut map) = Map::open() else { return };
        let code = an_image_begins_below_its_code as fn() as usize as u64;
        let Ok(Some((region, _))) = map.at(code) else { return eprintln!("skipped: as above") };
        let (start, file) = (region.start, FileId::answered(&region).unwrap());
        if region.offset == 0 {
            return eprintln!("skipped: this image begins with its code");
        }
        let mut found = Vec::new();
        let mut look = |region: Region<'_>| found.push((region.range.start, region.offset));
        assert!(ask_for_beginning(&mut map, start, file, &mut look).unwrap());
        let other = FileId { inode: file.inode + 1, ..file };
        assert!(!ask_for_beginning(&mut map, start, other, &mut look).unwrap());
        assert!(!ask_for_beginning(&mut map, 0, file, &mut look).unwrap());
        assert!(matches!(found[..], [(below, 0)] if below < start), "{found:x?}");
    }

    #[test]
    fn the_rest_of_a_region_is_measured() {
        let here = 0_u8;
        let rest = rest_from(&raw const here as u64).unwrap();
        assert!((1..64 << 20).contains(&rest), "{rest}");
        assert_eq!(rest_from(16), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it reads the map")]
    fn code_is_told_from_data() {
        let data = 0_u8;
        assert_eq!(has_code(&raw const data as u64), Some(false));
        assert_eq!(has_code(16), Some(false));
        assert_eq!(has_code(code_is_told_from_data as *const () as u64), Some(true));
    }
}
