//! A supervisor that has uses of its own for signals, so that reports have another one.
//!
//! Run it with `cargo run --example supervisor`. It keeps three child processes running:
//!
//! | signal | effect |
//! |---|---|
//! | SIGCHLD | a child has ended: starts it again |
//! | SIGHUP | starts one more child |
//! | SIGUSR2 | replaces all children |
//! | SIGTERM | ends the children and itself |
//! | SIGUSR1 | prints a report to standard error |

use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;

static WORKERS: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

struct Worker {
    child: Child,
    started: Instant,
    restarts: u32,
}

#[derive(Serialize)]
struct Shown {
    pid: u32,
    restarts: u32,
    running_for: String,
}

/// The section "Workers".
#[gmr::section]
fn workers() -> Vec<Shown> {
    let shown = |worker: &Worker| Shown {
        pid: worker.child.id(),
        restarts: worker.restarts,
        running_for: format!("{} s", worker.started.elapsed().as_secs()),
    };
    lock().iter().map(shown).collect()
}

#[gmr::main(signal = "SIGUSR1")]
fn main() -> io::Result<()> {
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGUSR2, SIGTERM])?;
    for _ in 0..3 {
        lock().push(Worker::start()?);
    }
    println!("ready: kill -USR1 {}", std::process::id());

    for signal in signals.forever() {
        match signal {
            SIGCHLD => restart_ended()?,
            SIGHUP => lock().push(Worker::start()?),
            // SIGCHLD follows for each of them.
            SIGUSR2 => lock().iter_mut().try_for_each(|worker| worker.child.kill())?,
            _ => break,
        }
    }
    lock().drain(..).try_for_each(Worker::end)
}

fn lock() -> MutexGuard<'static, Vec<Worker>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn restart_ended() -> io::Result<()> {
    for worker in lock().iter_mut() {
        if let Some(status) = worker.child.try_wait()? {
            println!("worker {} has ended: {status}", worker.child.id());
            *worker = Worker { restarts: worker.restarts + 1, ..Worker::start()? };
        }
    }
    Ok(())
}

impl Worker {
    /// Stands for a real worker. It ends when its input does, which is when the supervisor ends.
    fn start() -> io::Result<Self> {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        Ok(Self { child, started: Instant::now(), restarts: 0 })
    }

    fn end(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}
