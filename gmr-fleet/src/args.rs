//! The command line: its arguments, and their help.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};

use crate::store::Location;

/// Keeps the reports of many processes in tables.
#[derive(Debug, Parser)]
#[command(
    name = "gmr-fleet",
    // What starts it.
    bin_name = "gmr",
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
    /// The folder for the tables, which is made if it is not there, and which only you can read; or
    /// object storage, as `s3://BUCKET/PREFIX`, with the access that the environment gives.
    #[arg(value_name = "DEST", value_parser = OsStringValueParser::new().try_map(Location::of))]
    pub(crate) to: Location,
    /// Goes on, and looks for new and changed files so often.
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, default_missing_value = "10s")]
    pub(crate) watch: Option<Duration>,
    /// The most reports of a batch.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: u32,
    /// From standard input, how long a report waits for others before it is written.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time)]
    pub(crate) delay: Duration,
    /// Sends headings and findings to the receiver of OTLP at this URL, as in
    /// `http://collector:4318`, once their reports are stored. Headers and TLS are in the variables
    /// `OTEL_EXPORTER_OTLP_..`.
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    Report(One),
    /// Lists the tables and their columns.
    Tables,
    Stacks(Stacks),
    /// Shows what is wrong, and in how many processes.
    ///
    /// Of each process, its latest report counts. Findings are the same if they differ in numbers only.
    Findings(Plain),
    Diff(Diff),
    /// Shows which processes differ from the others of their version.
    ///
    /// They are at a place at which hardly any other is, have more threads, or a task that waits longer.
    Outliers(Plain),
    Trend(Trend),
    Page(Site),
    Sql(Sql),
}

/// Which tables are asked.
#[derive(Debug, Arguments)]
pub(crate) struct From {
    /// The folder with the tables, or object storage, as `s3://BUCKET/PREFIX`.
    #[arg(value_parser = OsStringValueParser::new().try_map(Location::of))]
    pub(crate) tables: Location,
    /// Only of this service, as its folder is named. Others are not read.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Only of this date or these, in UTC, as in `2026-01-02` or `2026-01-02..2026-01-05`. Others are
    /// not read.
    #[arg(long, value_name = "DATE", value_parser = dates)]
    pub(crate) date: Option<Dates>,
    /// The most memory for the rows of a question, before they go to a temporary folder; at
    /// least 64.
    #[arg(long, default_value_t = 1_024, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    pub(crate) max_mib: u32,
}

/// How the answer is shown.
#[derive(Debug, Clone, Copy, Arguments)]
pub(crate) struct Shown {
    /// The most rows.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) top: usize,
    /// Prints JSON, with all rows.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows where threads and tasks wait, and in how many processes.
///
/// Of each process, its latest report counts. Stacks are the same if they show the same functions.
#[derive(Debug, Arguments)]
pub(crate) struct Stacks {
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Shows in which versions or on which hosts each place is, if there are several.
    #[arg(long, value_enum)]
    pub(crate) by: Option<By>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Version,
    Host,
}

/// A question without arguments of its own.
#[derive(Debug, Arguments)]
pub(crate) struct Plain {
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// Shows at which places are more or fewer of the processes of two versions, hosts or times.
#[derive(Debug, Arguments)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) from: From,
    /// The older side: `version=1.1`, `host=shop-1`, `time=2026-01-02`, `time=2026-01-02T14` for an
    /// hour, or `time=2026-01-02T14:30..2026-01-02T14:45`, in UTC.
    #[arg(value_parser = side)]
    pub(crate) older: Side,
    /// The newer side.
    #[arg(value_parser = side)]
    pub(crate) newer: Side,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// Shows how the number of processes, findings and threads changes over time.
#[derive(Debug, Arguments)]
pub(crate) struct Trend {
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// The length of a step. Of each process, its latest report of a step counts.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = step)]
    pub(crate) every: Duration,
    /// Counts the processes at a place: with what its id begins, as `stacks` shows it.
    #[arg(long, value_name = "ID", value_parser = place)]
    pub(crate) place: Option<String>,
}

/// Writes a page for a browser: findings, versions side by side, and the stacks of all processes.
///
/// It links to pages of single reports, which are written beside it.
#[derive(Debug, Arguments)]
pub(crate) struct Site {
    #[command(flatten)]
    pub(crate) from: From,
    /// The folder for the pages, which is made if it is not there, and which only you can read. Open
    /// `index.html` in it.
    #[arg(value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// The most findings and places.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) top: usize,
    /// The most reports with a page of their own.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) reports: usize,
}

/// Answers a query in SQL. It can't change anything.
#[derive(Debug, Arguments)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) from: From,
    /// The query. `gmr fleet tables` lists the tables and their columns.
    // It can begin with a comment.
    #[arg(value_name = "SELECT ..", allow_hyphen_values = true)]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// From a date to another one, both of which count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dates {
    pub(crate) first: String,
    pub(crate) last: String,
}

impl Dates {
    pub(crate) fn have(&self, date: &str) -> bool {
        (&*self.first..=&*self.last).contains(&date)
    }
}

/// A side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// As it was given.
    pub(crate) text: String,
    pub(crate) of: Of,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Of {
    Version(String),
    Host(String),
    /// From one time to before another one, as in RFC 3339.
    Time(String, String),
}

/// Prints a report as JSON, which `gmr view -` shows.
#[derive(Debug, Arguments)]
pub(crate) struct One {
    /// The folder with the tables, or object storage, as `s3://BUCKET/PREFIX`.
    #[arg(value_parser = OsStringValueParser::new().try_map(Location::of))]
    pub(crate) tables: Location,
    /// Its `report_id`.
    #[arg(value_parser = id)]
    pub(crate) report: String,
}

fn id(text: &str) -> Result<String, String> {
    if is_id(text) {
        Ok(text.to_owned())
    } else {
        Err("expected the 32 digits of a `report_id`, as the table `reports` has it".to_owned())
    }
}

/// Whether this is how a `report_id` looks.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time, as in `500ms` or `10s`".to_owned())
}

