//! `cargo xtask bench`: what gmr costs, and what other tools for the same purpose cost on the same
//! machine in the same run.
//!
//! It builds the programs that are measured, measures one part after the other, and prints the
//! results as Markdown that can be read on a terminal.

mod aims;
mod contestants;
mod figures;
mod handler;
mod machine;
mod masking;
mod memory;
mod micro;
mod options;
mod program;
mod reports;
mod setting;
mod table;
mod tasks;
mod throughput;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use options::{Options, Part, USAGE};
use setting::Setting;
use table::Table;

/// What was measured. A part that was not selected is none.
#[derive(Default)]
struct Results {
    reports: Option<Vec<reports::Row>>,
    notes: Vec<String>,
    tasks: Option<Vec<tasks::Row>>,
    memory: Option<Vec<memory::Row>>,
    handler: Option<Vec<handler::Row>>,
    micro: Option<Vec<micro::Row>>,
    masking: Option<Vec<masking::Row>>,
    throughput: Option<throughput::Throughput>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::parse(arguments)?;
    let begun = Instant::now();
    let machine = machine::describe();
    let setting = Setting::build()?;
    let results = measure(&setting, &options)?;
    let page = page(&machine, &options, &results);
    println!("\n{page}\nmeasured in {}", figures::duration(begun.elapsed()));
    if options.write {
        fs::write(setting::root().join("docs/benchmarks.md"), page)
            .map_err(|error| format!("docs/benchmarks.md cannot be written: {error}"))?;
    }
    Ok(())
}

fn measure(setting: &Setting, options: &Options) -> Result<Results, String> {
    let mut results = Results::default();
    if options.wants(Part::Threads) {
        let (rows, notes) = reports::measure(setting, options);
        results.reports = Some(rows);
        results.notes = notes;
    }
    if options.wants(Part::Tasks) {
        results.tasks = Some(tasks::measure(setting, options)?);
    }
    if options.wants(Part::Memory) {
        results.memory = Some(memory::measure(setting, options)?);
    }
    if options.wants(Part::Handler) {
        results.handler = Some(handler::measure(setting, options)?);
    }
    if options.wants(Part::Micro) {
        results.micro = Some(micro::measure(setting)?);
    }
    if options.wants(Part::Masking) {
        results.masking = Some(masking::measure());
    }
    if options.wants(Part::Throughput) {
        results.throughput = Some(throughput::measure(setting, options)?);
    }
    Ok(results)
}

fn page(machine: &[String], options: &Options, results: &Results) -> String {
    let mut page = String::from(
        "# Benchmarks\n\n\
         Made by `cargo xtask bench --write`. Run it on your own machine: figures depend on the hardware.\n\
         Each figure is a median; where the table has space, the smallest and the largest measurement are\n\
         in parentheses.\n\n",
    );
    for line in machine {
        let _ = writeln!(page, "- {line}");
    }
    let mut part = |title: &str, about: &str, table: Option<Table>| {
        if let Some(table) = table {
            let _ = write!(page, "\n## {title}\n\n{about}\n\n{table}");
        }
    };
    part("Aims", "The aims, with what this run measured.", Some(aims::table(results)));
    let about = about_reports(options.depth, &results.notes);
    part("A report", &about, results.reports.as_deref().map(reports::table));
    part("Tasks", TASKS, results.tasks.as_deref().map(tasks::table));
    part("Memory", MEMORY, results.memory.as_deref().map(memory::table));
    part("In the signal handler", HANDLER, results.handler.as_deref().map(handler::table));
    part("Single parts", MICRO, results.micro.as_deref().map(micro::table));
    part("Masking", MASKING, results.masking.as_deref().map(masking::table));
    part("Throughput", THROUGHPUT, results.throughput.as_ref().map(throughput::table));
    page
}

fn about_reports(depth: usize, notes: &[String]) -> String {
    let mut about = format!(
        "\
         The time from the signal to the last byte of the text in a file; for gdb, eu-stack and jstack,\n\
         from the start of the tool to its end. The threads wait, {depth} frames deep as a debugger\n\
         counts them. Each line of a run uses a fresh process, and the lines take turns. \"First\" is the\n\
         first report of a process, which has to read the debug information; \"later\" are the others.\n\
         gmr shows equal stacks once; where the stacks differ, no two of the first thousand are the same.\n\
         The two columns on the right compare gdb and oslo.reports (a later report) with the line's own\n\
         time.\n"
    );
    for note in notes {
        let _ = write!(about, "\n- {note}");
    }
    about.trim_end().to_owned()
}

const TASKS: &str = "\
    Asynchronous tasks on tokio with two workers, all waiting at one place, and the same number of\n\
    goroutines in Go, a few functions deep: the time from the signal to the last byte of the text in\n\
    a file. With debug=1, Go counts equal stacks; with debug=2, it shows each. \"First\" is the first\n\
    report of a process. Its memory is the kernel's high-water mark (`VmHWM`) above what the process\n\
    used before.";

const MEMORY: &str = "\
    Memory of the reporting process for its first report, above what it used before. `RssAnon` is\n\
    private memory, sampled every 0.2 ms. `RSS` includes mapped files; its peak is the kernel's\n\
    high-water mark (`VmHWM`).";

const HANDLER: &str = "\
    Only threads that run are signalled, so all of these compute without end, each as deep as those\n\
    above. The time from the check that a thread is asked for its stack to its answer, measured in the\n\
    handler, for stacks below 8 KiB, in the reports of one process. A thread can lose its processor in\n\
    the handler; processor time excludes such pauses, and includes reading the clocks. Beside it, a\n\
    program in C (`crowds/handler.c`) whose handler copies as many bytes of stack with one\n\
    `process_vm_readv` and does nothing else: the least that a copy can take. The third handler first\n\
    asks which pages are in memory (`mincore`), as gmr's does so that no thread waits for a page.";

const MICRO: &str = "Measured by criterion, in one process: `cargo bench -p gmr-bench`.";

const MASKING: &str = "\
    The slowest of some 160,000 texts to mask: each of the fragments that the rules look for is\n\
    repeated, alone, together with each of the others, and once before each of the others. Seconds\n\
    of processor time.";

const THROUGHPUT: &str = "\
    An HTTP server with a thread for each of 16 connections that are always busy, with the clients\n\
    on the same machine. In each round, four fresh processes are loaded in turns of a tenth of a\n\
    second, and the ratio is that of the requests answered in ten of them. The second server equals the\n\
    first: its difference is chance. The reports find the busy threads at ever new places, whose\n\
    symbols are not cached yet.";
