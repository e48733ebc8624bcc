//! Reads reports: from a file with JSON, from a log, from standard input, or from a folder. It
//! knows nothing of what is in a report.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use gmr_runtime::__cli::Finder;
use gmr_runtime::Report;

use crate::output::{self, as_u64};
use crate::progress::Progress;

/// The reports of a file.
pub(crate) struct Found {
    /// In the order of their times. At least one.
    pub(crate) reports: Vec<Report>,
    /// Why others can't be read, such as one that a rotated log has the end of.
    pub(crate) broken: Vec<String>,
}

/// All reports of a file. `-` is standard input.
///
/// # Errors
/// The file can't be read, or no report in it.
pub(crate) fn read(path: &Path) -> Result<Found, String> {
    let shown = shown(path);
    let text = text(path)?;
    let mut found = reports(&text).map_err(|error| format!("{shown}: {error}"))?;
    for error in &mut found.broken {
        *error = format!("{shown}: {error}");
    }
    Ok(found)
}

/// The same, and says so if it takes long.
pub(crate) fn read_slowly(path: &Path) -> Result<Found, String> {
    let _progress = Progress::new(format!("reading {}", shown(path)));
    read(path)
}

/// All of a file, as text.
///
/// # Errors
/// It can't be read.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let bytes = bytes(path).map_err(|error| format!("could not read {}: {error}", shown(path)))?;
    // A log may have anything in other lines.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A file, for a message.
pub(crate) fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The latest report of a file.
pub(crate) fn latest(path: &Path) -> Result<Report, String> {
    let Found { mut reports, broken } = read_slowly(path)?;
    output::left_out(&broken);
    Ok(reports.pop().expect("there is at least one"))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(path)?;
    }
    if bytes.starts_with(GZIP) { decompressed(&bytes, MAX_DECOMPRESSED) } else { Ok(bytes) }
}

/// How a compressed file begins, such as those of `log_gzip`.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// A few bytes can stand for very many.
const MAX_DECOMPRESSED: u64 = 1 << 30;

fn decompressed(bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // Logs that are rotated can have several parts.
    MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut text)?;
    if as_u64(text.len()) > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes when it is decompressed")));
    }
    Ok(text)
}

/// The files that are named, and those in the folders that are named, sorted by name.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |error: io::Error| format!("could not list {}: {error}", path.display());
        let entries: Vec<fs::DirEntry> = fs::read_dir(path).and_then(Iterator::collect).map_err(failed)?;
        let mut inside: Vec<PathBuf> =
            entries.iter().map(fs::DirEntry::path).filter(|path| path.is_file()).collect();
        inside.sort_unstable();
        files.extend(inside);
    }
    Ok(files)
}

fn reports(text: &str) -> Result<Found, String> {
    let (mut reports, mut broken) = (Vec::new(), Vec::new());
    let mut finder = Finder::default();
    for found in text.lines().filter_map(|line| finder.line(line)) {
        match found {
            Ok(found) => reports.push(found.report),
            Err(error) => broken.push(error),
        }
    }
    broken.extend(finder.end());
    if reports.is_empty() && broken.is_empty() && text.trim_start().starts_with('{') {
        // One that something has reformatted over several lines.
        match Report::from_json(text) {
            Ok(report) => reports.push(report),
            Err(error) => broken.push(error.to_string()),
        }
    }
    // Two processes can write to a log, and pieces can arrive late. The times are text of the same
    // length, all in UTC.
    reports.sort_by(|a, b| a.heading.made_at.cmp(&b.heading.made_at));
    match (reports.is_empty(), broken.first()) {
        (true, Some(error)) => Err(error.clone()),
        (true, None) => Err(nothing(text).to_owned()),
        (false, _) => Ok(Found { reports, broken }),
    }
}

