//! `gmr symbolize`: a report of a stripped executable gets the names and lines that one of the same
//! executable before it was stripped has.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::service::{Service, file, folder, gmr, list};

/// A report of the service from this executable, whose threads and tasks wait in some functions.
pub(crate) fn report_of(executable: &Path) -> String {
    let script = format!("exec '{}' \"$@\"", executable.display());
    let mut command = Service::command(&["sh", "-c", &script]);
    command.stderr(Stdio::piped());
    let mut service = Service::start_with(command).expect("it starts");
    service.tell_all(&["pay", "ship", "task", "poll"]);
    service.report()
}

/// A copy of this program without symbols.
pub(crate) fn stripped(folder: &Path) -> std::path::PathBuf {
    let (this, copy) = (std::env::current_exe().expect("a path"), folder.join("stripped"));
    let status = Command::new("strip").arg("-o").args([&copy, &this]).status();
    assert!(status.expect("strip is where the linker is").success());
    copy
}

fn section<'a>(report: &'a Value, title: &str) -> &'a Value {
    let found = list(&report["sections"]).iter().find(|section| section["title"] == title);
    &found.unwrap_or_else(|| panic!("no {title}"))["content"]["data"]
}

/// What a stack shows, without the addresses.
fn shown(report: &Value, stack: &Value) -> Vec<String> {
    let of =
        |index: &Value| &report["frames"][usize::try_from(index.as_u64().expect("an index")).expect("small")];
    let line = |frame: &Value| {
        let [function, file, line, inlined, source] =
            ["function", "file", "line", "inlined", "source"].map(|name| &frame[name]);
        format!("{function} {file} {line} {inlined} {source}")
    };
    list(&stack["frames"]).iter().map(of).map(line).collect()
}

/// All stacks of the program's threads and of its tasks, sorted.
pub(crate) fn stacks(report: &str) -> Vec<Vec<String>> {
    let report: Value = serde_json::from_str(report).expect("JSON");
    let threads = list(&section(&report, "Threads")["threads"]).iter();
    let threads = threads.filter(|thread| thread["role"] == "main" || thread["role"] == "program");
    let tasks = list(&section(&report, "Green Threads")["tasks"]).iter();
    let stacks = threads.map(|thread| &thread["stack"]).chain(tasks.flat_map(|task| list(&task["stacks"])));
    let mut stacks: Vec<_> = stacks.map(|stack| shown(&report, stack)).collect();
    stacks.sort();
    stacks
}

pub(crate) fn has(stacks: &[Vec<String>], function: &str) -> bool {
    stacks.iter().flatten().any(|frame| frame.contains(function))
}

#[test]
fn a_report_of_a_stripped_executable_becomes_that_of_the_whole_one() {
    let folder = folder("symbolize");
    let this = std::env::current_exe().expect("a path");
    let whole = report_of(&this);
    let bare = report_of(&stripped(&folder));
    let path = file(&folder, "report.json", &bare);
    let expected = stacks(&whole);
    assert!(has(&expected, "service::pay") && has(&expected, "service.rs"), "{expected:?}");
    assert!(!has(&stacks(&bare), "service::pay"), "it has names of its own");

    // The executable itself, and the folder in which it is one of many.
    let with = |debug: &Path| {
        let done =
            gmr(&["symbolize", &path, "--debug-dir", &debug.display().to_string(), "--format", "json"]);
        assert_eq!(done.code, Some(0), "{}", done.errors);
        assert!(done.errors.contains(" resolved with "), "{}", done.errors);
        done.output
    };
    assert_eq!(stacks(&with(&this)), expected);

    // A file with debug information alone, as packages of distributions have it.
    let id = whole_build_id(&whole);
    let debug = folder.join("debug/.build-id").join(&id[..2]);
    fs::create_dir_all(&debug).expect("a folder");
    let debug = debug.join(format!("{}.debug", &id[2..]));
    let status = Command::new("objcopy").arg("--only-keep-debug").args([&this, &debug]).status();
    assert!(status.expect("objcopy is where the linker is").success());
    assert_eq!(stacks(&with(&folder.join("debug"))), expected);

    // What is written can be read again, and lacks nothing.
    let again = file(&folder, "again.json", with(&this));
    let written = folder.join("report.txt").display().to_string();
    let arguments = ["symbolize", &again, "-d", &this.display().to_string(), "-o", &written];
    assert_eq!(gmr(&arguments).code, Some(0));
    assert!(fs::read_to_string(&written).expect("a file").contains("service::pay"));
}

pub(crate) fn whole_build_id(report: &str) -> String {
    let report: Value = serde_json::from_str(report).expect("JSON");
    section(&report, "Package")["build_id"].as_str().expect("it has one").to_owned()
}

#[test]
fn a_crash_report_gets_its_functions() {
    let folder = folder("symbolize-crash");
    let mut command = Service::command(&[]);
    command.stderr(Stdio::piped()).env("GMR_ON_FATAL", "1");
    let mut service = Service::start_with(command).expect("it starts");
    service.tell("pay");
    let log = service.crash();
    assert!(!log.contains("service::crash"), "it has names of its own: {log}");
    let path = file(&folder, "shop.log", &log);
    let this = std::env::current_exe().expect("a path").display().to_string();

    let done = gmr(&["symbolize", &path, "-d", &this, "--format", "json"]);
    assert_eq!(done.code, Some(0), "{}", done.errors);
    let crash: Value = serde_json::from_str(&done.output).expect("JSON");
    let functions_of = |thread: &Value| -> Vec<String> {
        let places = list(&thread["frames"]).iter();
        let functions = places.filter_map(|place| place["functions"].as_array()).flatten();
        functions.map(|it| format!("{} {}:{}", it["function"], it["file"], it["line"])).collect()
    };
    let threads: Vec<_> = list(&crash["threads"]).iter().map(functions_of).collect();
    let position = |functions: &[String], name: &str| functions.iter().position(|it| it.contains(name));
    let inner = position(&threads[0], "service::crash").expect("the function that crashes");
    assert!(threads[0][inner].contains("service.rs"), "{:?}", threads[0]);
    assert!(position(&threads[0], "service::service").is_some_and(|outer| outer > inner), "{:?}", threads[0]);
    assert!(threads[1..].iter().any(|it| position(it, "service::pay").is_some()), "{threads:?}");

    let done = gmr(&["symbolize", &path, "-d", &this]);
    assert!(done.output.contains(", which crashed\n"), "{}", done.output);
    assert!(done.output.contains("SIGABRT") && done.output.contains("service::crash at "), "{}", done.output);
    assert!(gmr(&["symbolize", &path, "-d", &this, "-f", "xml"]).failed(1).contains("text or json"));
}

#[test]
fn a_file_of_another_build_is_refused() {
    let folder = folder("symbolize-other");
    let bare = report_of(&stripped(&folder));
    let path = file(&folder, "report.json", &bare);
    let other = env!("CARGO_BIN_EXE_gmr");
    let error = gmr(&["symbolize", &path, "--debug-dir", other]).failed(1);
    assert!(error.contains(other) && error.contains("which no module of the report has"), "{error}");
    let others = Path::new(other).parent().expect("a folder").join("build").display().to_string();
    let error = gmr(&["symbolize", &path, "--debug-dir", &others]).failed(1);
    for part in [&*whole_build_id(&bare), "left as they are", "no file has the build-id of a module"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let missing = folder.join("nothing").display().to_string();
    assert!(gmr(&["symbolize", &path, "--debug-dir", &missing]).failed(1).contains("could not read"));
    assert!(gmr(&["symbolize", &path]).failed(2).contains("--debug-dir"));
}
