//! Groups what is known of many processes. It reads no file and prints nothing.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use gmr_runtime::Report;
use serde::Serialize;

use super::stacks::{Number, Stacks};
use crate::findings::{self, Found};
use crate::output::as_u64;
use crate::places::{self, Identity, Key, Kind, Names, Places, SAME_START};

/// What is kept of a report.
pub(super) struct Kept {
    process: Identity,
    made_at: String,
    number: u64,
    places: Vec<(Number, Count)>,
    findings: Vec<(findings::Key, Found)>,
}

/// How many are at a place.
#[derive(Clone, Copy)]
struct Count {
    count: u64,
    /// Whether all of them are threads of a pool that wait for work.
    is_idle: bool,
}

#[derive(Serialize)]
pub(super) struct Merged {
    pub(super) processes: u64,
    pub(super) hosts: u64,
    pub(super) versions: Vec<Version>,
    /// Reports that were left out because there is a later one of the same process.
    pub(super) earlier_reports: u64,
    /// Reports that do not say when their process was started: each counts as a process.
    pub(super) unknown_processes: u64,
    /// Why files or reports could not be read.
    pub(super) left_out: Vec<String>,
    pub(super) findings: Vec<MergedFinding>,
    pub(super) places: Vec<MergedPlace>,
}

#[derive(Serialize)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) processes: u64,
}

#[derive(Serialize)]
pub(super) struct MergedFinding {
    /// That of one process.
    #[serde(flatten)]
    pub(super) found: Found,
    /// Whether those of others have other numbers.
    pub(super) numbers_differ: bool,
    pub(super) processes: u64,
    pub(super) versions: Vec<Version>,
}

#[derive(Serialize)]
pub(super) struct MergedPlace {
    pub(super) kind: Kind,
    pub(super) processes: u64,
    pub(super) hosts: u64,
    /// How many threads or tasks of all processes.
    pub(super) count: u64,
    /// Whether they are threads of pools that wait for work.
    pub(super) idle: bool,
    pub(super) versions: Vec<Version>,
    pub(super) stack: Vec<String>,
}

impl Kept {
    pub(super) fn of(report: &Report, stacks: &Stacks) -> Self {
        let places = Places::of(report).all().into_iter().map(|(key, place)| {
            let count = Count { count: place.count, is_idle: place.is_idle };
            (stacks.number(key.kind, place.lines), count)
        });
        let mut findings: HashMap<findings::Key, Found> = HashMap::new();
        for finding in &report.findings {
            findings.entry(findings::key(finding)).or_insert_with(|| Found::of(finding));
        }
        Self {
            process: Identity::of(report),
            made_at: report.heading.made_at.clone(),
            number: report.heading.number,
            places: places.collect(),
            findings: findings.into_iter().collect(),
        }
    }
}

/// The latest report of each process, and how many there are whose process is not known for
/// certain. These count as of different processes: ids are used again, and are the same in each
/// container.
fn latest(mut reports: Vec<Kept>) -> (Vec<Kept>, u64) {
    // The order of files must not decide which message and line stand for the others.
    reports.sort_by_cached_key(|kept| {
        let Identity { names, .. } = &kept.process;
        (names.clone(), kept.process.started(), kept.made_at.clone(), kept.number)
    });
    let mut latest: Vec<Kept> = Vec::new();
    let mut unknown = 0;
    // By name and start, which reports of the same process can state a second apart.
    let mut start = None;
    for report in reports {
        let started = report.process.started();
        unknown += u64::from(started.is_none());
        let same = latest.last().is_some_and(|last: &Kept| last.process.names == report.process.names)
            && started.zip(start).is_some_and(|(now, first): (u64, u64)| now - first <= SAME_START);
        if !same {
            start = started;
            latest.push(report);
            continue;
        }
        let last = latest.last_mut().expect("there is one");
        if last.made_at.cmp(&report.made_at) != last.number.cmp(&report.number) {
            // Restarted within the second: its numbers begin anew.
            latest.push(report);
        } else if last.made_at < report.made_at {
            *last = report;
        }
    }
    (latest, unknown)
}

