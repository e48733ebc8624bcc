//! Starts the threads that watch what an option names. Each is a thread of its own, so that what
//! one waits for cannot delay another.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::warning::{operators, warn};
use crate::reporter::{Destination, Target};
use crate::sys::channel::Sender;
use crate::sys::own_threads;
use crate::trigger::conditions::{self, Condition, OnThreads};
use crate::trigger::{Outbox, file};
use crate::views::Format;
use crate::{capture, env, fatal, task};

/// Starts the thread that notices when the file is touched. It says when it is `ready`.
pub(super) fn watch_file(file: &Path, outbox: &Arc<Outbox>, ready: &Sender<()>) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (watched, is_ready) = (Arc::clone(outbox), ready.clone());
    let watch = move || {
        capture::shield_thread(None);
        file::watch(&file, &watched, move || drop(is_ready));
    };
    if let Err(error) = own_threads::spawn("gmr file", watch) {
        warn(&format!("could not start the thread that watches the trigger file: {error}"));
    }
}

/// The conditions that make a report. Zero stands for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions {
    pub(super) watchdog: Option<Duration>,
    pub(super) slow_task: Option<Duration>,
    pub(super) on_memory: Option<u8>,
    pub(super) on_descriptors: Option<u8>,
    pub(super) on_threads: Option<OnThreads>,
    pub(super) on_fatal: Option<bool>,
}

impl Conditions {
    /// Those that the operator has chosen, or else these.
    pub(super) fn or_operators(self) -> Self {
        Self {
            watchdog: operators(env::watchdog()).or(self.watchdog),
            slow_task: operators(env::slow_task()).or(self.slow_task),
            on_memory: operators(env::on_memory()).or(self.on_memory),
            on_descriptors: operators(env::on_descriptors()).or(self.on_descriptors),
            on_threads: operators(env::on_threads()).or(self.on_threads),
            on_fatal: operators(env::on_fatal()).or(self.on_fatal),
        }
    }

    /// Starts the threads that look at them, if there are any.
    pub(super) fn watch(self) {
        // It wakes workers of runtimes, through descriptors of the program's.
        start("gmr watchdog", self.watchdog().into_iter().collect(), || ());
        let mut conditions: Vec<Condition> = self.slow_task().into_iter().collect();
        #[cfg(target_os = "linux")]
        conditions.extend(levels::conditions(self.on_memory, self.on_descriptors, self.on_threads));
        #[cfg(not(target_os = "linux"))]
        self.warn_of_levels();
        // Its files must not take up the program's descriptors, nor need one that is free.
        start("gmr conditions", conditions, || {
            #[cfg(target_os = "linux")]
            crate::sys::leave_files();
        });
    }

    /// Has fatal signals reported, if they are to be.
    pub(super) fn report_fatal(self, format: Format, target: &Target) {
        let log_dir = || target.destinations.iter().find_map(Destination::as_dir);
        if self.on_fatal == Some(true)
            && let Err(reason) = fatal::install(format, log_dir())
        {
            warn(&format!("`on_fatal` has no effect: {reason}"));
        }
    }

    fn slow_task(self) -> Option<Condition> {
        let limit = self.slow_task.filter(|limit| !limit.is_zero())?;
        let mut slow = task::slow::SlowTasks::new(limit);
        let every = slow.every();
        Some(Condition { option: "slow_task", every, check: Box::new(move |late| slow.look(late)) })
    }

    #[cfg(feature = "tokio")]
    fn watchdog(self) -> Option<Condition> {
        let limit = self.watchdog.filter(|limit| !limit.is_zero())?;
        let mut watchdog = task::watchdog::Watchdog::new(limit);
        let every = watchdog.every();
        let check = Box::new(move |late| watchdog.look(late).map(Into::into));
        Some(Condition { option: "watchdog", every, check })
    }

    #[cfg(not(feature = "tokio"))]
    fn watchdog(self) -> Option<Condition> {
        if self.watchdog.is_some_and(|limit| !limit.is_zero()) {
            warn("`watchdog` has no effect: it watches runtimes of tokio, with gmr's feature `tokio`");
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn warn_of_levels(self) {
        let percents = [("on_memory", self.on_memory), ("on_descriptors", self.on_descriptors)];
        let chosen = percents.into_iter().filter(|(_, percent)| percent.is_some_and(|percent| percent > 0));
        let threads = self.on_threads.filter(|limit| *limit != OnThreads::Off).map(|_| "on_threads");
        for option in chosen.map(|(option, _)| option).chain(threads) {
            warn(&format!("`{option}` has no effect on this platform"));
        }
    }
}

/// Starts a thread that looks at these conditions, if there are any.
fn start(name: &'static str, conditions: Vec<Condition>, prepare: fn()) {
    let options: Vec<&str> = conditions.iter().map(|condition| condition.option).collect();
    if options.is_empty() {
        return;
    }
    let options = options.join("`, `");
    let watch = move || {
        capture::shield_thread(None);
        prepare();
        conditions::watch(conditions);
    };
    if let Err(error) = own_threads::spawn(name, watch) {
        warn(&format!("could not start the thread for `{options}`: {error}"));
    }
}

#[cfg(target_os = "linux")]
mod levels;
