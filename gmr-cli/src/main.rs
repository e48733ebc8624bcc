//! `gmr`: asks processes for Guru Meditation Reports, shows, compares and merges saved ones, and
//! looks at processes that can make them.
//!
//! It reads files, standard input and `/proc`, and writes to standard output or to files that are
//! named. `report`, `watch` and `top` alone send something to a process of this machine: the report
//! signal, if the process handles it. `collect` and `symbolize` alone make connections: to the URLs that
//! they are given. What `symbolize` gets is kept where other programs keep such files.
//!
//! | module | what it is for |
//! |---|---|
//! | `args` | the command line |
//! | `generated` | completions and manual pages |
//! | `sources` | reports in files, folders and logs |
//! | `findings` | the findings of reports, and which say the same |
//! | `places` | where the threads and tasks of a report are |
//! | `http` | what requests over HTTP have in common |
//! | `image` | what an executable has for names and lines |
//! | `named` | the process that an argument names |
//! | `processes` | processes of this machine, from `/proc` |
//! | `report`, `watch`, `top`, `view`, `diff`, `merge`, `symbolize`, `collect`, `list`, `doctor` | the subcommands |
//! | `progress` | what takes long, on a line of standard error |
//! | `external` | subcommands in a program of their own |
//! | `out` | where a report or a profile goes |
//! | `output` | text or JSON on standard output, and the pager |

mod args;
mod collect;
mod diff;
mod doctor;
mod external;
mod findings;
mod generated;
mod http;
mod image;
mod list;
mod merge;
mod named;
mod out;
mod output;
mod places;
mod processes;
mod progress;
mod report;
mod sources;
mod symbolize;
mod top;
mod view;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let Args { command, no_pager } = Args::parse();
    let pager = !no_pager;
    let done = |done: Result<(), String>| done.map(|()| ExitCode::SUCCESS);
    let code = match command {
        Command::Report(args) => done(report::run(&args, pager)),
        Command::Watch(args) => done(watch::run(&args)),
        Command::Top(args) => top::run(&args, pager),
        Command::View(args) => done(view::run(&args, pager)),
        Command::Diff(args) => done(diff::run(&args, pager)),
        Command::Merge(args) => done(merge::run(&args, pager)),
        Command::Symbolize(args) => done(symbolize::run(&args, pager)),
        Command::Collect(args) => collect::run(&args),
        Command::List(args) => done(list::run(&args, pager)),
        Command::Doctor(args) => doctor::run(&args, pager),
        Command::Ship(args) => done(external::fleet("ship", &args.arguments)),
        Command::Fleet(args) => done(external::fleet("fleet", &args.arguments)),
        Command::Completions { shell } => done(generated::completions(shell)),
        Command::Man { folder } => done(generated::manual(&folder)),
    };
    match code {
        Ok(code) => code,
        Err(error) => {
            output::warn(&error);
            ExitCode::FAILURE
        }
    }
}
