//! Where separate debug files are looked for. It reads nothing.

use std::path::{Path, PathBuf};

use super::modules::Module;

/// Where distributions install separate debug files.
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// What the kernel appends to the path of a file that was deleted.
pub(crate) const DELETED: &str = " (deleted)";

/// The path of a module's file, where it is or was.
pub(crate) fn path_of(module: &Module) -> &Path {
    Path::new(module.path.strip_suffix(DELETED).unwrap_or(&module.path))
}

/// The paths at which a module's separate debug file can be: by its build-id, and by the name that
/// its `.gnu_debuglink` has.
pub(crate) fn separate(module: &Module, link: Option<&[u8]>) -> Vec<PathBuf> {
    let by_build_id = module.build_id.as_ref().and_then(|id| {
        let (head, tail) = id.split_at_checked(2)?;
        Some(PathBuf::from(format!("{DEBUG_DIRECTORY}/.build-id/{head}/{tail}.debug")))
    });
    let by_link = link.map(|name| debuglink_paths(path_of(module), &String::from_utf8_lossy(name)));
    by_build_id.into_iter().chain(by_link.into_iter().flatten()).collect()
}

/// The paths at which to look for a debuglink's file, as gdb does.
fn debuglink_paths(module: &Path, name: &str) -> Vec<PathBuf> {
    // By its definition it is a file name without directories. A path could lead anywhere.
    let Some(directory) = module.parent().filter(|_| !name.contains('/')) else { return Vec::new() };
    let global = Path::new(DEBUG_DIRECTORY).join(directory.strip_prefix("/").unwrap_or(directory));
    vec![directory.join(name), directory.join(".debug").join(name), global.join(name)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debuglink_is_looked_for_where_gdb_does() {
        let paths = debuglink_paths(Path::new("/usr/lib/libshop.so"), "libshop.debug");
        let expected = [
            "/usr/lib/libshop.debug",
            "/usr/lib/.debug/libshop.debug",
            "/usr/lib/debug/usr/lib/libshop.debug",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
        assert!(debuglink_paths(Path::new("/usr/lib/libshop.so"), "/dev/zero").is_empty());
    }
}
