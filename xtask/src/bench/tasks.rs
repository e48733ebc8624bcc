//! Reports of many asynchronous tasks: how long they take, and what memory they need.

use super::figures::{Figures, memory, time};
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// How many tasks there are.
const COUNTS: [usize; 3] = [1_000, 10_000, 100_000];
/// Later reports of one process.
const LATER: usize = 5;

pub(crate) struct Row {
    pub(crate) tasks: usize,
    first: Figures,
    pub(crate) later: Figures,
    /// KiB above what the process had before.
    pub(crate) peak: Figures,
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    COUNTS.iter().map(|&tasks| one(setting, tasks, options.runs)).collect()
}

fn one(setting: &Setting, tasks: usize, runs: usize) -> Result<Row, String> {
    let mut row =
        Row { tasks, first: Figures::default(), later: Figures::default(), peak: Figures::default() };
    for run in 1..=runs {
        println!("{tasks} tasks, run {run}");
        let mut program = Program::start(setting, setting.program("tasks", &[&"many", &tasks]))?;
        let before = resident(program.pid(), "VmRSS");
        row.first.add(program.report()?.as_secs_f64());
        row.peak.add(resident(program.pid(), "VmHWM") - before);
        for _ in 0..LATER {
            row.later.add(program.report()?.as_secs_f64());
        }
    }
    Ok(row)
}

/// KiB, by the kernel's word for them.
fn resident(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rest = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    rest.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["tasks", "first", "later", "memory at the first's peak"]);
    for row in rows {
        table.row([
            row.tasks.to_string(),
            row.first.show(time),
            row.later.show(time),
            row.peak.show(|kib| format!("+{}", memory(kib))),
        ]);
    }
    table
}
