//! Shell scripts that start other programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::process::on;

/// A script that starts a program of this directory with the libraries there. These arguments come
/// before those that the script is given.
pub(crate) fn start_script(directory: &Path, program: &str, arguments: &str) -> String {
    let root = directory.display();
    let libraries = format!("{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu");
    format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{root}/usr/bin/{program}' {arguments} \"$@\"\n")
}

/// Writes a file that can be started.
pub(crate) fn write_script(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(on("create", folder))?;
    fs::write(path, text).map_err(on("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(on("change", path))
}
