//! The memory of a process before, during and after a report.

use std::fs;
use std::thread;
use std::time::Duration;

use super::figures::memory;
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// The time after which a report's memory must be freed.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// Written to `clear_refs`, this resets the kernel's high-water mark.
const RESET_PEAK: &str = "5";

/// KiB of memory.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    /// Private memory.
    anonymous: f64,
    /// Private memory and mapped files.
    resident: f64,
    /// The largest `resident` since it was reset.
    peak: f64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
        };
        let field = |name| field(name).unwrap_or_default();
        Self { anonymous: field("RssAnon"), resident: field("VmRSS"), peak: field("VmHWM") }
    }
}

pub(crate) struct Row {
    pub(crate) threads: usize,
    before: Usage,
    /// The largest samples taken during the report, and the kernel's high-water mark.
    during: Usage,
    after: Usage,
    after_more: Usage,
}

impl Row {
    /// KiB of private memory above the start, at the peak.
    pub(crate) fn peak(&self) -> f64 {
        self.during.anonymous - self.before.anonymous
    }

    /// KiB of private memory above the start, some time later.
    pub(crate) fn kept(&self) -> f64 {
        self.after.anonymous - self.before.anonymous
    }
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    println!("memory");
    options.threads.iter().map(|&threads| one(setting, threads, options.depth)).collect()
}

fn one(setting: &Setting, threads: usize, depth: usize) -> Result<Row, String> {
    let mut program = Program::start(setting, setting.program("crowd", &[&threads, &depth]))?;
    let pid = program.pid();
    // Where the kernel can't do that, the samples remain.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), RESET_PEAK);
    let before = Usage::of(pid);
    let mut during = before;
    program.report_watched(|| {
        let now = Usage::of(pid);
        during.anonymous = during.anonymous.max(now.anonymous);
        during.resident = during.resident.max(now.resident);
    })?;
    during.peak = Usage::of(pid).peak.max(during.resident);
    thread::sleep(AFTERWARDS);
    let after = Usage::of(pid);
    for _ in 0..5 {
        program.report()?;
    }
    thread::sleep(AFTERWARDS);
    Ok(Row { threads, before, during, after, after_more: Usage::of(pid) })
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let heads = [
        "threads",
        "RssAnon before",
        "peak",
        "5 s later",
        "after 5 more",
        "RSS before",
        "RSS peak",
        "RSS 5 s later",
    ];
    let mut table = Table::new(&heads);
    for row in rows {
        let above = |kib: f64| format!("{}{}", if kib < 0.0 { "" } else { "+" }, memory(kib));
        table.row([
            row.threads.to_string(),
            memory(row.before.anonymous),
            above(row.peak()),
            above(row.kept()),
            above(row.after_more.anonymous - row.before.anonymous),
            memory(row.before.resident),
            above(row.during.peak - row.before.resident),
            above(row.after.resident - row.before.resident),
        ]);
    }
    table
}
