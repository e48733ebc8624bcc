//! `gmr ship` and `gmr fleet`: the reports of many processes as tables in an open format, and
//! questions about them.
//!
//! It reads reports and tables, and writes below the folder that it is given. It makes no
//! connection but to the object storage and the receiver of OTLP that it is given. What is
//! in a report is data: it never becomes SQL, the name of a file, or something that a terminal
//! interprets.
//!
//! | module | what it is for |
//! |---|---|
//! | `args` | the command line |
//! | `sources` | reports in files, folders and on standard input |
//! | `tables` | the tables, their columns, and rows on their way into files |
//! | `split` | from a report to rows |
//! | `origin` | the host of a report, in the names of batches |
//! | `join` | from rows back to a report |
//! | `store` | the tables in a folder or in object storage: what is there is whole |
//! | `ship` | from sources to the store |
//! | `otlp` | headings and findings, for a receiver of OpenTelemetry's logs |
//! | `engine` | the tables, as an SQL engine sees them |
//! | `asked` | the files that it sees |
//! | `questions` | the questions, and the SQL that answers them |
//! | `shown` | answers as text |
//! | `rows` | answers as JSON |
//! | `site` | answers as pages for a browser, and the files of these |
//! | `html` | the page of all processes |
//! | `page` | lines and columns of text |
//! | `output` | text on standard output and standard error |
//! | `threads` | the threads of queries and requests |

mod args;
mod asked;
mod engine;
mod html;
mod join;
mod origin;
mod otlp;
mod output;
mod page;
mod questions;
mod rows;
mod ship;
mod shown;
mod site;
mod sources;
mod split;
mod store;
mod tables;
mod threads;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let Args { command } = Args::parse();
    let done = match command {
        Command::Ship(args) => ship::run(&args),
        Command::Fleet { question } => match question {
            args::Question::Report(args) => join::run(&args),
            args::Question::Tables => output::write(tables::described().as_bytes()),
            args::Question::Stacks(args) => questions::stacks(&args),
            args::Question::Findings(args) => questions::findings(&args),
            args::Question::Diff(args) => questions::diff(&args),
            args::Question::Outliers(args) => questions::outliers(&args),
            args::Question::Trend(args) => questions::trend(args),
            args::Question::Page(args) => site::write(&args),
            args::Question::Sql(args) => questions::sql(&args),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::warn(&error);
            ExitCode::FAILURE
        }
    }
}
