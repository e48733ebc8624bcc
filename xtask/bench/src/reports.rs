//! The time of whole reports. In each run, every tool is measured in a fresh process, one after the
//! other, so that changes in the machine's load affect all of them.

use std::time::Duration;

use super::contestants::{self, Contestant, Request};
use super::figures::{Figures, time, times};
use super::options::Options;
use super::program::{Program, run_tool};
use super::setting::Setting;
use super::table::Table;

/// After a first report that takes longer than this, there is no second one.
const SLOW: Duration = Duration::from_secs(10);

/// The measurements with one number of threads.
pub(crate) struct Row {
    pub(crate) threads: usize,
    contestants: Vec<Times>,
}

struct Times {
    name: &'static str,
    first: Figures,
    later: Figures,
    /// Whether the tool reports several times in one process.
    repeats: bool,
}

impl Row {
    fn of(&self, name: &str) -> Option<&Times> {
        self.contestants.iter().find(|times| times.name == name)
    }

    pub(crate) fn first(&self, name: &str) -> Option<f64> {
        self.of(name)?.first.median()
    }

    pub(crate) fn later(&self, name: &str) -> Option<f64> {
        self.of(name)?.later.median()
    }

    /// The time of oslo.reports: of a later report, or of the first if there is no other.
    pub(crate) fn oslo(&self) -> Option<f64> {
        self.later("oslo.reports").or(self.first("oslo.reports"))
    }
}

/// The rows, and notes on what is missing from them.
pub(crate) fn measure(setting: &Setting, options: &Options) -> (Vec<Row>, Vec<String>) {
    let (all, mut notes) = contestants::all(setting);
    let mut rows = Vec::new();
    for &threads in &options.threads {
        let mut row = Row { threads, contestants: Vec::new() };
        for run in 0..options.runs.max(options.slow_runs) {
            println!("{threads} threads, run {}", run + 1);
            for contestant in &all {
                let runs = if contestant.is_gmr() { options.runs } else { options.slow_runs };
                if run < runs && (contestant.least..=contestant.most).contains(&threads) {
                    let measured = one_process(setting, options, contestant, threads);
                    note_down(&mut row, &mut notes, contestant, measured);
                }
            }
        }
        rows.push(row);
    }
    (rows, notes)
}

/// The times of the reports in one process, in their order.
fn one_process(
    setting: &Setting,
    options: &Options,
    contestant: &Contestant,
    threads: usize,
) -> Result<Vec<Duration>, String> {
    let subject = (contestant.subject)(setting, threads, options.depth);
    let mut program = Program::start(setting, subject)?;
    let (took, text) = match contestant.request {
        Request::BySignal { times } => {
            let mut took = vec![program.report()?];
            while took.len() < times && took[0] < SLOW {
                took.push(program.report()?);
            }
            (took, program.errors())
        }
        Request::ByTool(command) => {
            let (took, text) = run_tool(setting, command(program.pid()))?;
            (vec![took], text)
        }
    };
    let reported = (contestant.threads)(&text);
    // Not every tool marks the main thread.
    if reported + 1 < threads {
        return Err(format!("{reported} of {threads} threads are in its report"));
    }
    Ok(took)
}

fn note_down(
    row: &mut Row,
    notes: &mut Vec<String>,
    contestant: &Contestant,
    measured: Result<Vec<Duration>, String>,
) {
    let took = match measured {
        Ok(took) => took,
        Err(problem) => {
            let note = format!("{}, {} threads: {problem}", contestant.name, row.threads);
            println!("  {note}");
            return notes.push(note);
        }
    };
    if row.of(contestant.name).is_none() {
        let repeats = matches!(contestant.request, Request::BySignal { .. });
        let (first, later) = (Figures::default(), Figures::default());
        row.contestants.push(Times { name: contestant.name, first, later, repeats });
    }
    for times in row.contestants.iter_mut().filter(|times| times.name == contestant.name) {
        for (number, took) in took.iter().enumerate() {
            let figures = if number == 0 { &mut times.first } else { &mut times.later };
            figures.add(took.as_secs_f64());
        }
    }
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table =
        Table::new(&["report", "threads", "median (min – max)", "n", "gdb takes", "oslo.reports takes"]);
    for row in rows {
        let (gdb, oslo) = (row.first("gdb"), row.oslo());
        let mut line = |name: String, figures: &Figures| {
            let compared = |other: Option<f64>| match (other, figures.median()) {
                (Some(other), Some(own)) => times(other / own),
                _ => "—".to_owned(),
            };
            let cells = [figures.show(time), figures.len().to_string(), compared(gdb), compared(oslo)];
            table.row([name, row.threads.to_string()].into_iter().chain(cells));
        };
        for contestant in &row.contestants {
            let suffix = if contestant.repeats { ", first" } else { "" };
            line(format!("{}{suffix}", contestant.name), &contestant.first);
            if contestant.later.len() > 0 {
                line(format!("{}, later", contestant.name), &contestant.later);
            }
        }
    }
    table
}