/// Processes that have something in common.
#[derive(Default)]
struct Common {
    processes: u64,
    hosts: HashSet<String>,
    versions: HashMap<String, u64>,
}

impl Common {
    fn add(&mut self, process: &Identity) {
        self.processes += 1;
        let Names { program, version, host, .. } = &process.names;
        self.hosts.extend(host.clone());
        let version = version.as_deref().unwrap_or("without a version");
        *self.versions.entry(format!("{program} {version}")).or_default() += 1;
    }

    fn versions(&self) -> Vec<Version> {
        let version =
            |(name, processes): (&String, &u64)| Version { name: name.clone(), processes: *processes };
        let mut versions: Vec<Version> = self.versions.iter().map(version).collect();
        versions.sort_by(|a, b| b.processes.cmp(&a.processes).then_with(|| a.name.cmp(&b.name)));
        versions
    }
}

pub(super) fn merge(reports: Vec<Kept>, stacks: &Stacks, left_out: Vec<String>) -> Merged {
    let all = as_u64(reports.len());
    let (reports, unknown_processes) = latest(reports);
    let mut total = Common::default();
    for report in &reports {
        total.add(&report.process);
    }
    Merged {
        processes: total.processes,
        hosts: as_u64(total.hosts.len()),
        versions: total.versions(),
        earlier_reports: all - total.processes,
        unknown_processes,
        left_out,
        findings: merged_findings(&reports),
        places: merged_places(&reports, stacks),
    }
}

/// The most severe and most frequent first.
fn merged_findings(reports: &[Kept]) -> Vec<MergedFinding> {
    let mut merged: HashMap<&findings::Key, (Common, &Found, bool)> = HashMap::new();
    for report in reports {
        for (key, found) in &report.findings {
            let (common, first, differ) =
                merged.entry(key).or_insert_with(|| (Common::default(), found, false));
            common.add(&report.process);
            *differ |= first.message != found.message;
        }
    }
    let row = |(common, found, numbers_differ): (Common, &Found, bool)| MergedFinding {
        found: found.clone(),
        numbers_differ,
        processes: common.processes,
        versions: common.versions(),
    };
    let mut findings: Vec<MergedFinding> = merged.into_values().map(row).collect();
    let rank = |severity: &str| ["error", "warning"].iter().position(|known| *known == severity).unwrap_or(2);
    findings.sort_by(|a, b| {
        let key = |of: &MergedFinding| (rank(&of.found.severity), Reverse(of.processes));
        key(a).cmp(&key(b)).then_with(|| a.found.message.cmp(&b.found.message))
    });
    findings
}

/// Those in most processes first, and those of threads that wait for work last.
fn merged_places(reports: &[Kept], stacks: &Stacks) -> Vec<MergedPlace> {
    let lines = stacks.all();
    // In different versions, the same functions are on other lines.
    let keys: Vec<Key> = lines.iter().map(|(kind, lines)| places::key(*kind, lines)).collect();
    let mut merged: HashMap<&Key, (Common, Count, Number)> = HashMap::new();
    for report in reports {
        // A report has each key once.
        for (stack, count) in &report.places {
            let none = || (Common::default(), Count { count: 0, is_idle: true }, *stack);
            let (common, sum, _) = merged.entry(&keys[*stack]).or_insert_with(none);
            common.add(&report.process);
            sum.count += count.count;
            sum.is_idle &= count.is_idle;
        }
    }
    let mut merged: Vec<_> = merged.into_iter().collect();
    merged.sort_by(|(key, (common, sum, _)), (other_key, (other_common, other, _))| {
        let rank =
            |common: &Common, sum: &Count| (sum.is_idle, Reverse(common.processes), Reverse(sum.count));
        rank(common, sum).cmp(&rank(other_common, other)).then_with(|| key.cmp(other_key))
    });
    let row = |(key, (common, sum, stack)): (&Key, (Common, Count, Number))| MergedPlace {
        kind: key.kind,
        processes: common.processes,
        hosts: as_u64(common.hosts.len()),
        count: sum.count,
        idle: sum.is_idle,
        versions: common.versions(),
        stack: lines[stack].1.iter().map(places::line).collect(),
    };
    merged.into_iter().map(row).collect()
}
