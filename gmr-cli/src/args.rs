//! The command line: its arguments, and their help.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use gmr_collect::time;
use gmr_runtime::Format;
use ureq::http::Uri;

/// Shows Guru Meditation Reports of running processes, and shows, compares and merges saved ones.
///
/// A saved report is read from its JSON: a file with one or several reports, or a log with lines of
/// `json-lines` between other lines. `-` is standard input.
#[derive(Debug, Parser)]
#[command(
    name = "gmr",
    version,
    disable_help_subcommand = true,
    after_help = "To begin: `gmr list` lists the processes, and `gmr report PID` shows the report of one. If none \
                  comes, `gmr doctor PID` says why.\n\n\
                  Exit codes: 0 if it was done, 1 if it could not be done, 2 for wrong arguments, 3 if `doctor` \
                  has found a problem, 4 if only a part was done: `collect` got some of the reports, `doctor` \
                  could not look at everything.\n\
                  Text on a terminal is shown by $PAGER, or else by `less`. With NO_COLOR, it has no colours."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Prints long text at once, also on a terminal.
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(List),
    Report(Report),
    Doctor(Doctor),
    Watch(Watch),
    Top(Top),
    View(View),
    Diff(Diff),
    Merge(Merge),
    Symbolize(Symbolize),
    Collect(Collect),
    /// Writes the reports of many processes to tables. Needs the program `gmr-fleet`.
    #[command(disable_help_flag = true)]
    Ship(External),
    /// Reads tables of many reports. Needs the program `gmr-fleet`.
    #[command(disable_help_flag = true)]
    Fleet(External),
    /// Prints a script that completes arguments in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual pages to a folder.
    Man {
        /// The folder, which must exist.
        folder: PathBuf,
    },
}

/// Shows the report of a running process here.
///
/// It is sent the report signal only if it has gmr, and a handler for the signal. Its own standard
/// error gets nothing. You must be its user or root.
#[derive(Debug, Arguments)]
pub(crate) struct Report {
    /// The id of the process, or the name of its service or executable.
    #[arg(value_name = "PID|NAME")]
    pub(crate) process: String,
    /// The format: text, json, json-lines, xml or html. By default, what the file's name ends with,
    /// or else text.
    #[arg(short, long, value_parser = format)]
    pub(crate) format: Option<Format>,
    /// Writes to this file, which must not exist. Only you can read it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Shows it as a page in your browser: $BROWSER, or else by `xdg-open`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) browser: bool,
    /// Shows these sections only, by their titles: `threads,green-threads`.
    #[arg(long, value_delimiter = ',', value_name = "SECTIONS")]
    pub(crate) sections: Vec<String>,
    /// Leaves async tasks alone: they are not polled, and not in the report.
    #[arg(long)]
    pub(crate) no_tasks: bool,
}

/// Shows live what the threads and tasks of a running process do.
///
/// It asks for a report again and again, as `gmr report` does, and groups threads and tasks by
/// their stacks. The key `?` lists the keys.
#[derive(Debug, Arguments)]
pub(crate) struct Watch {
    /// The id of the process, or the name of its service or executable.
    #[arg(value_name = "PID|NAME")]
    pub(crate) process: String,
    /// The time from one look to the next, at least 100ms: `500ms`, `2s`, `1min`.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Leaves async tasks alone: they are not polled, and not shown.
    #[arg(long)]
    pub(crate) no_tasks: bool,
}

