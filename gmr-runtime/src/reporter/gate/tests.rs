//! The gate against all types of the model: in generated reports, each text is replaced by a
//! secret, one at a time, and must be masked, or be listed here with the reason.

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::model::Report;
use crate::views::tests::generated;

/// A token that its form alone reveals.
const SECRET: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";

/// Texts that are not masked, by the ends of their paths.
const SHOWN: &[(&str, &str)] = &[
    ("functions", "names of the program's source code"),
    (".function", "the same"),
    (".callsite.name", "the same"),
    (".callsite.target", "the same"),
    (".callsite.file", "the same"),
    (".follows.name", "the same"),
    (".follows.target", "the same"),
    (".follows.file", "the same"),
    ("findings[].", "made of what is masked already"),
    (".fields", "masked while it is made, by the names of its fields"),
    (".data", "the same, or the only text of a section"),
    (".code", "written by gmr"),
    (".incomplete", "written by gmr"),
    (".reason", "written by gmr"),
    (".made_at", "a time"),
    (".started_at", "a time"),
    (".time", "a time"),
    (".build_id", "a hash of a file"),
    (".trace_id", "public, to be looked up"),
    (".container_id", "public, to be looked up"),
    (".trigger.name", "the name of a signal or of an option"),
    (".state", "a word of the kernel"),
    (".policy", "a word of the kernel"),
    (".call", "a word of the kernel"),
    (".kernel_function", "a word of the kernel"),
    (".access", "a word of gmr"),
    (".protocol", "a word of the kernel"),
    (".kinds[].name", "a word of gmr"),
    (".limits[].name", "a word of the kernel"),
    (".limits[].unit", "a word of the kernel"),
    (".memory_events[].name", "a word of the kernel"),
    (".pressure[].resource", "a word of the kernel"),
    (".uncounted_runtimes[].library", "a word of gmr"),
    (".rustc", "a version"),
    (".target", "a platform"),
    (".profile", "a word of cargo"),
    (".kernel", "a version"),
    (".libc", "a version"),
    (".gmr_version", "a version"),
    (".gmr_features[]", "words of gmr"),
    ("schema_version", "a version"),
];

/// The paths of all texts, with what to replace to reach each.
fn texts(value: &Value, path: &str, pointer: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::String(_) => drop(found.insert(path.to_owned(), pointer.to_owned())),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            texts(item, &format!("{path}[]"), &format!("{pointer}/{index}"), found);
        }),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| {
            let escaped = key.replace('~', "~0").replace('/', "~1");
            texts(item, &format!("{path}.{key}"), &format!("{pointer}/{escaped}"), found);
        }),
        _ => (),
    }
}

fn masked(mut report: Report) -> Report {
    super::heading(&mut report.heading);
    super::frames(&mut report.frames);
    report.sections.iter_mut().for_each(super::section);
    report
}

#[test]
fn every_text_of_the_model_goes_through_the_gate() {
    const REPORTS: usize = 24;
    let mut runner = TestRunner::deterministic();
    let (mut checked, mut shown) = (BTreeSet::new(), Vec::new());
    for _ in 0..REPORTS {
        let report = generated::report().new_tree(&mut runner).expect("a report").current();
        let json = serde_json::to_value(&report).expect("JSON");
        let mut all = BTreeMap::new();
        texts(&json, "", "", &mut all);
        for (path, pointer) in all {
            // The content of free values has any path.
            let is_shown = SHOWN
                .iter()
                .any(|(end, _)| path.ends_with(end) || (path.contains(end) && end.ends_with('.')))
                || path.contains(".fields")
                || is_of_value(&json, &pointer);
            if is_shown || checked.contains(&path) {
                continue;
            }
            let mut planted = json.clone();
            *planted.pointer_mut(&pointer).expect("it is there") = Value::String(SECRET.to_owned());
            // The names of variants cannot be replaced.
            let Ok(planted) = serde_json::from_value::<Report>(planted) else { continue };
            let masked = serde_json::to_value(masked(planted)).expect("JSON");
            if masked.pointer(&pointer).is_some_and(|text| text == SECRET) {
                shown.push(path.clone());
            }
            checked.insert(path);
        }
    }
    assert!(shown.is_empty(), "these show secrets: {shown:#?}");
    for path in [
        ".sections[].title",
        ".frames[].file",
        ".sections[].content.data.threads[].name",
        ".sections[].content.data.tasks[].name",
        ".sections[].content.data.product",
        ".sections[].content.data.tasks[].labels[].value",
        ".sections[].content.data.message",
    ] {
        assert!(checked.contains(path), "{path} was not checked: {checked:#?}");
    }
}

/// Whether a path leads into a section's own values.
fn is_of_value(json: &Value, pointer: &str) -> bool {
    pointer.match_indices("/data").any(|(at, _)| {
        let content = json.pointer(&pointer[..at]);
        content.is_some_and(|content| content["kind"] == "fields")
    })
}
