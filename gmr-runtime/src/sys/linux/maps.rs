//! The address map of this process (`/proc/self/maps`), read line by line: a process with a
//! thousand threads has thousands of lines, and no caller needs all of them at once.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;

use super::map_query::{EXECUTABLE, FILE_BACKED, Map, READABLE};

/// One line of the map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Region<'a> {
    pub(crate) range: Range<u64>,
    pub(crate) readable: bool,
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
}

impl<'a> Region<'a> {
    /// Parses `address-address perms offset device inode   path`. The path may contain spaces.
    fn parse(line: &'a str) -> Option<Self> {
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
            executable: permissions.as_bytes().get(2) == Some(&b'x'),
            offset,
            file: FileId::parse(device, inode),
            path,
        })
    }
}

/// Calls `look` with each region that belongs to a file or has code, and maybe with other ones and
/// more than once.
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
    for flags in [FILE_BACKED | READABLE, EXECUTABLE] {
        let mut address = 0;
        while let Some((region, name)) = map.next(address, flags)? {
            if region.end <= address {
                break;
            }
            address = region.end;
            let file =
                FileId { device: rustix::fs::makedev(region.major, region.minor), inode: region.inode };
            // As in the file: a region whose path is not UTF-8 is skipped.
            let Ok(path) = str::from_utf8(name) else { continue };
            look(Region {
                range: region.start..region.end,
                readable: region.has & READABLE != 0,
                executable: region.has & EXECUTABLE != 0,
                offset: region.offset,
                file: (region.inode != 0).then_some(file),
                path,
            });
        }
    }
    Ok(())
}

/// Calls `look` with each region in ascending order of addresses, until it returns something. Also
/// returns `None` if the map cannot be read.
pub(crate) fn find<T>(mut look: impl FnMut(Region<'_>) -> Option<T>) -> Option<T> {
    let mut map = BufReader::new(File::open("/proc/self/maps").ok()?);
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

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_kernel_tells_what_its_file_says() {
        let collect = |asked: bool| {
            let mut regions = Vec::new();
            let mut look = |region: Region<'_>| {
                if region.executable || (region.file.is_some() && region.readable) {
                    regions.push(format!("{region:x?}"));
                }
            };
            let known = if asked {
                ask_for_modules(&mut look).is_ok()
            } else {
                find(|region| -> Option<()> {
                    look(region);
                    None
                });
                true
            };
            regions.sort_unstable();
            regions.dedup();
            (known, regions)
        };
        // Other tests map files meanwhile, and the page of old system calls is no region.
        let same = (0..100).any(|_| {
            let (known, asked) = collect(true);
            let (_, mut read) = collect(false);
            read.retain(|region| !region.contains("[vsyscall]"));
            !known || asked == read
        });
        assert!(same);
    }

    #[test]
    fn the_rest_of_a_region_is_measured() {
        let here = 0_u8;
        let rest = rest_from(&raw const here as u64).unwrap();
        assert!((1..64 << 20).contains(&rest), "{rest}");
        assert_eq!(rest_from(16), None);
    }
}
