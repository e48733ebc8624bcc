//! `gmr`: shows, compares and merges saved Guru Meditation Reports.
//!
//! It reads files and standard input, and writes to standard output or to a file that is named. It
//! sends nothing to any process, and makes no connection.
//!
//! | module | what it is for |
//! |---|---|
//! | `args` | the command line |
//! | `generated` | completions and manual pages |
//! | `sources` | reports in files, folders and logs |
//! | `findings` | the findings of reports, and which say the same |
//! | `places` | where the threads and tasks of a report are |
//! | `view`, `diff`, `merge` | the subcommands |
//! | `output` | text or JSON on standard output, and the pager |

mod args;
mod diff;
mod findings;
mod generated;
mod merge;
mod output;
mod places;
mod sources;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let Args { command, no_pager } = Args::parse();
    let pager = !no_pager;
    let done = match command {
        Command::View(args) => view::run(&args, pager),
        Command::Diff(args) => diff::run(&args, pager),
        Command::Merge(args) => merge::run(&args, pager),
        Command::Completions { shell } => generated::completions(shell),
        Command::Man { folder } => generated::manual(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::warn(&error);
            ExitCode::FAILURE
        }
    }
}
