//! The tests of the workspace, in two groups that run side by side, and a third one after them. Most
//! tests wait, for what a process prints or until a deadline of gmr's has passed, and cargo runs one
//! target of tests after the other, each of which ends with the one test that waits longest: in one
//! group, processors are idle for a third of the time.

use std::env;
use std::thread;

use serde_json::Value;

use crate::beside::Beside;
use crate::cargo::cargo;
use crate::metadata::{self, text};

/// The integration tests of the second group. They take about as long as all others.
const SECOND: [&str; 3] = ["browser", "command", "errors"];

/// Those whose programs use all processors, which others would lack. One runs after the other.
const ALONE: [&str; 2] = ["crowded", "soak"];

/// The options with which cargo selects the targets of each group.
pub(crate) struct Suite {
    first: Vec<String>,
    second: Vec<String>,
    alone: Vec<String>,
}

impl Suite {
    /// All targets with tests of the packages that cargo tests by default.
    pub(crate) fn of(metadata: &Value) -> Result<Self, String> {
        // Libraries are not selected by name.
        let mut suite = Self { first: vec!["--lib".to_owned()], second: Vec::new(), alone: Vec::new() };
        for target in metadata::packages(metadata)
            .filter(|package| {
                metadata["workspace_default_members"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|id| *id == package["id"])
            })
            .flat_map(|package| package["targets"].as_array().into_iter().flatten())
            .filter(|target| target["test"] == true)
        {
            let (kind, name) = (target["kind"][0].as_str().unwrap_or_default(), text(target, "name"));
            let group = match name {
                _ if SECOND.contains(&name) => &mut suite.second,
                _ if ALONE.contains(&name) => &mut suite.alone,
                _ => &mut suite.first,
            };
            match kind {
                "bin" | "test" => group.extend([format!("--{kind}"), name.to_owned()]),
                "lib" | "proc-macro" => {}
                _ => {
                    return Err(format!(
                        "the tests of `{name}`, a target of the kind {kind}, are in no group"
                    ));
                }
            }
        }
        let is_missing =
            |name: &&&str| !suite.second.iter().chain(&suite.alone).any(|option| option == *name);
        match SECOND.iter().chain(&ALONE).find(is_missing) {
            Some(name) => Err(format!("there are no tests named `{name}`")),
            None => Ok(suite),
        }
    }

    /// Compiles all of them. With `--all-targets`, cargo would build each program twice.
    pub(crate) fn build(&self) -> Result<(), String> {
        cargo(&arguments("--no-run", self.first.iter().chain(&self.second).chain(&self.alone)), &[])
    }

    /// Runs them, with what the tests that need modules of Python find.
    pub(crate) fn run(&self, python: Option<&String>) -> Result<(), String> {
        let threads = test_threads();
        let mut variables = vec![("RUST_TEST_THREADS", threads.as_str())];
        variables.extend(python.map(|python| ("GMR_TEST_PYTHON", python.as_str())));
        // All that fails is said in one run.
        let second = Beside::cargo(&arguments("--no-fail-fast", &self.second), &variables)?;
        let first = cargo(&arguments("--no-fail-fast", &self.first), &variables);
        let both = second.wait().and(first);
        cargo(&arguments("--no-fail-fast", &self.alone), &variables).and(both)
    }
}

fn arguments<'a>(option: &'a str, targets: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    ["test", option].into_iter().chain(targets.into_iter().map(String::as_str)).collect()
}

/// The number of tests of a group that run at a time, unless the environment says: three for two
/// processors, so that these are rarely idle and no test waits for one for long.
fn test_threads() -> String {
    env::var("RUST_TEST_THREADS").unwrap_or_else(|_| {
        thread::available_parallelism().map_or(1, |processors| (3 * processors.get()).div_ceil(2)).to_string()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(kind: &str) -> Value {
        let target = |kind: &str, name: &str, test| json!({ "kind": [kind], "name": name, "test": test });
        let mut targets: Vec<Value> =
            SECOND.iter().chain(&ALONE).map(|name| target("test", name, true)).collect();
        targets.extend([target(kind, "gmr", true), target("test", "it", true), target("bin", "demo", false)]);
        json!({
            "workspace_default_members": ["tested"],
            "packages": [
                { "id": "tested", "targets": targets },
                { "id": "other", "targets": [target("test", "other", true)] },
            ],
        })
    }

    #[test]
    fn each_target_with_tests_is_in_one_group() {
        let suite = Suite::of(&metadata("bin")).expect("groups");
        assert_eq!(suite.first, ["--lib", "--bin", "gmr", "--test", "it"]);
        assert_eq!(suite.second, SECOND.map(|name| ["--test", name]).concat());
        assert_eq!(suite.alone, ALONE.map(|name| ["--test", name]).concat());
    }

    #[test]
    fn tests_that_would_be_in_no_group_are_an_error() {
        let error = Suite::of(&metadata("example")).err();
        assert_eq!(
            error.as_deref(),
            Some("the tests of `gmr`, a target of the kind example, are in no group")
        );
        let mut without = metadata("bin");
        without["packages"][0]["targets"].as_array_mut().expect("targets").remove(1);
        assert_eq!(Suite::of(&without).err().as_deref(), Some("there are no tests named `command`"));
    }
}
