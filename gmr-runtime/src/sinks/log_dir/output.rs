//! Writes the bytes of a file as they are, or compressed. It knows nothing of names and
//! directories.

use std::fs::File;
use std::io::{self, Write};

#[derive(Debug)]
pub(super) enum Output {
    Plain(File),
    /// `None` once it has ended.
    #[cfg(feature = "gzip")]
    Gzip(Option<Box<flate2::write::GzEncoder<File>>>),
}

impl Output {
    pub(super) fn new(file: File, gzip: bool) -> Self {
        #[cfg(feature = "gzip")]
        if gzip {
            return Self::Gzip(Some(Box::new(flate2::write::GzEncoder::new(
                file,
                flate2::Compression::fast(),
            ))));
        }
        debug_assert!(!gzip, "nothing asks for what the build cannot do");
        Self::Plain(file)
    }

    /// # Errors
    /// Those of the file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            #[cfg(feature = "gzip")]
            Self::Gzip(Some(encoder)) => encoder.write_all(bytes),
            #[cfg(feature = "gzip")]
            Self::Gzip(None) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes what is left, and has all of it written to the disk.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.sync_all(),
            #[cfg(feature = "gzip")]
            Self::Gzip(encoder) => match encoder.take() {
                Some(encoder) => encoder.finish()?.sync_all(),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }
}
