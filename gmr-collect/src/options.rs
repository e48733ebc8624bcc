//! The arguments that all ways of asking have in common, and their help.

use std::path::PathBuf;
use std::time::Duration;

use crate::at_most::AtMost;

/// How many are asked, for how long, and where reports go.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// A file that has the token of those who are asked, to all of whom it is sent. By default, the variable
    /// `GMR_COLLECT_TOKEN` has it.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Asks so many, or such a part of all, chosen at random: `20`, `5%`.
    #[arg(long, value_name = "N|N%")]
    pub at_most: Option<AtMost>,
    /// Asks so many at a time.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// For each answer to be complete.
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = time)]
    pub timeout: Duration,
    /// For all answers.
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = time)]
    pub deadline: Duration,
    /// The most that is read of an answer, in MiB.
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub max_mib: u32,
    /// Writes each report to a new file in this folder. Only you can read them.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

impl Options {
    /// The most bytes of an answer.
    pub fn max_bytes(&self) -> u64 {
        u64::from(self.max_mib) << 20
    }

    /// Why an answer is not read to its end.
    pub fn too_long(&self) -> String {
        format!("its answer has more than {} MiB; --max-mib allows more", self.max_mib)
    }
}

/// A time that an argument has, as in `500ms` or `10s`.
///
/// # Errors
/// It is none, or zero.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time, as in `500ms` or `10s`".to_owned())
}
