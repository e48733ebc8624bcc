//! Reads reports: from files, folders, and standard input while it comes. It knows nothing of what
//! is in a report.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use flate2::read::MultiGzDecoder;
use gmr_runtime::__cli::{Finder, Found};
use gmr_runtime::Report;

/// How a compressed file begins, such as those of `log_gzip`.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// A few bytes can stand for very many.
const MAX_DECOMPRESSED: u64 = 1 << 30;

/// Reports, and why others can't be read.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Gives each report of a file to `each`, or why it can't be read, while that returns `true`.
///
/// # Errors
/// The file can't be read.
pub(crate) fn file(path: &Path, each: &mut dyn FnMut(Result<Found>) -> bool) -> Result<()> {
    let failed = |error: io::Error| format!("could not read {}: {error}", path.display());
    let bytes = fs::read(path).map_err(failed)?;
    let bytes = if bytes.starts_with(GZIP) { decompressed(&bytes).map_err(failed)? } else { bytes };
    // A log may have anything in other lines.
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let mut finder = Finder::default();
    let any = Cell::new(false);
    let mut give = |found: Result<Found>| {
        any.set(true);
        each(found.map_err(|error| format!("{}: {error}", path.display())))
    };
    if !text.lines().filter_map(|line| finder.line(line)).all(&mut give) {
        return Ok(());
    }
    finder.end().into_iter().map(Err).all(&mut give);
    if !any.get() && text.trim_start().starts_with('{') {
        // One that something has reformatted over several lines.
        let report = Report::from_json(&text).map_err(|error| error.to_string());
        give(report.map(|report| Found { report, json: text.clone() }));
    }
    Ok(())
}

fn decompressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // Logs that are rotated can have several parts.
    MultiGzDecoder::new(bytes).take(MAX_DECOMPRESSED + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_DECOMPRESSED) {
        let limit = format!("it has more than {MAX_DECOMPRESSED} bytes when it is decompressed");
        return Err(io::Error::other(limit));
    }
    Ok(text)
}

/// Files of a folder, each once until it changes.
#[derive(Default)]
pub(crate) struct Folder {
    known: HashMap<PathBuf, (u64, u64, i64, i64)>,
}

impl Folder {
    /// The files that are new or have changed, by name. Of a file, that one.
    pub(crate) fn changed(&mut self, path: &Path) -> Result<Vec<PathBuf>> {
        let failed = |error: io::Error| format!("could not list {}: {error}", path.display());
        let mut files = Vec::new();
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(failed)? {
                files.push(entry.map_err(failed)?.path());
            }
        } else {
            fs::metadata(path).map_err(failed)?;
            files.push(path.to_owned());
        }
        files.sort_unstable();
        files.retain(|file| {
            // One that is gone again is no error.
            let Ok(metadata) = fs::metadata(file) else { return false };
            let state = (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
            metadata.is_file() && self.known.insert(file.clone(), state) != Some(state)
        });
        Ok(files)
    }
}

/// Reports of standard input, as they come. Ends with it.
pub(crate) fn standard_input() -> Receiver<Result<Found>> {
    let (sender, found) = sync_channel(16);
    let read = move || {
        let mut finder = Finder::default();
        let mut input: Box<dyn io::BufRead> = match compressed(BufReader::new(io::stdin().lock())) {
            Ok(input) => input,
            Err(error) => return drop(sender.send(Err(unreadable(&error)))),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return drop(sender.send(Err(unreadable(&error)))),
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if let Some(found) = finder.line(text)
                && sender.send(found).is_err()
            {
                return;
            }
        }
        for error in finder.end() {
            let _ = sender.send(Err(error));
        }
    };
    // It may wait for input when the process ends.
    let _ = thread::Builder::new().name("input".to_owned()).spawn(read);
    found
}

fn unreadable(error: &io::Error) -> String {
    format!("could not read standard input: {error}")
}

fn compressed<'a>(mut input: BufReader<io::StdinLock<'a>>) -> io::Result<Box<dyn io::BufRead + 'a>> {
    let is_compressed = input.fill_buf()?.starts_with(GZIP);
    Ok(if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) })
}

/// Whether it is a file that can be read.
pub(crate) fn is_there(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    File::open(path).map(drop).map_err(|error| format!("could not read {}: {error}", path.display()))
}