fn nothing(text: &str) -> &'static str {
    let start = text.trim_start();
    let is_other = ["<?xml", "<!DOCTYPE html", "======"].iter().any(|other| start.starts_with(other))
        || text.contains("Guru Meditation Report");
    if text.trim().is_empty() {
        "it is empty"
    } else if is_other {
        "only reports in JSON can be read back; have the process write them with GMR_FORMAT=json, or \
         json-lines for logs"
    } else {
        "no report found; expected a report as JSON, or lines that begin with {\"gmr_report\""
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::*;

    fn found(text: &str) -> Vec<Report> {
        let found = reports(text).expect("a report");
        assert_eq!(found.broken, [] as [String; 0]);
        found.reports
    }

    #[test]
    fn reports_are_found_between_other_lines_however_they_are_written() {
        let (first, second) = (Report::capture(), Report::capture());
        let pretty: Value = serde_json::from_str(&first.to_json()).expect("JSON");
        assert_eq!(
            found(&serde_json::to_string_pretty(&pretty).expect("JSON")),
            std::slice::from_ref(&first)
        );
        // Two processes write their lines at the same time, behind a logger's prefix, or as Docker
        // has them.
        let (a, b) = (first.to_json_lines(), second.to_json_lines());
        let (mut log, mut docker) = (String::from("GET / 200\n"), String::new());
        for index in 0..a.lines().count().max(b.lines().count()) {
            for line in [&a, &b].into_iter().filter_map(|lines| lines.lines().nth(index)) {
                let _ = writeln!(log, "2026-01-01 shop[7]: {line}");
                docker.push_str(&json!({ "log": format!("{line}\n"), "stream": "stderr" }).to_string());
                docker.push('\n');
            }
        }
        assert_eq!(found(&log), [first.clone(), second.clone()]);
        assert_eq!(found(&docker), [first.clone(), second.clone()]);
        let log = format!("started\n{}INFO {}", first.to_json(), second.to_json());
        assert_eq!(found(&log), [first.clone(), second]);
        // A page has its report in it.
        assert_eq!(found(&first.to_html()), [first]);
    }

    #[test]
    fn what_is_compressed_is_read_in_all_its_parts_up_to_a_limit() {
        let compressed = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).expect("memory");
            encoder.finish().expect("memory")
        };
        let both = [compressed("one\n"), compressed("two\n")].concat();
        assert_eq!(decompressed(&both, 8).expect("text"), b"one\ntwo\n");
        let error = decompressed(&both, 7).expect_err("it is longer").to_string();
        assert!(error.contains("more than 7 bytes"), "{error}");
        assert!(decompressed(&both[..both.len() - 3], 8).is_err(), "its end is missing");
    }

    #[test]
    fn a_broken_report_does_not_hide_the_others() {
        let (cut, whole) = (Report::capture(), Report::capture());
        let cut: Vec<String> = cut.to_json_lines().lines().skip(1).map(str::to_owned).collect();
        assert!(!cut.is_empty(), "it has one line only");
        let log = format!("{}\n{}{{\"schema_version\":\"9.0\"}}\n", cut.join("\n"), whole.to_json());
        let found = reports(&log).expect("a report");
        assert_eq!(found.reports, [whole]);
        let [version, missing] = &found.broken[..] else { panic!("{:?}", found.broken) };
        assert!(version.contains("line ") && version.contains("9.0"), "{version}");
        assert!(missing.contains("part 1 ") && missing.contains("is missing"), "{missing}");
    }

    #[test]
    fn what_is_no_report_is_said() {
        let report = Report::capture();
        for (text, said) in [
            ("  \n".to_owned(), "it is empty"),
            (report.to_text(), "GMR_FORMAT=json"),
            (report.to_xml(), "GMR_FORMAT=json"),
            ("GET / 200\n".to_owned(), "no report found"),
            (report.to_json_lines().lines().skip(1).collect::<Vec<_>>().join("\n"), "is missing"),
            ("{\"schema_version\":\"9.0\"}".to_owned(), "line 1"),
        ] {
            let Err(error) = reports(&text) else { panic!("a report in {text}") };
            assert!(error.contains(said), "{error}");
        }
    }
}
