//! Real processes: this test program once more, in a test that is a small service and prints
//! reports.

use std::fs;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use gmr_runtime::task::TrackExt as _;
use gmr_runtime::{Generator, Report};

/// Runs if another test has started it: prints so many reports with so many threads, one a line.
#[test]
fn service() {
    let Ok(told) = std::env::var("FLEET_SERVICE") else { return };
    let mut told = told.split(' ').map(|number| number.parse::<usize>().expect("a number"));
    let (reports, threads) = (told.next().expect("reports"), told.next().expect("threads"));
    let version = std::env::var("FLEET_VERSION").unwrap_or_else(|_| "1.0".to_owned());
    let mut builder = gmr_runtime::Builder::new().product("shop").version(version.clone());
    if let Ok(says) = std::env::var("FLEET_SAYS") {
        let fails = says.clone();
        let pool = Generator::fallible(move || Err::<String, _>(format!("no connection with {fails}")));
        builder = builder.product(format!("shop {says}")).version(format!("{version} {says}"));
        builder = builder.section(format!("Pool {says}"), pool);
    }
    let guard = builder.install().expect("installed");
    // Nobody writes to it before the process ends.
    let (pipe, _writer) = io::pipe().expect("a pipe");
    let pipe = Arc::new(pipe);
    for index in 0..threads {
        let pipe = Arc::clone(&pipe);
        let body: fn(&mut dyn FnMut()) = match index % 4 {
            0 => pay,
            1 => pack,
            _ => deliver,
        };
        let run = move || body(&mut || wait(&pipe));
        let name = format!("worker-{index}");
        thread::Builder::new().name(name).spawn(run).expect("a thread");
    }
    while waiting(&pipe) < threads {
        thread::sleep(Duration::from_millis(1));
    }
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for order in 0..threads / 10 {
        let task = async move {
            gmr_runtime::task::label("order", order);
            std::future::pending::<()>().await;
        };
        tasks.push(Box::pin(task.tracked_as("checkout")));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "\nreports").expect("it reads");
    for _ in 0..reports {
        for task in &mut tasks {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        out.write_all(Report::capture().to_json().as_bytes()).expect("it reads");
        out.flush().expect("it reads");
    }
    drop(guard);
    // The threads never end.
    std::process::exit(0);
}

fn wait(pipe: &PipeReader) {
    let _ = { pipe }.read(&mut [0]);
}

/// How many threads are in a system call on this pipe. One that only says that it is about to wait
/// can have another stack for as long as it has no processor.
fn waiting(pipe: &PipeReader) -> usize {
    let descriptor = format!("{:#x}", pipe.as_raw_fd());
    let is_waiting = |task: io::Result<fs::DirEntry>| {
        // It can have ended.
        let call = task.and_then(|task| fs::read_to_string(task.path().join("syscall")));
        call.is_ok_and(|call| call.split(' ').nth(1) == Some(&descriptor))
    };
    fs::read_dir("/proc/self/task").expect("the threads").map(is_waiting).filter(|is| *is).count()
}

#[inline(never)]
fn pay(wait: &mut dyn FnMut()) {
    wait();
}

#[inline(never)]
fn pack(wait: &mut dyn FnMut()) {
    std::hint::black_box(());
    wait();
    std::hint::black_box(());
}

#[inline(never)]
fn deliver(wait: &mut dyn FnMut()) {
    pack(wait);
}

/// So many reports of a new process with so many threads, as JSON.
pub(crate) fn reports_of(version: &str, reports: usize, threads: usize) -> Vec<String> {
    made(reports, threads, &[("FLEET_VERSION", version)])
}

/// A report of a process that says this as a part of its product and version, of a section's title, and of
/// the error by which the section fails.
pub(crate) fn report_that_says(says: &str) -> String {
    made(1, 4, &[("FLEET_SAYS", says)]).remove(0)
}

fn made(reports: usize, threads: usize, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "service::service", "--nocapture", "--test-threads=1"]);
    command.env("FLEET_SERVICE", format!("{reports} {threads}")).envs(variables.iter().copied());
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<String> =
        text.lines().filter(|line| line.starts_with("{\"schema_version\"")).map(str::to_owned).collect();
    assert_eq!(lines.len(), reports, "{text}");
    lines
}