fn dates(text: &str) -> Result<Dates, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let is_date = |text: &str| text.len() == 10 && span(text).is_some();
    if is_date(first) && is_date(last) && first <= last {
        Ok(Dates { first: first.to_owned(), last: last.to_owned() })
    } else {
        Err("expected a date as in `2026-01-02`, or `2026-01-02..2026-01-05`".to_owned())
    }
}

fn side(text: &str) -> Result<Side, String> {
    let of = match text.split_once('=') {
        Some(("version", version)) => Some(Of::Version(version.to_owned())),
        Some(("host", host)) => Some(Of::Host(host.to_owned())),
        Some(("time", times)) => of_times(times),
        _ => None,
    };
    let expected = "expected `version=1.1`, `host=shop-1`, or `time=2026-01-02T14` and the like";
    of.map(|of| Side { text: text.to_owned(), of }).ok_or_else(|| expected.to_owned())
}

fn of_times(text: &str) -> Option<Of> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let ((first, _), (_, last)) = (span(first)?, span(last)?);
    let shown = |time| humantime::format_rfc3339_seconds(time).to_string();
    (first < last).then(|| Of::Time(shown(first), shown(last)))
}

/// The day, hour, minute or second that begins like this, in UTC: when it begins and ends.
fn span(text: &str) -> Option<(SystemTime, SystemTime)> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (rest, seconds) = match text.len() {
        10 => ("T00:00:00Z", 86_400),
        13 => (":00:00Z", 3_600),
        16 => (":00Z", 60),
        19 => ("Z", 1),
        _ => return None,
    };
    let begin = humantime::parse_rfc3339(&format!("{text}{rest}")).ok()?;
    Some((begin, begin + Duration::from_secs(seconds)))
}

fn step(text: &str) -> Result<Duration, String> {
    let whole = time(text).ok().filter(|time| time.subsec_nanos() == 0);
    whole.ok_or_else(|| "expected whole seconds, as in `10m` or `1h`".to_owned())
}

fn place(text: &str) -> Result<String, String> {
    let is_id =
        matches!(text.len(), 8..=32) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_id { Ok(text.to_owned()) } else { Err("expected 8 to 32 digits of a `place_id`".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_as_clap_wants_them() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn each_question_says_what_it_shows() {
        let command = <Args as clap::CommandFactory>::command();
        let fleet = command.find_subcommand("fleet").expect("it is there");
        let about = |question: &clap::Command| question.get_about().expect("it has one").to_string();
        let mut said: Vec<String> = fleet.get_subcommands().map(about).collect();
        assert!(said.len() > 8 && said.iter().all(|said| !said.contains("arguments")), "{said:?}");
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), fleet.get_subcommands().count(), "{said:?}");
    }

    #[test]
    fn sides_are_a_version_a_host_or_a_time() {
        let of = |text: &str| side(text).map(|side| side.of);
        assert_eq!(of("version='; DROP"), Ok(Of::Version("'; DROP".to_owned())));
        assert_eq!(of("host=a=b"), Ok(Of::Host("a=b".to_owned())));
        for (text, first, last) in [
            ("2026-01-02", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            ("2026-12-31T23", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-01-02T14:30..2026-01-02T14:44Z", "2026-01-02T14:30:00Z", "2026-01-02T14:45:00Z"),
            ("2026-01-02T14:30:59Z", "2026-01-02T14:30:59Z", "2026-01-02T14:31:00Z"),
        ] {
            assert_eq!(of(&format!("time={text}")), Ok(Of::Time(first.to_owned(), last.to_owned())));
        }
        for text in
            ["1.0", "time=", "time=2026-13-01", "time=2026-01-02..2026-01-01", "time=2026-01-02 14", "pid=1"]
        {
            assert!(side(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_one_or_several() {
        let given = |text| {
            dates(text).map(|dates| {
                ["2026-01-01", "2026-01-02", "2026-01-03", "unknown"].map(|date| dates.have(date))
            })
        };
        assert_eq!(given("2026-01-02"), Ok([false, true, false, false]));
        assert_eq!(given("2026-01-02..2026-01-03"), Ok([false, true, true, false]));
        for text in ["2026-01", "2026-01-02T14", "2026-01-03..2026-01-02", "' OR 1=1 --"] {
            assert!(dates(text).is_err(), "{text}");
        }
    }
}
