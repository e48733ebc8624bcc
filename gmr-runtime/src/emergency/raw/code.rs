//! Where there is code, read anew for each report into memory that is already there.

use std::fmt::{self, Write as _};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::sys::Modules;
use crate::sys::linux::maps::Region;
use crate::sys::linux::memory;
use crate::sys::linux::pages::Pagemap;
use crate::sys::short::Short;

/// How many regions are kept. A program has one for each library.
const MAX_REGIONS: usize = 512;
/// How much is kept of a path: its end.
const NAME: usize = 60;

pub(super) struct CodeMap {
    /// The modules that were loaded at the start. They tell the addresses of their files.
    modules: Modules,
    regions: Vec<CodeRegion>,
}

struct CodeRegion {
    start: u64,
    end: u64,
    /// What to subtract for an address in the file.
    bias: u64,
    /// Whether it is an offset in the file instead: the headers of the module have not been read.
    is_offset: bool,
    name: Short<NAME>,
}

impl CodeMap {
    pub(super) fn new(modules: Modules) -> Self {
        Self { modules, regions: Vec::with_capacity(MAX_REGIONS) }
    }

    /// Reads the address map, a buffer at a time. A line that is longer is left out.
    pub(super) fn read(&mut self, buffer: &mut [u8]) {
        self.regions.clear();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(file) = openat(CWD, "/proc/thread-self/maps", flags, Mode::empty()) else { return };
        let mut filled = 0;
        loop {
            let length = match rustix::io::read(&file, &mut buffer[filled..]) {
                Ok(1..) if filled == buffer.len() => 0,
                Ok(length) => length,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => 0,
            };
            if length == 0 {
                return;
            }
            filled += length;
            let mut start = 0;
            while let Some(end) = buffer[start..filled].iter().position(|byte| *byte == b'\n') {
                self.add(&buffer[start..start + end]);
                start += end + 1;
            }
            buffer.copy_within(start..filled, 0);
            filled -= start;
            if filled == buffer.len() {
                filled = 0;
            }
        }
    }

    fn add(&mut self, line: &[u8]) {
        let Some(region) = str::from_utf8(line).ok().and_then(Region::parse) else { return };
        if !region.executable || self.regions.len() == MAX_REGIONS {
            return;
        }
        let start = region.range.start;
        let module = self.modules.find(start);
        let mut name = Short::default();
        let _ = name.write_str(end_of(region.path, NAME));
        let bias = module.map_or(start.wrapping_sub(region.offset), |module| module.bias);
        let is_offset = module.is_none();
        self.regions.push(CodeRegion { start, end: region.range.end, bias, is_offset, name });
    }

    fn find(&self, address: u64) -> Option<&CodeRegion> {
        let after = self.regions.partition_point(|region| region.start <= address);
        self.regions[..after].last().filter(|region| address < region.end)
    }

    /// The place of an address, to be displayed.
    pub(super) fn at(&self, address: u64) -> Place<'_> {
        Place { region: self.find(address), address }
    }
}

/// The program's memory, as far as it can be read without fetching pages: for that, a thread would
/// have to be started.
pub(super) struct Memory<'a> {
    pub(super) code: &'a CodeMap,
    pub(super) pagemap: Option<&'a Pagemap>,
}

impl Memory<'_> {
    /// Copies the pages from `address` on that are in memory, and returns how many bytes that is.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        memory::read_ready(address, buffer, self.pagemap)
    }

    /// Whether this is the address of code after a call.
    pub(super) fn is_after_call(&self, address: u64) -> bool {
        const LENGTH: usize = 7;
        let mut code = [0; LENGTH];
        self.code.find(address).is_some_and(|region| address - region.start >= LENGTH as u64)
            && self.read(address - LENGTH as u64, &mut code) == LENGTH
            && ends_with_call(code)
    }
}

/// The place of an address: the module and the address in its file, which tools take.
pub(super) struct Place<'a> {
    region: Option<&'a CodeRegion>,
    address: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(region) = self.region else { return write!(f, "{:#x}", self.address) };
        let name = region.name.as_str().rsplit('/').next().unwrap_or_default();
        let kind = if region.is_offset { " (offset in the file)" } else { "" };
        let within = self.address.wrapping_sub(region.bias);
        write!(f, "{}+{within:#x}{kind}", name.as_bytes().escape_ascii())
    }
}

/// All regions.
impl fmt::Display for CodeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for region in &self.regions {
            let CodeRegion { start, end, bias, name, .. } = region;
            write!(f, "{start:#x}-{end:#x} bias {bias:#x} {}", name.as_str().as_bytes().escape_ascii())?;
            match self.modules.find(*start).and_then(|module| module.build_id.as_deref()) {
                Some(build_id) => writeln!(f, " build-id {build_id}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// The last bytes of a text, at most this many.
fn end_of(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Whether the last instruction of this code can be a call.
#[cfg(target_arch = "x86_64")]
fn ends_with_call(code: [u8; 7]) -> bool {
    // `call` with an offset; `call` through a register or memory, of two to seven bytes.
    code[2] == 0xe8 || (0..6).any(|at| code[at] == 0xff && code[at + 1] & 0x38 == 0x10)
}

/// Whether the last instruction of this code can be a call.
#[cfg(target_arch = "aarch64")]
fn ends_with_call(code: [u8; 7]) -> bool {
    // `bl` and `blr`.
    let instruction = u32::from_le_bytes([code[3], code[4], code[5], code[6]]);
    instruction & 0xfc00_0000 == 0x9400_0000 || instruction & 0xffff_fc1f == 0xd63f_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn code_is_found_though_the_map_is_read_in_pieces() {
        let mut map = CodeMap::new(Modules::load());
        for length in [8 << 10, 300] {
            map.read(&mut vec![0; length]);
            let here = ends_with_call as *const () as u64;
            let place = map.at(here).to_string();
            assert!(place.starts_with("gmr_runtime-") && place.contains("+0x"), "{place}");
            assert!(!place.contains("offset"), "{place}");
            assert_eq!(map.at(16).to_string(), "0x10");
            assert!(map.to_string().contains("gmr_runtime-"));
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_are_told_from_other_code() {
        assert!(ends_with_call([0x90, 0x90, 0xe8, 1, 2, 3, 4]));
        assert!(ends_with_call([0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0]));
        assert!(!ends_with_call([0x90; 7]));
    }
}
