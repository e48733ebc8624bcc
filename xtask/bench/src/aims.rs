//! The aims for the figures, and whether this run meets them.

use super::figures::{memory, time, times};
use super::table::Table;
use super::throughput::Throughput;
use super::{Results, handler, tasks};

/// The number of threads that most aims are about.
const MANY: usize = 1000;

pub(crate) fn table(results: &Results) -> Table {
    let mut table = Table::new(&["aim", "bound", "measured", "met"]);
    let mut aim = |name: &str, measured: Option<f64>, bound: Bound, shown: fn(f64) -> String| {
        let kept =
            measured.map_or("not measured", |measured| if bound.holds(measured) { "yes" } else { "no" });
        let measured = measured.map_or_else(|| "—".to_owned(), shown);
        table.row([name.to_owned(), bound.show(shown), measured, kept.to_owned()]);
    };
    let row = |threads| results.reports.iter().flatten().find(|row| row.threads == threads);
    let ratio = |slow: Option<f64>, fast: Option<f64>| Some(slow? / fast?);
    let many = row(MANY);
    let (gdb, oslo) = (many.and_then(|row| row.first("gdb")), many.and_then(super::reports::Row::oslo));
    let (first, later) = (many.and_then(|row| row.first("gmr")), many.and_then(|row| row.later("gmr")));
    aim("gdb beside a later report, 1,000 threads", ratio(gdb, later), Bound::Least(100.0), times);
    aim("oslo.reports beside a later report, 1,000 threads", ratio(oslo, later), Bound::Least(150.0), times);
    aim("gdb beside the first report, 1,000 threads", ratio(gdb, first), Bound::Least(20.0), times);
    let above = |name| Some(many?.later(name)? - later?);
    let locked = above(super::contestants::LOCKED);
    aim("1,000 threads that wait for one lock, above a later report", locked, Bound::Most(5e-3), time);
    // The second look is taken 50 ms after the threads are listed, early in the report.
    let deadlocked = above(super::contestants::DEADLOCKED);
    aim("a deadlock among 1,000 threads, above a later report", deadlocked, Bound::Most(55e-3), time);
    let most = row(8000).and_then(|row| row.later("gmr"));
    aim("a later report, 8,000 threads", most, Bound::Most(0.1), time);
    let of_tasks =
        |count| results.tasks.iter().flatten().find(|row| row.name == tasks::GMR && row.tasks == count);
    let later = |count| of_tasks(count).and_then(|row| row.later.median());
    aim("a later report, 1,000 tasks", later(1_000), Bound::Most(0.02), time);
    aim("a later report, 100,000 tasks", later(100_000), Bound::Most(0.15), time);
    let peak = of_tasks(100_000).and_then(|row| row.peak.median());
    aim("memory at the peak, 100,000 tasks", peak, Bound::Most(64.0 * 1024.0), memory);
    let asked = results
        .handler
        .iter()
        .flatten()
        .find(|row| row.handler == handler::GMR && row.threads == handler::MOST);
    let took = asked.and_then(|row| row.took.percentile(99));
    aim("in the handler, 99th percentile, 128 running threads", took, Bound::Most(20e-6), time);
    let used = results.memory.iter().flatten().find(|row| row.threads == MANY);
    let peak = used.map(super::memory::Row::peak);
    aim("memory at the peak, 1,000 threads", peak, Bound::Most(32.0 * 1024.0), memory);
    let kept = used.map(super::memory::Row::kept);
    aim("memory 5 s later, 1,000 threads", kept, Bound::Most(2.0 * 1024.0), memory);
    for (format, most) in [("text", 5e-3), ("json", 5e-3), ("html", 50e-3)] {
        let name = format!("1,000 threads, all stacks different: model to {format}");
        let rendered = results.micro.iter().flatten().find_map(|row| row.median_of(&name));
        aim(&format!("writing a report as {format}, 1,000 threads"), rendered, Bound::Most(most), time);
    }
    for about in ["no lock", "one lock", "64 locks", "64 locks in a deadlock"] {
        let name = format!("findings, 1,000 threads: {about}");
        let found = results.micro.iter().flatten().find_map(|row| row.median_of(&name));
        aim(&name, found, Bound::Most(5e-3), time);
    }
    for (name, most) in [("mask a configuration of 100 values", 100e-6), ("mask a command line", 10e-6)] {
        let masked = results.micro.iter().flatten().find_map(|row| row.median_of(name));
        aim(name, masked, Bound::Most(most), time);
    }
    let slowest = results.masking.iter().flatten().find_map(|row| row.took.median());
    aim("mask the slowest text of 64 KiB", slowest, Bound::Most(5e-3), time);
    let idle = results.throughput.as_ref().and_then(Throughput::idle);
    aim("throughput with gmr idle", idle, Bound::Least(0.99), |ratio| format!("{:.1} %", ratio * 100.0));
    table
}

#[derive(Clone, Copy)]
enum Bound {
    Least(f64),
    Most(f64),
}

impl Bound {
    fn holds(self, measured: f64) -> bool {
        match self {
            Bound::Least(bound) => measured >= bound,
            Bound::Most(bound) => measured <= bound,
        }
    }

    fn show(self, shown: fn(f64) -> String) -> String {
        match self {
            Bound::Least(bound) => format!("at least {}", shown(bound)),
            Bound::Most(bound) => format!("at most {}", shown(bound)),
        }
    }
}
