//! The steps of a task, the time that each takes and the CPU time of its commands, as a table at the
//! end. It decides nothing about what the steps are.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

/// The steps that have ended.
#[derive(Default)]
pub(crate) struct Steps(Vec<Step>);

struct Step {
    name: String,
    took: Duration,
    /// Of the commands that ended in this step; those that run beside several steps end in the last.
    used: Option<Duration>,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

impl Steps {
    /// Runs a step and notes how long it took.
    pub(crate) fn run<T>(
        &mut self,
        name: impl Into<String>,
        step: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let (begun, before) = (Instant::now(), used_by_commands());
        let result = step();
        let took = begun.elapsed();
        let used = used_by_commands().zip(before).map(|(now, before)| now.saturating_sub(before));
        let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
        self.0.push(Step { name: name.into(), took, used, outcome });
        result
    }

    /// Notes a step that is not run, and why.
    pub(crate) fn skip(&mut self, name: &str, reason: String) {
        let outcome = Outcome::Skipped(reason);
        self.0.push(Step { name: name.to_owned(), took: Duration::ZERO, used: None, outcome });
    }
}

/// The CPU time of all commands of this process that have ended, with theirs. `None` on systems other
/// than Linux.
fn used_by_commands() -> Option<Duration> {
    /// `USER_HZ`, which is 100 on every processor that the tests run on.
    const TICKS_A_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // `cutime` and `cstime`, the 16th and 17th fields (proc_pid_stat(5)). The second one is the name,
    // in parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(13).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()?.saturating_add(fields.next()?.ok()?);
    Some(Duration::from_millis(ticks.saturating_mul(1000 / TICKS_A_SECOND)))
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOTAL: &str = "total";
        let names = self.0.iter().map(|step| step.name.len());
        let width = names.chain([TOTAL.len()]).max().unwrap_or_default();
        writeln!(formatter, "{:width$}  seconds  CPU seconds", "step")?;
        for Step { name, took, used, outcome } in &self.0 {
            let used = used.map(|used| format!("{:.1}", used.as_secs_f64())).unwrap_or_default();
            write!(formatter, "{name:width$}  {:7.1}  {used:>11}", took.as_secs_f64())?;
            match outcome {
                Outcome::Passed => writeln!(formatter)?,
                Outcome::Failed => writeln!(formatter, "  failed")?,
                Outcome::Skipped(reason) => writeln!(formatter, "  skipped: {reason}")?,
            }
        }
        let took: Duration = self.0.iter().map(|step| step.took).sum();
        let used: Duration = self.0.iter().filter_map(|step| step.used).sum();
        write!(formatter, "{TOTAL:width$}  {:7.1}  {:11.1}", took.as_secs_f64(), used.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_what_failed_and_what_was_skipped() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("formatting", || Ok(7)), Ok(7));
        steps.skip("licences", "cargo-deny is missing".to_owned());
        assert_eq!(steps.run("lints", || Err::<(), _>("no".to_owned())), Err("no".to_owned()));
        (steps.0[0].took, steps.0[0].used) = (Duration::from_millis(1250), Some(Duration::from_millis(700)));
        (steps.0[2].took, steps.0[2].used) = (Duration::from_mins(10), None);
        let table = "\
step        seconds  CPU seconds
formatting      1.2          0.7
licences        0.0               skipped: cargo-deny is missing
lints         600.0               failed
total         601.2          0.7";
        assert_eq!(steps.to_string(), table);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_time_of_a_command_is_counted_once_it_has_ended() {
        let mut steps = Steps::default();
        let compute = "n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); done";
        let status = || std::process::Command::new("sh").args(["-c", compute]).status();
        let _ = steps.run("loop", || status().map_err(|error| error.to_string()));
        assert!(steps.0[0].used.is_some_and(|used| !used.is_zero()), "{steps}");
    }
}
