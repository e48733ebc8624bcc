//! The command line: its arguments, and their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand};

/// Keeps the reports of many processes in tables.
#[derive(Debug, Parser)]
#[command(
    name = "gmr-fleet",
    version,
    disable_help_subcommand = true,
    after_help = "`gmr ship ..` and `gmr fleet ..` start this program.\n\
                  Exit codes: 0 if it was done, 1 if it could not be done, 2 for wrong arguments."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ship(Ship),
    /// Reads the tables.
    Fleet {
        /// What of them.
        #[command(subcommand)]
        question: Question,
    },
}

/// Writes reports to tables: files in Parquet, by service and date.
///
/// A report that is there already is not written again, so that a run that was killed is simply
/// started once more. Sources are not changed.
#[derive(Debug, Arguments)]
pub(crate) struct Ship {
    /// A folder with reports as JSON, a file, or `-` for standard input: also logs with
    /// `json-lines`, and what is compressed with gzip.
    #[arg(value_name = "DIR|-")]
    pub(crate) from: PathBuf,
    /// The folder for the tables, which is made if it is not there. Only you can read it.
    #[arg(value_name = "DEST")]
    pub(crate) to: PathBuf,
    /// Goes on, and looks for new and changed files so often.
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, default_missing_value = "10s")]
    pub(crate) watch: Option<Duration>,
    /// The most reports of a batch.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: u32,
    /// From standard input, how long a report waits for others before it is written.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time)]
    pub(crate) delay: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    Report(One),
    /// Lists the tables and their columns.
    Tables,
}

/// Prints a report as JSON, which `gmr view -` shows.
#[derive(Debug, Arguments)]
pub(crate) struct One {
    /// The folder with the tables.
    pub(crate) tables: PathBuf,
    /// Its `report_id`.
    #[arg(value_parser = id)]
    pub(crate) report: String,
}

fn id(text: &str) -> Result<String, String> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_id { Ok(text.to_owned()) } else { Err("expected the 32 digits of a `report_id`".to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time, as in `500ms` or `10s`".to_owned())
}
