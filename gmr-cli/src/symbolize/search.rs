//! Where debug information is looked for: in the files of this machine that are named, and then at the
//! servers that are named.

use std::collections::HashSet;
use std::path::PathBuf;

use gmr_runtime::__cli::SplitFiles;

use super::debug_files::DebugFiles;
use super::debuginfod::Servers;
use crate::args::Symbolize;
use crate::progress::Progress;

pub(super) struct Search {
    files: DebugFiles,
    servers: Servers,
}

impl Search {
    /// Lists the files that are named. No server is asked yet.
    ///
    /// # Errors
    /// Something that is named can't be read.
    pub(super) fn new(args: &Symbolize) -> Result<Self, String> {
        let mut files = DebugFiles::default();
        for path in &args.debug_dir {
            files.add(path)?;
        }
        Ok(Self { files, servers: Servers::new(&args.debuginfod, args.timeout) })
    }

    /// # Errors
    /// A file that is named itself has none of these build-ids.
    pub(super) fn refuse_others(&self, known: &HashSet<&str>) -> Result<(), String> {
        self.files.refuse_others(known)
    }

    /// The file of this build-id.
    ///
    /// # Errors
    /// There is none, for this reason.
    pub(super) fn find(&mut self, build_id: &str, progress: &Progress) -> Result<PathBuf, String> {
        let found = match self.files.find(build_id) {
            Some(path) => path,
            None => self.servers.find(build_id, progress)?,
        };
        progress.say(|| format!("reading {}", found.display()));
        Ok(found)
    }

    /// Where split debug information may be.
    pub(super) fn split(&self) -> &SplitFiles {
        self.files.split()
    }
}
