//! Paths of source files as they are shown: without what is the same for each package.

use std::borrow::Cow;

use super::room::of_line;

/// The path without the directories of cargo's registry, of its git checkouts, and of the compiler.
/// It then begins with the package's name: `tokio-1.47.0/src/lib.rs`. The model has the full path.
pub(super) fn short_path(path: &str) -> Cow<'_, str> {
    let below = |directory: &str| path.split_once(directory).map(|(_, rest)| rest);
    // Each registry has a directory of its own, named after its index.
    let registry = || Some(below("/registry/src/")?.split_once('/')?.1);
    let compiler = || Some(path.strip_prefix("/rustc/")?.split_once('/')?.1);
    let short = registry().or_else(|| below("/git/checkouts/")).or_else(compiler);
    of_line(short.or_else(|| below("/rustlib/src/rust/")).unwrap_or(path))
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_its_package() {
        for (path, short) in [
            (
                "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f/tokio-1.47.0/src/x.rs",
                "tokio-1.47.0/src/x.rs",
            ),
            ("/home/me/.cargo/git/checkouts/bore-0a1b2c/1a2b3c4/src/x.rs", "bore-0a1b2c/1a2b3c4/src/x.rs"),
            (
                "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs",
                "library/std/src/rt.rs",
            ),
            (
                "/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/rt.rs",
                "library/std/src/rt.rs",
            ),
            ("src/main.rs", "src/main.rs"),
            ("/srv/shop/src/main.rs", "/srv/shop/src/main.rs"),
        ] {
            assert_eq!(short_path(path), short);
        }
    }
}
