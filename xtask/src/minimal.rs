//! The lowest versions of dependencies that gmr's manifests allow. gmr must compile with them: a
//! floor that is too high makes a user's project update dependencies that it has locked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::cargo::{cargo, root};
use crate::process::on;

/// The crates, by their directories. Not gmr-tokio: it has the items of one release of tokio, and a
/// test compares them.
const CRATES: [&str; 5] = ["", "gmr-axum", "gmr-macros", "gmr-mask", "gmr-runtime"];

/// Compiles gmr with the lowest version of each of their dependencies, without and
/// with all features. What these depend on themselves has the newest version.
pub(crate) fn run() -> Result<(), String> {
    let folder = root().join("target/minimal-versions");
    // Its target directory is kept.
    fs::create_dir_all(&folder).map_err(on("create", &folder))?;
    for name in CRATES {
        copy(&root().join(name), &folder.join(name))?;
    }
    let _ = fs::remove_file(folder.join("Cargo.lock"));
    let manifest = folder.join("Cargo.toml").display().to_string();
    let on_manifest = ["--manifest-path", &manifest];
    // The option is unstable. The compiler runs without the variable: with it, build scripts take
    // it for a nightly one.
    let resolve = ["-Z", "direct-minimal-versions", "generate-lockfile"];
    cargo(&[&resolve[..], &on_manifest].concat(), &[("RUSTC_BOOTSTRAP", "1")])?;
    let depth = ["tree", "--workspace", "--all-features", "--depth", "1", "--edges", "normal"];
    cargo(&[&depth[..], &on_manifest].concat(), &[])?;
    for features in [&["--all-features"][..], &[]] {
        cargo(&[&["check", "--workspace", "--locked"], features, &on_manifest].concat(), &[])?;
    }
    Ok(())
}

/// A package without its tests, whose dependencies are not for users. The sources are linked.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(on("create", to))?;
    let (original, manifest) = (from.join("Cargo.toml"), to.join("Cargo.toml"));
    let text = fs::read_to_string(&original).map_err(on("read", &original))?;
    fs::write(&manifest, for_users(&text)).map_err(on("write", &manifest))?;
    let sources = to.join("src");
    let _ = fs::remove_file(&sources);
    symlink(from.join("src"), &sources).map_err(on("link", &sources))
}

/// A manifest without what only tests and examples need, and without packages that are not
/// published.
fn for_users(manifest: &str) -> String {
    let mut kept = String::new();
    let mut in_kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            let left_out = ["dev-dependencies", "[[example]]", "profile.dev.package."];
            in_kept = !left_out.iter().any(|name| line.contains(name));
        }
        // `schemars` is for our own documentation, and needs later versions of others.
        let not_for_users = ["default-members =", "exclude =", "schemars =", "schema ="];
        if line.starts_with("members =") {
            kept.push_str("members = [\"gmr-axum\", \"gmr-macros\", \"gmr-mask\", \"gmr-runtime\"]\n");
        } else if in_kept && !not_for_users.iter().any(|key| line.starts_with(key)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_for_users_has_the_dependencies_of_the_crate_alone() {
        let manifest = "[workspace]\nmembers = [\"tests\"]\nexclude = [\"fuzz\"]\n\n[dependencies]\nlibc = \"1\"\n\n\
                        [dev-dependencies]\ntokio = \"1\"\n\n[target.'cfg(unix)'.dev-dependencies]\nproptest = \"1\"\n\n\
                        [[example]]\nname = \"one\"\n\n[lints]\nworkspace = true\n";
        let expected = "[workspace]\nmembers = [\"gmr-axum\", \"gmr-macros\", \"gmr-mask\", \"gmr-runtime\"]\n\n[dependencies]\nlibc = \"1\"\n\n\
                        [lints]\nworkspace = true\n";
        assert_eq!(for_users(manifest), expected);
    }
}