/// Profiles a running process: which functions use its processor time, and what its threads wait for.
///
/// It looks at the process many times a second; threads that wait notice nothing. Ctrl-C ends it early,
/// and shows what was seen.
#[derive(Debug, Arguments)]
pub(crate) struct Top {
    /// The id of the process, or the name of its service or executable.
    #[arg(value_name = "PID|NAME")]
    pub(crate) process: String,
    /// How long to look, in seconds.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// How many looks a second, on average.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) hz: u32,
    /// The format. By default, what the file's name ends with, or else text.
    #[arg(short, long)]
    pub(crate) format: Option<ProfileFormat>,
    /// Writes to this file, which must not exist. Only you can read it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Formats other than text: what threads wait for, and not what they run.
    #[arg(long)]
    pub(crate) off_cpu: bool,
    /// Async tasks instead of threads. Each look wakes all of them.
    #[arg(long, conflicts_with = "off_cpu")]
    pub(crate) tasks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileFormat {
    /// The functions that run most, and where threads wait
    Text,
    /// A line for each stack, for other tools that draw flame graphs
    Folded,
    /// A flame graph
    Svg,
    /// A page with the flame graph
    Html,
    /// For `go tool pprof` and what else reads its format
    Pprof,
}

/// Shows a saved report, or converts it to another format.
#[derive(Debug, Arguments)]
pub(crate) struct View {
    /// A report as JSON, or a log with reports.
    pub(crate) file: PathBuf,
    /// The format: text, json, json-lines, xml or html. By default, what the file's name ends with,
    /// or else text.
    #[arg(short, long, value_parser = format)]
    pub(crate) format: Option<Format>,
    /// Writes to this file, which must not exist. Only you can read it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Of several reports, shows the one at this place, from 1. By default, the latest.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) report: Option<u64>,
    /// Lists the reports instead: place, time, program, process and what requested it.
    #[arg(short, long, conflicts_with_all = ["report", "output", "format"])]
    pub(crate) list: bool,
    /// Lists as JSON.
    #[arg(long, requires = "list")]
    pub(crate) json: bool,
}

/// Compares two reports: what is at the same place, what is new, gone, or has grown.
///
/// Threads and tasks are compared one by one if both reports are of the same process. Of different
/// processes, only how many are at each place.
#[derive(Debug, Arguments)]
pub(crate) struct Diff {
    /// The earlier report. Of several in a file, the latest.
    pub(crate) older: PathBuf,
    /// The later report.
    pub(crate) newer: PathBuf,
    /// The most places of each list.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) top: usize,
    /// Prints JSON, with all places.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Groups what many processes do: how many are at each place, by version and host.
///
/// Of each process, the latest report counts. Stacks are the same if they show the same functions.
#[derive(Debug, Arguments)]
pub(crate) struct Merge {
    /// Files and folders with reports. Of a folder, all files in it.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The most places and findings.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) top: usize,
    /// Prints JSON, with all places and findings.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Asks many processes for their reports at once, over HTTP.
///
/// Prints each report on a line of its own, or writes it to a file. Whoever does not answer in time
/// is named on standard error, with the reason. Exit code 4: some reports are there, others are
/// not.
#[derive(Debug, Arguments)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Collect {
    #[command(subcommand)]
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Where to ask, as in `http://10.0.0.7:9901/gmr`.
    #[arg(value_name = "URL", required_unless_present_any = ["from", "dns"])]
    pub(crate) urls: Vec<String>,
    /// A file with more URLs, one a line. `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// Asks at all addresses of a name, such as that of a headless service. Without a path, at
    /// `/gmr`.
    #[arg(long, value_name = "NAME:PORT[/PATH]")]
    pub(crate) dns: Vec<String>,
    #[command(flatten)]
    pub(crate) options: gmr_collect::Options,
}

/// Processes that are not asked at a URL.
#[derive(Debug, Subcommand)]
pub(crate) enum Elsewhere {
    /// Asks the pods of a Kubernetes cluster by their labels. Needs the program `gmr-pods`.
    #[command(disable_help_flag = true)]
    Pods(External),
}

/// Arguments of another program.
#[derive(Debug, Arguments)]
pub(crate) struct External {
    /// See `--help` of it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub(crate) arguments: Vec<OsString>,
}

/// Adds functions and lines to a report of a stripped executable.
///
/// They are read from files with debug information, such as the executable before it was stripped, or
/// from servers of such files. A file counts only if it has the build-id that the report has.
#[derive(Debug, Arguments)]
pub(crate) struct Symbolize {
    /// A report as JSON, or a log with reports, of which the latest counts.
    pub(crate) file: PathBuf,
    /// Files with debug information, also split (`.dwp`, `.dwo`), or folders that have some.
    #[arg(short, long, required_unless_present = "debuginfod", value_name = "PATH")]
    pub(crate) debug_dir: Vec<PathBuf>,
    /// Asks a debuginfod server for what is not there, as in `http://debug.example:8002`. What it sends
    /// is kept in the folder for that, `~/.cache/debuginfod_client`.
    #[arg(long, value_name = "URL", value_parser = server)]
    pub(crate) debuginfod: Vec<String>,
    /// For each file of a server to be complete.
    #[arg(long, default_value = "2min", value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Duration,
    /// The format: text, json, json-lines, xml or html. By default, what the file's name ends with,
    /// or else text.
    #[arg(short, long, value_parser = format)]
    pub(crate) format: Option<Format>,
    /// Writes to this file, which must not exist. Only you can read it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Lists the processes of this machine that have gmr, in containers as well.
///
/// They are recognized by a mark in their address maps. Nothing is sent to any process.
#[derive(Debug, Arguments)]
pub(crate) struct List {
    /// Lists as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says why a report of a process does not come, or lacks stacks.
///
/// It only looks at the process, and sends nothing to it. Exit code 3: a problem was found. Exit
/// code 4: none was found, but not everything could be looked at.
#[derive(Debug, Arguments)]
pub(crate) struct Doctor {
    /// The id of the process, or the name of its service or executable.
    #[arg(value_name = "PID|NAME")]
    pub(crate) process: String,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// More often, the process would be busy with little else than reports.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < MIN_INTERVAL {
        return Err("it has to be 100ms at least".to_owned());
    }
    Ok(interval)
}

fn format(name: &str) -> Result<Format, String> {
    name.parse().map_err(|error: gmr_runtime::Error| error.to_string())
}

/// The format of a report that was chosen, or else that of the file that it goes to.
pub(crate) fn format_of(chosen: Option<Format>, file: Option<&Path>) -> Format {
    let of_file = || match ending(file)? {
        "json" => Some(Format::Json),
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        "xml" => Some(Format::Xml),
        "html" | "htm" => Some(Format::Html),
        _ => None,
    };
    chosen.or_else(of_file).unwrap_or(Format::Text)
}

/// The same for a profile.
pub(crate) fn profile_format_of(chosen: Option<ProfileFormat>, file: Option<&Path>) -> ProfileFormat {
    let of_file = || match ending(file)? {
        "folded" => Some(ProfileFormat::Folded),
        "svg" => Some(ProfileFormat::Svg),
        "html" | "htm" => Some(ProfileFormat::Html),
        // `profile.pb.gz`
        "pprof" | "pb" | "gz" => Some(ProfileFormat::Pprof),
        _ => None,
    };
    chosen.or_else(of_file).unwrap_or(ProfileFormat::Text)
}

/// The URL of a server, without a slash at its end.
fn server(text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|_| "it is no URL".to_owned())?;
    match uri.scheme_str() {
        Some("http") if uri.authority().is_some() && uri.query().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Some("https") => {
            Err("there is no TLS here: `debuginfod-find debuginfo BUILD-ID` gets the file, and \
                              `--debug-dir` takes the folder in which it is then"
                .to_owned())
        }
        _ => Err("expected a URL, as in `http://debug.example:8002`".to_owned()),
    }
}

fn ending(file: Option<&Path>) -> Option<&str> {
    file?.extension()?.to_str()
}
