//! Reports of many asynchronous tasks, compared with Go's of the same number of goroutines: the
//! time that they take and the memory that they need.

use std::process::Command;

use super::contestants;
use super::figures::{Figures, memory, time};
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// How many tasks there are.
const COUNTS: [usize; 3] = [1_000, 10_000, 100_000];
/// Later reports in one process.
const LATER: usize = 5;
/// The depth of each goroutine's stack: gmr's tasks wait three functions deep.
const DEPTH: usize = 3;

pub(crate) const GMR: &str = "gmr";

pub(crate) struct Row {
    pub(crate) tasks: usize,
    pub(crate) name: &'static str,
    first: Figures,
    pub(crate) later: Figures,
    /// KiB above what the process used before.
    pub(crate) peak: Figures,
}

/// A program with tasks, and a text that is in its report if that lists all of them.
struct Contestant {
    name: &'static str,
    program: Subject,
    proof: Proof,
}

type Subject = Box<dyn Fn(&Setting, usize) -> Command>;
type Proof = fn(usize) -> String;

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    let all = contestants(setting);
    let mut rows = Vec::new();
    for tasks in COUNTS {
        let empty = |contestant: &Contestant| Row {
            tasks,
            name: contestant.name,
            first: Figures::default(),
            later: Figures::default(),
            peak: Figures::default(),
        };
        let mut measured: Vec<Row> = all.iter().map(empty).collect();
        for run in 1..=options.runs {
            println!("{tasks} tasks, run {run}");
            for (contestant, row) in all.iter().zip(&mut measured) {
                one_process(setting, contestant, row)?;
            }
        }
        rows.extend(measured);
    }
    Ok(rows)
}

/// gmr, and Go where it is installed. Where it is not, the notes on reports of threads say so.
fn contestants(setting: &Setting) -> Vec<Contestant> {
    let gmr = |setting: &Setting, tasks| setting.program("tasks", &[&"many", &tasks]);
    let proof = |tasks| format!("tasks = {tasks}: {tasks} waiting");
    let mut all = vec![Contestant { name: GMR, program: Box::new(gmr), proof }];
    let Ok(program) = contestants::built_by_go(setting) else { return all };
    // Every goroutine except for the program's own.
    let grouped = |tasks: usize| format!("\n{} @ ", tasks - 1);
    let listed = |_| "goroutine 1 [".to_owned();
    let levels: [(_, _, Proof); 2] =
        [("Go, goroutine profile debug=1", "1", grouped), ("Go, goroutine profile debug=2", "2", listed)];
    for (name, debug, proof) in levels {
        let program = program.clone();
        let with_tasks = move |_: &Setting, tasks: usize| {
            let mut command = Command::new(&program);
            command.args([&tasks.to_string(), &DEPTH.to_string(), debug]);
            command
        };
        all.push(Contestant { name, program: Box::new(with_tasks), proof });
    }
    all
}

fn one_process(setting: &Setting, contestant: &Contestant, row: &mut Row) -> Result<(), String> {
    let mut program = Program::start(setting, (contestant.program)(setting, row.tasks))?;
    let before = resident(program.pid(), "VmRSS");
    row.first.add(program.report()?.as_secs_f64());
    row.peak.add(resident(program.pid(), "VmHWM") - before);
    for _ in 0..LATER {
        row.later.add(program.report()?.as_secs_f64());
    }
    let proof = (contestant.proof)(row.tasks);
    if !program.errors().contains(&proof) {
        return Err(format!("{}: `{proof}` is not in its report of {} tasks", contestant.name, row.tasks));
    }
    Ok(())
}

/// A field of `/proc/PID/status`, in KiB.
fn resident(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rest = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    rest.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["report", "tasks", "first", "later", "memory at the first's peak"]);
    for row in rows {
        table.row([
            row.name.to_owned(),
            row.tasks.to_string(),
            row.first.show(time),
            row.later.show(time),
            row.peak.show(|kib| format!("+{}", memory(kib))),
        ]);
    }
    table
}
