//! Healthy programs: a mode for each kind. The arguments name the modes that one process plays, all
//! of them at the same time.
//!
//! Nothing in it is stuck, spins or leaks, so no finding may be above `info`. Modes whose threads
//! run all the time say so. With `gently` as the first argument, these threads pause now and then,
//! so that they leave the processors to the others.

mod channels;
mod inputs;
mod locks;
mod services;
mod tasks;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder};
use std::time::Duration;

/// A mode: its name, what it is, whether its threads run all the time, and what starts it.
type Mode = (&'static str, &'static str, bool, fn());

/// Starts a thread with this name.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    Builder::new().name(name.to_owned()).stack_size(512 << 10).spawn(run).expect("a thread");
}

static IS_GENTLE: AtomicBool = AtomicBool::new(false);

/// How long threads that run all the time pause, if they do.
const PAUSE: Duration = Duration::from_millis(10);

/// Called in each loop that does not wait.
fn pace() {
    if IS_GENTLE.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
    }
}

/// The same in a task.
async fn pace_task() {
    if IS_GENTLE.load(Ordering::Relaxed) {
        tokio::time::sleep(PAUSE).await;
    }
}

fn modes() -> impl Iterator<Item = Mode> {
    let all = [threads::MODES, channels::MODES, locks::MODES, inputs::MODES, tasks::MODES, services::MODES];
    all.into_iter().flatten().copied()
}

/// The modes in one line: of each, its name, whether it is busy, and what it is.
fn list() -> String {
    let one = |(name, what, is_busy, _): Mode| {
        format!("{name}\t{}\t{what}", if is_busy { "busy" } else { "quiet" })
    };
    modes().map(one).collect::<Vec<_>>().join("\u{1e}")
}

#[gmr::main]
fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    IS_GENTLE.store(arguments.next_if_eq("gently").is_some(), Ordering::Relaxed);
    for argument in arguments {
        let mode = modes().find(|(name, ..)| *name == argument);
        let (_, _, _, start) = mode.unwrap_or_else(|| panic!("there is no mode {argument:?}"));
        start();
    }
    gmr_tests::converse(|_| list());
    std::process::exit(0);
}
