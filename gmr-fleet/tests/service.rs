//! Real processes: this test program once more, in a test that is a small service and prints
//! reports.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;

use gmr_runtime::Report;
use gmr_runtime::task::TrackExt as _;

/// Runs if another test has started it: prints so many reports with so many threads, one a line.
#[test]
fn service() {
    let Ok(told) = std::env::var("FLEET_SERVICE") else { return };
    let mut told = told.split(' ').map(|number| number.parse::<usize>().expect("a number"));
    let (reports, threads) = (told.next().expect("reports"), told.next().expect("threads"));
    let version = std::env::var("FLEET_VERSION").unwrap_or_else(|_| "1.0".to_owned());
    let guard = gmr_runtime::Builder::new().product("shop").version(version).install().expect("installed");
    let (sender, receiver) = channel();
    for index in 0..threads {
        let sender = sender.clone();
        let body: fn(&mut dyn FnMut()) = match index % 4 {
            0 => pay,
            1 => pack,
            _ => deliver,
        };
        let run = move || body(&mut || wait(&sender));
        let name = format!("worker-{index}");
        thread::Builder::new().name(name).spawn(run).expect("a thread");
    }
    receiver.iter().take(threads).for_each(drop);
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

fn wait(sender: &std::sync::mpsc::Sender<()>) {
    let _ = sender.send(());
    loop {
        thread::park();
    }
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
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "service::service", "--nocapture", "--test-threads=1"]);
    command.env("FLEET_SERVICE", format!("{reports} {threads}")).env("FLEET_VERSION", version);
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<String> =
        text.lines().filter(|line| line.starts_with("{\"schema_version\"")).map(str::to_owned).collect();
    assert_eq!(lines.len(), reports, "{text}");
    lines
}
