//! What is generated from the command line's definition: completions for shells, and manual pages.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::output;

pub(crate) fn completions(shell: Shell) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "gmr", &mut script);
    output::write(&script)
}

/// Writes `gmr.1`, and a page for each subcommand.
pub(crate) fn manual(folder: &Path) -> Result<(), String> {
    clap_mangen::generate_to(Args::command(), folder)
        .map_err(|error| format!("could not write manual pages to {}: {error}", folder.display()))
}
