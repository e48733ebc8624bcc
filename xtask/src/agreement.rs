//! `cargo xtask agreement`: compares the stacks of a report with those of gdb for a program that is
//! built in many ways, and writes the results into the documentation. The test that compares them
//! is in `tests/it/agreement.rs`; this starts it for each build.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cargo::{cargo, root};
use crate::process::on;
use crate::programs::BUILDS;
use crate::steps::Steps;
use crate::targets::Target;
use crate::tools::{self, Tool};

const PAGE: &str = "docs/agreement.md";

pub(crate) fn run(options: &[&str]) -> Result<(), String> {
    let (write, resume, named) = match options {
        ["--write"] => (true, false, &[][..]),
        ["--write", "--resume"] => (true, true, &[][..]),
        _ => (false, false, options),
    };
    let builds: Vec<(&str, &str)> = [("debug", "`cargo build`")]
        .into_iter()
        .chain(BUILDS.iter().map(|build| (build.name, build.description)))
        .filter(|(name, _)| named.is_empty() || named.contains(name))
        .collect();
    if let Some(unknown) = named.iter().find(|name| !builds.iter().any(|(known, _)| known == *name)) {
        return Err(format!("unknown build `{unknown}`"));
    }
    let needed = [Tool::Gdb, Tool::Target(Target::Musl)];
    let missing = tools::provide(&needed, true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    let mut steps = Steps::default();
    let mut failed = Vec::new();
    let results = root().join("target/agreement");
    fs::create_dir_all(&results).map_err(on("create", &results))?;
    let file = |name: &str| results.join(format!("{name}.json"));
    if !resume {
        for (name, _) in &builds {
            let _ = fs::remove_file(file(name));
        }
    }
    let row = |name: &str| fs::read(file(name)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut rows: Vec<_> = builds.iter().map(|(name, description)| (*description, row(name))).collect();
    for (index, &(name, _)) in builds.iter().enumerate() {
        if rows[index].1.is_some() {
            steps.skip(name, "compared by the run that this one resumes".to_owned());
        } else if let Err(problem) = steps.run(name, || compare(name, &file(name))) {
            // The others are compared even if this one disagrees.
            failed.push(format!("{name}: {problem}"));
            rows[index].1 = row(name);
            let _ = fs::remove_file(file(name));
        } else {
            rows[index].1 = row(name);
        }
        if write {
            // After each build: the run takes long, and may be interrupted.
            let page = root().join(PAGE);
            fs::write(&page, format!("{INTRODUCTION}\n{}", table(&rows))).map_err(on("write", &page))?;
        }
    }
    println!("\n{steps}\n\n{}", table(&rows));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Compares a build's stacks, and has the test write what it finds to this file.
fn compare(build: &str, file: &Path) -> Result<(), String> {
    let shown = file.display().to_string();
    let test =
        ["test", "--package", "gmr-tests", "--test", "it", "--", "--ignored", "--nocapture", "--exact"];
    let test = [&test[..], &["agreement::of_a_named_build"]].concat();
    cargo(&test, &[("GMR_TEST_BUILD", build), ("GMR_TEST_AGREEMENT", &shown)])
}

const INTRODUCTION: &str = "\
# Agreement with gdb

How far the stacks of a report are those that gdb prints for the same process a moment later. The
program has more than two hundred threads, which wait in fourteen ways: at locks, in system calls, in
a callback from C, deep in a recursion. `cargo xtask agreement --write` builds it in each of these
ways and writes this page.

- A thread agrees if the report has the same functions in the same order, inlined ones too, and if
  each Rust function is at the line that gdb has, where gdb has one. Threads that moved between the
  reports before and after gdb's are left out.
- Names are compared without their paths and generic arguments, which the two tools write
  differently.
- For a run of C functions, each function of the report must be among gdb's: for the C library, gdb
  also shows inlined ones.
";

fn table(rows: &[(&str, Option<Value>)]) -> String {
    let mut table = String::from("| build | threads | agree | frames | with a line | same line |\n");
    table.push_str("|---|---:|---:|---:|---:|---:|\n");
    for (build, row) in rows {
        let Some(row) = row else {
            let _ = writeln!(table, "| {build} | not compared | | | | |");
            continue;
        };
        let figure = |name: &str| row[name].as_u64().unwrap_or_default();
        let percent = |part: &str, whole: &str| match figure(whole) {
            0 => "-".to_owned(),
            whole => {
                // Rounded down: 100 % means all.
                let tenths = figure(part) * 1000 / whole;
                format!("{}.{} %", tenths / 10, tenths % 10)
            }
        };
        let _ = writeln!(
            table,
            "| {build} | {} | {} | {} | {} | {} |",
            figure("threads"),
            percent("agreeing", "threads"),
            figure("frames"),
            figure("lines"),
            percent("agreeing_lines", "lines"),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_all_is_a_hundred_percent() {
        let row = json!({ "threads": 1000, "agreeing": 999, "frames": 7, "lines": 0, "agreeing_lines": 0 });
        let expected = "\
| build | threads | agree | frames | with a line | same line |
|---|---:|---:|---:|---:|---:|
| small | 1000 | 99.9 % | 7 | 0 | - |
| broken | not compared | | | | |
";
        assert_eq!(table(&[("small", Some(row)), ("broken", None)]), expected);
    }
}
