//! The archive that Linux unpacks as its first file system: cpio, in the format that the kernel's
//! documentation calls `newc`.

use std::io::Write;
use std::path::Path;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

pub(super) struct Archive<W> {
    out: W,
    /// Each entry needs a number of its own: those with the same are links to one file.
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    /// A folder must come before what is in it.
    pub(super) fn folder(&mut self, path: &Path) -> Result<(), String> {
        self.entry(path, FOLDER, &[])
    }

    /// A file that can be executed.
    pub(super) fn file(&mut self, path: &Path, content: &[u8]) -> Result<(), String> {
        self.entry(path, FILE, content)
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &Path, target: &Path) -> Result<(), String> {
        self.entry(path, LINK, target.as_os_str().as_encoded_bytes())
    }

    pub(super) fn end(mut self) -> Result<(), String> {
        self.entry(Path::new("TRAILER!!!"), 0, &[])?;
        self.out.flush().map_err(|error| format!("cannot write the archive: {error}"))
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<(), String> {
        let name = path.strip_prefix("/").unwrap_or(path).display().to_string();
        let length = u32::try_from(content.len()).map_err(|_| format!("{name} is too large"))?;
        self.entries += 1;
        let name_length = u32::try_from(name.len() + 1).map_err(|_| format!("{name} is too long"))?;
        // Number, mode, user, group, links, time, length, two devices of two numbers, length of the
        // name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        let header = fields.map(|field| format!("{field:08X}")).concat();
        let head = [b"070701", header.as_bytes(), name.as_bytes(), &[0]].concat();
        for piece in [&head[..], content] {
            let padding = piece.len().next_multiple_of(4) - piece.len();
            let write = self.out.write_all(piece).and_then(|()| self.out.write_all(&[0; 3][..padding]));
            write.map_err(|error| format!("cannot write the archive: {error}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_the_trailer_is_last() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.folder(Path::new("/bin")).unwrap();
        archive.file(Path::new("/bin/sh"), b"abcde").unwrap();
        archive.end().unwrap();
        let starts: Vec<_> = bytes.windows(6).enumerate().filter(|(_, window)| window == b"070701").collect();
        // 110 bytes of header, the name with its end, and what makes it a multiple of four.
        assert_eq!(starts.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 116, 116 + 120 + 8]);
        assert_eq!(&bytes[116 + 110..][..8], b"bin/sh\0\0");
        assert_eq!(&bytes[116 + 120..][..8], b"abcde\0\0\0");
        assert_eq!(bytes.len(), 244 + 124);
    }
}
