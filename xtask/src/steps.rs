//! The steps of a task and the time that each takes, as a table at the end. It decides nothing
//! about what the steps are.

use std::fmt;
use std::time::{Duration, Instant};

/// The steps that have ended.
#[derive(Default)]
pub(crate) struct Steps(Vec<Step>);

struct Step {
    name: String,
    took: Duration,
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
        let begun = Instant::now();
        let result = step();
        let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
        self.0.push(Step { name: name.into(), took: begun.elapsed(), outcome });
        result
    }

    /// Notes a step that is not run, and why.
    pub(crate) fn skip(&mut self, name: &str, reason: String) {
        self.0.push(Step { name: name.to_owned(), took: Duration::ZERO, outcome: Outcome::Skipped(reason) });
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOTAL: &str = "total";
        let names = self.0.iter().map(|step| step.name.len());
        let width = names.chain([TOTAL.len()]).max().unwrap_or_default();
        writeln!(formatter, "{:width$}  seconds", "step")?;
        for Step { name, took, outcome } in &self.0 {
            write!(formatter, "{name:width$}  {:7.1}", took.as_secs_f64())?;
            match outcome {
                Outcome::Passed => writeln!(formatter)?,
                Outcome::Failed => writeln!(formatter, "  failed")?,
                Outcome::Skipped(reason) => writeln!(formatter, "  skipped: {reason}")?,
            }
        }
        let total: Duration = self.0.iter().map(|step| step.took).sum();
        write!(formatter, "{TOTAL:width$}  {:7.1}", total.as_secs_f64())
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
        for step in &mut steps.0 {
            step.took *= 0;
        }
        steps.0[0].took = Duration::from_millis(1250);
        steps.0[2].took = Duration::from_mins(10);
        let table = "\
step        seconds
formatting      1.2
licences        0.0  skipped: cargo-deny is missing
lints         600.0  failed
total         601.2";
        assert_eq!(steps.to_string(), table);
    }
}
