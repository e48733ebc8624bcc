//! The time that threads spend in the signal handler, measured in the handler itself by a build of
//! `crowd` with that feature. For comparison, a program in C measures a handler that makes one copy
//! of as much stack, and one that first asks which pages are in memory. They do nothing else.

use std::path::PathBuf;
use std::process::Command;

use super::figures::{Figures, time};
use super::options::Options;
use super::program::Program;
use super::setting::{Setting, foreign};
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

pub(crate) const GMR: &str = "gmr";
/// The handlers in C, and how many bytes each asks about before it copies: gmr's asks about the
/// pages of the 32 KiB that it may copy.
const LEAST: [(&str, usize); 2] = [("one copy, in C", 0), ("mincore and one copy, in C", 9 * 4096)];

pub(crate) struct Row {
    /// Which handler: gmr's, or one of those in C.
    pub(crate) handler: &'static str,
    pub(crate) threads: usize,
    /// Seconds from the handler's first step to its last.
    pub(crate) took: Figures,
    /// Of these, seconds on a processor.
    computed: Figures,
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Vec<Row>, String> {
    println!("time in the signal handler");
    let least = Least::build(setting);
    let mut rows = Vec::new();
    for threads in THREADS {
        let (row, bytes) = one(setting, threads, options.depth)?;
        rows.push(row);
        if let Some(least) = &least {
            for (handler, looked) in LEAST {
                rows.push(least.measure(handler, threads, bytes, looked)?);
            }
        }
    }
    Ok(rows)
}

/// The row of gmr's handler, and the median number of bytes of stack in its answers.
fn one(setting: &Setting, threads: usize, depth: usize) -> Result<(Row, usize), String> {
    // The main thread waits.
    let arguments: [&dyn ToString; 3] = [&(threads + 1), &depth, &"running"];
    let mut program = Program::start(setting, setting.program("crowd-measuring", &arguments))?;
    let mut answers = Vec::new();
    for _ in 0..ANSWERS.div_ceil(threads) {
        program.report()?;
        answers.extend(program.ask("handler")?.split(' ').filter_map(parse));
    }
    answers.retain(|&[_, _, bytes]| bytes < ORDINARY);
    let bytes = answers.iter().map(|answer| answer[2]).collect::<Figures>().median().unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 8,192")]
    let bytes = bytes as usize;
    Ok((row(GMR, threads, &answers), bytes))
}

fn row(handler: &'static str, threads: usize, answers: &[[f64; 3]]) -> Row {
    let of = |place: usize| answers.iter().map(|answer| answer[place] / 1e9).collect();
    Row { handler, threads, took: of(0), computed: of(1) }
}

/// The program whose handlers do the least.
struct Least(PathBuf);

impl Least {
    /// `None` if there is no C compiler that can build it.
    fn build(setting: &Setting) -> Option<Self> {
        let program = setting.directory.join("least-handler");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-pthread", "-o"]).arg(&program).arg(foreign("handler.c"));
        if compiler.status().is_ok_and(|status| status.success()) {
            return Some(Self(program));
        }
        println!("  without the handler in C: cc cannot compile it");
        None
    }

    fn measure(
        &self,
        handler: &'static str,
        threads: usize,
        bytes: usize,
        looked: usize,
    ) -> Result<Row, String> {
        let arguments = [threads, ANSWERS.div_ceil(threads), bytes, looked].map(|number| number.to_string());
        let output = Command::new(&self.0).args(arguments).output();
        let output = output.map_err(|error| format!("cannot start the handler in C: {error}"))?;
        if !output.status.success() {
            return Err(format!("the handler in C: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let answers: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).collect();
        Ok(row(handler, threads, &answers))
    }
}

/// `NANOSECONDS:OF PROCESSOR TIME:BYTES`
fn parse(answer: &str) -> Option<[f64; 3]> {
    let numbers: Vec<f64> = answer.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let heads = [
        "handler",
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
            row.handler.to_owned(),
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
