//! How long a thread is in the signal handler, by the build of the crowd that measures it there.

use super::figures::{Figures, time};
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// Stacks above this are not what an ordinary thread has.
const ORDINARY: f64 = 8192.0;
/// Reports of one process.
const REPORTS: usize = 10;

pub(crate) struct Row {
    pub(crate) threads: usize,
    /// Seconds from the handler's first step to its last.
    pub(crate) took: Figures,
    /// Of these, seconds on a processor.
    computed: Figures,
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    println!("time in the signal handler");
    // The main thread has the environment on its stack, which is then not ordinary, depending on where the kernel has put it.
    let several = options.threads.iter().filter(|&&threads| threads > 1);
    several.map(|&threads| one(setting, threads, options.depth)).collect()
}

fn one(setting: &Setting, threads: usize, depth: usize) -> Result<Row, String> {
    let mut program = Program::start(setting, setting.program("crowd-measuring", &[&threads, &depth]))?;
    let mut answers = Vec::new();
    for _ in 0..REPORTS {
        program.report()?;
        answers.extend(program.ask("handler")?.split(' ').filter_map(parse));
    }
    answers.retain(|&[_, _, bytes]| bytes < ORDINARY);
    let of = |place: usize| answers.iter().map(|answer| answer[place] / 1e9).collect();
    Ok(Row { threads, took: of(0), computed: of(1) })
}

/// `NANOSECONDS:OF PROCESSOR TIME:BYTES`
fn parse(answer: &str) -> Option<[f64; 3]> {
    let numbers: Vec<f64> = answer.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let heads =
        ["threads", "answers", "median", "99th percentile", "processor time, median", "99th percentile"];
    let mut table = Table::new(&heads);
    for row in rows {
        let show = |figure: Option<f64>| figure.map_or_else(|| "—".to_owned(), time);
        table.row([
            row.threads.to_string(),
            row.took.len().to_string(),
            show(row.took.median()),
            show(row.took.percentile(99)),
            show(row.computed.median()),
            show(row.computed.percentile(99)),
        ]);
    }
    table
}
