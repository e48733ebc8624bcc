//! The packages as they would be published: each is built from its archive alone, and contains the
//! licences. Nothing is uploaded.

use std::fs;
use std::path::Path;

use crate::cargo::{cargo, root};
use crate::metadata::{self, text};

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Whether files that are not committed may be packaged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncommitted {
    Allowed,
    Refused,
}

/// Packages and builds all published crates. The later ones are built with the earlier ones out of
/// their archives, so none has to be on crates.io.
pub(crate) fn check(uncommitted: Uncommitted) -> Result<(), String> {
    let mut arguments = vec!["publish", "--workspace", "--dry-run"];
    if uncommitted == Uncommitted::Allowed {
        arguments.push("--allow-dirty");
    }
    cargo(&arguments, &[])?;
    let metadata = metadata::load()?;
    let archives = Path::new(text(&metadata, "target_directory")).join("package");
    for package in metadata::published(&metadata) {
        // Where cargo unpacks the archive to build it.
        let unpacked = archives.join(format!("{}-{}", text(package, "name"), text(package, "version")));
        for licence in LICENCES {
            let read = |path: &Path| {
                fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
            };
            if read(&unpacked.join(licence))? != read(&root().join(licence))? {
                return Err(format!("{licence} in the package {} is not ours", text(package, "name")));
            }
        }
    }
    Ok(())
}
