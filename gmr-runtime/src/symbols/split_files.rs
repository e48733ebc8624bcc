//! Files with split debug information in other places than those where a program says that they are:
//! those that an operator has for a report of another machine. It looks into none of them.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::sys::sorted_map::SortedMap;

/// Packages (`.dwp`) and files of single units (`.dwo`). What is in them is used for the units that
/// have the ids in there only, whatever their names are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SplitFiles {
    packages: Vec<PathBuf>,
    /// By their names, which a program has without the folder that they are in.
    units: SortedMap<OsString, Vec<PathBuf>>,
}

impl SplitFiles {
    /// Adds a file if its name is one of such a file. Returns whether it is.
    #[cfg_attr(not(feature = "__cli"), expect(dead_code, reason = "the command `gmr` has some"))]
    pub fn add(&mut self, path: PathBuf) -> bool {
        match path.extension().and_then(OsStr::to_str) {
            Some("dwp") => self.packages.push(path),
            Some("dwo") => {
                let Some(name) = path.file_name() else { return false };
                self.units.entry(name.to_owned()).push(path);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn packages(&self) -> &[PathBuf] {
        &self.packages
    }

    /// Those with this name.
    pub(super) fn units(&self, name: &OsStr) -> &[PathBuf] {
        self.units.get(name).map_or(&[], Vec::as_slice)
    }
}
