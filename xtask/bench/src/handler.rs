//! The time that threads spend in the signal handler, measured in the handler itself by a build of
//! `crowd` with that feature.

use super::figures::{Figures, time};
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// Numbers of threads. Threads that wait are not signalled, so all of these run, taking turns on
/// the processors; 128 are signalled at once.
const THREADS: [usize; 3] = [2, 16, MOST];
/// The row with the most.
pub(crate) const MOST: usize = 128;
/// Bytes of stack. Threads with more are left out, as they are not typical.
const ORDINARY: f64 = 8192.0;
/// How many answers are measured in one process.
const ANSWERS: usize = 2000;

pub(crate) struct Row {
    pub(crate) threads: usize,
    /// Seconds from the handler's first step to its last.
    pub(crate) took: Figures,
    /// Of these, seconds on a processor.
    computed: Figures,
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    println!("time in the signal handler");
    THREADS.into_iter().map(|threads| one(setting, threads, options.depth)).collect()
}

fn one(setting: &Setting, threads: usize, depth: usize) -> Result<Row, String> {
    // The main thread waits.
    let arguments: [&dyn ToString; 3] = [&(threads + 1), &depth, &"running"];
    let mut program = Program::start(setting, setting.program("crowd-measuring", &arguments))?;
    let mut answers = Vec::new();
    for _ in 0..ANSWERS.div_ceil(threads) {
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
    let heads = [
        "running threads",
        "answers",
        "median",
        "99th percentile",
        "processor time, median",
        "99th percentile",
    ];
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
