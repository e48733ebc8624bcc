//! The parts of a report one by one: criterion measures them in `benches/micro.rs`, and this module
//! reads its results.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::figures::time;
use super::setting::{Setting, cargo};
use super::table::Table;

pub(crate) struct Row {
    name: String,
    /// Seconds.
    median: f64,
    interval: (f64, f64),
    /// How many elements, such as frames, were processed in that time.
    elements: f64,
}

impl Row {
    /// Seconds, if it is the row of this name.
    pub(crate) fn median_of(&self, name: &str) -> Option<f64> {
        (self.name == name).then_some(self.median)
    }
}

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>, String> {
    let home = setting.directory.join("criterion");
    // Results of benchmarks that were removed must not be in the table.
    let _ = fs::remove_dir_all(&home);
    let arguments = ["bench", "--package", "gmr-bench", "--bench", "micro", "--", "--quiet"];
    cargo(&arguments, &[("CRITERION_HOME", &home.to_string_lossy())])?;
    let mut found = Vec::new();
    results(&home, &mut found);
    let mut rows: Vec<Row> = found.iter().filter_map(|directory| row(directory)).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    if rows.is_empty() { Err("criterion left no results".to_owned()) } else { Ok(rows) }
}

/// The directories named `new`, at any depth.
fn results(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.ends_with("new") { found.push(path) } else { results(&path, found) }
    }
}

fn row(directory: &Path) -> Option<Row> {
    let read = |file: &str| serde_json::from_slice(&fs::read(directory.join(file)).ok()?).ok();
    let (about, estimates): (Value, Value) = (read("benchmark.json")?, read("estimates.json")?);
    let median = &estimates["median"];
    let seconds = |figure: &Value| figure.as_f64().map(|nanoseconds| nanoseconds / 1e9);
    let interval = &median["confidence_interval"];
    Some(Row {
        name: about["full_id"].as_str()?.replace('/', ": "),
        median: seconds(&median["point_estimate"])?,
        interval: (seconds(&interval["lower_bound"])?, seconds(&interval["upper_bound"])?),
        elements: about["throughput"]["Elements"].as_f64().unwrap_or(1.0),
    })
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["part", "median", "95 % interval of the median", "all together"]);
    for row in rows {
        let each = |seconds: f64| time(seconds / row.elements);
        let (low, high) = row.interval;
        let whole = if row.elements > 1.0 {
            format!("{} for {}", time(row.median), row.elements)
        } else {
            String::new()
        };
        table.row([row.name.clone(), each(row.median), format!("{} – {}", each(low), each(high)), whole]);
    }
    table
}
