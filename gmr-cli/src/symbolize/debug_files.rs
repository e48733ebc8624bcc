//! Where debug information is on this machine: files by their build-ids. Whoever asks gets a file of
//! that build-id, or none. Split debug information has no build-id, but an id for each unit: it is only
//! listed here.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use gmr_runtime::__cli::SplitFiles;

use crate::image::{Image, image};

/// The most files of a folder that are looked at.
const MAX_FILES: usize = 1_000_000;

/// Files with debug information, by their build-ids.
#[derive(Default)]
pub(super) struct DebugFiles {
    /// Folders that may have `.build-id/ab/cdef.debug`.
    roots: Vec<PathBuf>,
    by_build_id: HashMap<String, Candidate>,
    /// Those that are named themselves.
    named: Vec<(PathBuf, Option<String>)>,
    split: SplitFiles,
}

struct Candidate {
    path: PathBuf,
    quality: u8,
}

impl DebugFiles {
    /// A file, or all files of a folder and of those in it. Links to other folders are not followed.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("could not read {}: {error}", path.display());
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            let file = File::open(path).map_err(failed)?;
            if self.split.add(path.to_owned()) {
                return Ok(());
            }
            let found = image(file);
            self.named.push((path.to_owned(), found.as_ref().and_then(|found| found.build_id.clone())));
            self.keep(path, found);
            return Ok(());
        }
        self.roots.push(path.to_owned());
        let mut folders = vec![path.to_owned()];
        let mut left = MAX_FILES;
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if folder == path => return Err(failed(error)),
                // One that only root may read.
                Err(_) => continue,
            };
            for entry in entries.flatten() {
                left = left
                    .checked_sub(1)
                    .ok_or_else(|| format!("{} has more than {MAX_FILES} files", path.display()))?;
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    // Opening a pipe would wait for its writer.
                    Ok(kind) if kind.is_file() => {
                        let path = entry.path();
                        if self.split.add(path.clone()) {
                            continue;
                        }
                        let found = File::open(&path).ok().and_then(image);
                        self.keep(&path, found);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// A file that is named itself has none of these build-ids.
    pub(super) fn refuse_others(&self, known: &HashSet<&str>) -> Result<(), String> {
        for (path, id) in &self.named {
            let path = path.display();
            match id.as_deref() {
                Some(id) if known.contains(id) => {}
                Some(id) => {
                    return Err(format!("{path} has the build-id {id}, which no module of the report has"));
                }
                None => return Err(format!("{path} has no build-id, so that it may be of another build")),
            }
        }
        Ok(())
    }

    /// Of several files with a build-id, the one that has the most is kept.
    fn keep(&mut self, path: &Path, found: Option<Image>) {
        let Some(Image { has_lines, has_symbols, build_id: Some(id), .. }) = found else { return };
        let quality = u8::from(has_lines) * 2 + u8::from(has_symbols);
        let better = self.by_build_id.get(&id).is_none_or(|known| known.quality < quality);
        if better && quality > 0 {
            self.by_build_id.insert(id, Candidate { path: path.to_owned(), quality });
        }
    }

    /// Where split debug information may be.
    pub(super) fn split(&self) -> &SplitFiles {
        &self.split
    }

    pub(super) fn find(&self, build_id: &str) -> Option<PathBuf> {
        let known = self.by_build_id.get(build_id).map(|candidate| candidate.path.clone());
        known.or_else(|| {
            // It can be a link, as in the packages of distributions.
            let (first, rest) = build_id.split_at_checked(2)?;
            let is_hex = build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let paths = self.roots.iter().map(|root| root.join(format!(".build-id/{first}/{rest}.debug")));
            paths.filter(|_| is_hex).find(|path| path.is_file())
        })
    }
}
