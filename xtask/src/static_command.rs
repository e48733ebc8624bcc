//! `cargo xtask static`: the command `gmr` as one file that runs on any Linux of this processor, linked
//! statically with musl. A test starts this task itself.

use crate::targets::Target;

/// Builds it, and prints its path.
pub(crate) fn run(is_optimized: bool) -> Result<(), String> {
    Target::Musl.must_be_set_up()?;
    let profile = if is_optimized { "release" } else { "dev" };
    Target::Musl.cargo(&["build", "--package", "gmr-cli", "--profile", profile], &[])?;
    let folder = if is_optimized { "release" } else { "debug" };
    println!("{}", Target::Musl.artifacts().join(folder).join("gmr").display());
    Ok(())
}
