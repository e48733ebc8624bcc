//! A report that comes out of the tables is the one that went in.

use std::path::Path;

use gmr_runtime::Report;
use serde_json::{Value, json};

use crate::documents::Documents;
use crate::program::{file, fleet, folder, reports, ship};
use crate::service::reports_of;

/// A document by what it says: stacks have their frames instead of numbers, and what is `null` is
/// left out.
fn said(document: &str) -> Value {
    let mut document: Value = serde_json::from_str(document).expect("JSON");
    let frames = document["frames"].clone();
    resolve(&mut document["sections"], &frames);
    // In the place that findings and locks refer to.
    for finding in document["findings"].as_array_mut().into_iter().flatten() {
        resolve(finding, &frames);
    }
    document["frames"] = Value::Null;
    without_null(&mut document);
    document
}

fn resolve(value: &mut Value, frames: &Value) {
    let frame =
        |index: &Value| frames[usize::try_from(index.as_u64().expect("an index")).expect("small")].clone();
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                match (&**name, &mut *value) {
                    ("frame", index @ Value::Number(_)) => *index = frame(index),
                    ("frames", Value::Array(list)) => list.iter_mut().for_each(|index| *index = frame(index)),
                    _ => resolve(value, frames),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| resolve(value, frames)),
        _ => {}
    }
}

fn without_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // A section without a value is one that is `null`.
            object.retain(|name, value| !value.is_null() || name == "data");
            object.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn id_of(tables: &Path) -> String {
    let ids = reports(tables);
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].clone()
}

/// What comes out of tables into which this went.
fn there_and_back(folder: &Path, document: &str) -> String {
    let (from, to) = (folder.join("in"), folder.join("out"));
    let _ = std::fs::remove_dir_all(&to);
    let _ = std::fs::create_dir(&from);
    file(&from, "report.json", document);
    ship(&from, &to);
    fleet(&["fleet", "report", &to.display().to_string(), &id_of(&to)]).well()
}

#[test]
fn whatever_the_schema_allows_comes_back() {
    let folder = folder("lossless");
    let mut documents = Documents::new(20);
    for index in 0..60 {
        let mut document = documents.next();
        // Of a later minor version.
        document["added_later"] = json!({ "x": [1, 2.5, "y"] });
        for section in document["sections"].as_array_mut().expect("sections") {
            section["added_later"] = 7.into();
        }
        let document = document.to_string();
        Report::from_json(&document).expect("the schema allows it");
        let back = there_and_back(&folder, &document);
        assert_eq!(said(&back), said(&document), "document {index}");
    }
}

#[test]
fn a_real_report_is_shown_as_from_its_json() {
    let folder = folder("lossless-real");
    let [report] = &reports_of("1.0", 1, 20)[..] else { panic!("one") };
    let back = there_and_back(&folder, report);
    assert_eq!(said(&back), said(report));
    let (one, other) =
        (Report::from_json(report).expect("a report"), Report::from_json(&back).expect("a report"));
    assert_eq!(one.to_text(), other.to_text());
    assert!(one.to_text().contains("fleet::service::pay") || one.to_text().contains("service::pay"));
}

#[test]
fn a_report_that_is_not_there_is_an_error() {
    let folder = folder("lossless-none");
    let path = folder.display().to_string();
    let id = "0".repeat(32);
    assert!(fleet(&["fleet", "report", &path, &id]).failed(1).contains("there is no report 000"));
    assert!(fleet(&["fleet", "report", &path, "' OR 1=1"]).failed(2).contains("32 digits"));
    let none = folder.join("none").display().to_string();
    assert!(fleet(&["fleet", "report", &none, &id]).failed(1).contains("is not a folder"));
}
