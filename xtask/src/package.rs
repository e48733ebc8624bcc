//! The packages as they would be published: each is built from its archive alone, and contains the
//! licences. Nothing is uploaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, root};
use crate::metadata::{self, text};

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Whether files that are not committed may be packaged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncommitted {
    Allowed,
    Refused,
}

/// Packages all published crates, and builds them from their archives. The crates need not be on
/// crates.io.
///
/// cargo's own verification is skipped: it unpacks each archive into its cache by name and version,
/// and reuses what an earlier run has left there.
pub(crate) fn check(uncommitted: Uncommitted) -> Result<(), String> {
    let metadata = metadata::load()?;
    let published: Vec<_> = metadata::published(&metadata).collect();
    let dirty: &[&str] = if uncommitted == Uncommitted::Allowed { &["--allow-dirty"] } else { &[] };
    cargo(&[&["publish", "--workspace", "--dry-run", "--no-verify"], dirty].concat(), &[])?;
    let packages: Vec<_> =
        published.iter().flat_map(|package| ["--package", text(package, "name")]).collect();
    cargo(&[&["package", "--no-verify"], dirty, &packages].concat(), &[])?;
    let archives = Path::new(text(&metadata, "target_directory")).join("package");
    // Those of the others take the place of crates.io's.
    let mut patches = Vec::new();
    for package in &published {
        let unpacked = unpack(&archives, text(package, "name"), text(package, "version"))?;
        patches.push(format!("patch.crates-io.{}.path='{}'", text(package, "name"), unpacked.display()));
    }
    let target = text(&metadata, "target_directory");
    // What no other package builds with all features.
    for name in ["gmr", "gmr-axum", "gmr-cli"] {
        let package = published.iter().find(|package| text(package, "name") == name);
        let version = package.map(|package| text(package, "version"));
        let version = version.ok_or_else(|| format!("{name} is not published"))?;
        let manifest = archives.join(format!("{name}-{version}/Cargo.toml")).display().to_string();
        let build = ["check", "--all-features", "--manifest-path", &manifest, "--target-dir", target];
        let own = format!("patch.crates-io.{name}.");
        let others = patches.iter().filter(|patch| !patch.starts_with(&own));
        let patches: Vec<_> = others.flat_map(|patch| ["--config", patch]).collect();
        cargo(&[&build[..], &patches].concat(), &[])?;
    }
    Ok(())
}

/// Unpacks an archive in its own directory, and checks that it contains the licences.
fn unpack(archives: &Path, name: &str, version: &str) -> Result<PathBuf, String> {
    let unpacked = archives.join(format!("{name}-{version}"));
    // Files of an earlier archive must not be found in this one.
    let _ = fs::remove_dir_all(&unpacked);
    let archive = archives.join(format!("{name}-{version}.crate"));
    let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(archives).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err(format!("cannot unpack {}", archive.display()));
    }
    for licence in LICENCES {
        let read =
            |path: &Path| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
        if read(&unpacked.join(licence))? != read(&root().join(licence))? {
            return Err(format!("{licence} in the package {name} is not ours"));
        }
    }
    Ok(unpacked)
}
