//! The built-in sections about the process: what it uses, what it has open, what it has loaded and
//! was started with; and which of them a report has. Each is compared with facts that the program
//! has planted, or that another process sees.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{Program, program};
use crate::report::{Report, list, text};

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sections-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn report_of(program: &mut Program) -> Report {
    program.signal(Signal::USR1);
    program.next_report()
}

fn named<'a>(items: &'a [Value], name: &str) -> &'a Value {
    let found = items.iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}` among {items:?}"))
}

#[test]
fn a_report_finds_what_the_program_has_planted() {
    let folder = Folder::new("facts");
    let mut command = Command::new(program!("ordinary"));
    command.args(["facts", "--password=hunter2", "--mode=fast"]).env("FOLDER", &folder.0);
    command.env("SHOP_PASSWORD", "hunter2").env("SHOP_MODE", "fast").env_remove("KUBERNETES_SERVICE_HOST");
    let mut program = Program::start_with(command);
    let report = report_of(&mut program);
    assert!(!report.to_string().contains("hunter2"), "{report}");

    let descriptors = report.data("Descriptors", "descriptors");
    assert_eq!(descriptors["limit"], 200);
    assert_eq!(list(&descriptors["notes"]).len(), 0, "{descriptors}");
    let entries = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("it runs").count();
    assert_eq!(descriptors["open"], entries, "{descriptors}");
    assert_eq!(named(list(&descriptors["kinds"]), "TCP socket")["count"], 55);
    let files = list(&descriptors["files"]);
    let shown = |end: &str| {
        let found = files.iter().find(|file| text(&file["path"]).ends_with(end));
        let file = found.unwrap_or_else(|| panic!("no file `{end}` among {files:?}"));
        json!(["deleted", "position", "size_bytes", "access", "count"].map(|field| &file[field]))
    };
    assert_eq!(shown("/password=*** (deleted)"), json!([true, 1000, 4096, "read and write", 1]));
    assert_eq!(shown("/kept"), json!([false, 300, 300, "read and write", 1]));
    // The listeners are as many as the peers, and nothing has accepted the connections.
    let sockets = list(&descriptors["sockets"]);
    let tcp = |state: &str| {
        sockets
            .iter()
            .filter(|group| group["protocol"] == "TCP" && group["state"] == state)
            .collect::<Vec<_>>()
    };
    let counts: Vec<_> = tcp("established").iter().map(|group| (&group["count"], &group["peer"])).collect();
    let [(first, to_first), (second, to_second)] = counts[..] else { panic!("two peers: {sockets:?}") };
    assert_eq!((first, second), (&50.into(), &3.into()));
    for (peer, queue) in [(to_first, 50), (to_second, 3)] {
        let listener =
            tcp("listening").into_iter().find(|group| group["local"] == *peer).expect("it listens");
        assert_eq!(listener["accept_queue"], queue, "{listener}");
    }

    let resources = report.data("Resources", "resources");
    assert_eq!(list(&resources["notes"]).len(), 0, "{resources}");
    assert_eq!(resources["open_descriptors"], entries);
    // The main thread and those of gmr.
    assert!(resources["threads"].as_u64() >= Some(4), "{resources}");
    let limit = named(list(&resources["limits"]), "open files");
    assert_eq!((&limit["soft"], &limit["unit"]), (&200.into(), &"files".into()));
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("it runs");
    let seen = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let seen: u64 = seen.expect("it is there").parse().expect("a number");
    let memory = |field: &str| resources["memory"][field].as_u64().expect("a number");
    assert!(memory("peak_resident_bytes") <= seen * 1024, "{resources}");
    assert!(memory("resident_bytes") <= memory("peak_resident_bytes"), "{resources}");
    assert!(memory("anonymous_bytes") > 0 && memory("file_bytes") > 0, "{resources}");
    assert!(resources["usage"]["voluntary_switches"].as_u64() > Some(0), "{resources}");

    let variables = list(&report.data("Environment", "environment")["variables"]);
    let value = |name: &str| text(&named(variables, name)["value"]).to_owned();
    assert_eq!((value("SHOP_PASSWORD").as_str(), value("SHOP_MODE").as_str()), ("***", "fast"));

    let package = report.package();
    let command: Vec<&str> = list(&package["command"]).iter().map(text).collect();
    assert_eq!(command[1..], ["facts", "--password=***", "--mode=fast"]);
    let directory = std::env::current_dir().expect("a directory");
    assert_eq!(text(&package["working_directory"]), directory.to_str().expect("it is text"));
    let of_kernel =
        |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).expect("it is there");
    assert_eq!(text(&package["host"]), of_kernel("hostname").trim_end());
    assert_eq!(text(&package["kernel"]), of_kernel("osrelease").trim_end());
    assert_eq!(package["revision"], "4f2c1e9");
    assert!(list(&package["gmr_features"]).contains(&"json".into()), "{package}");
    assert_eq!(list(&package["kubernetes"]).len(), 0, "{package}");

    let process = &list(&report.data("Processes", "processes")["processes"])[0];
    assert!(process["resident_bytes"].as_u64() > Some(1 << 20), "{process}");
    assert!(process["cpu_user_ms"].is_u64() && process["cpu_system_ms"].is_u64(), "{process}");
    assert!(program.end().0.success());
}

#[test]
fn a_program_without_such_facts_has_none_of_them() {
    let mut program = Program::start(program!("ordinary"));
    let report = report_of(&mut program);
    let descriptors = report.data("Descriptors", "descriptors");
    let is_tcp = |group: &Value| group["protocol"] == "TCP";
    assert!(!list(&descriptors["sockets"]).iter().any(is_tcp), "{descriptors}");
    assert!(list(&descriptors["files"]).iter().all(|file| file["deleted"] == false), "{descriptors}");
    // Its standard files. It may have inherited others.
    assert!(named(list(&descriptors["kinds"]), "pipe")["count"].as_u64() >= Some(3), "{descriptors}");
    let modules = list(&report.data("Modules", "modules")["modules"]);
    assert!(modules.iter().all(|module| module["state"] == "in_place"), "{modules:?}");
    assert!(program.end().0.success());
}

#[test]
fn a_process_with_very_many_descriptors_gets_its_report() {
    let mut command = Command::new(program!("ordinary"));
    command.arg("many");
    let mut program = match Program::try_start(command) {
        Ok(program) => program,
        Err(skipped) => return eprintln!("{skipped}"),
    };
    let report = report_of(&mut program);
    let descriptors = report.data("Descriptors", "descriptors");
    assert_eq!(descriptors["read"], 10_000, "{descriptors}");
    // Kernels before 6.2 do not count them.
    let count = descriptors["open"].as_u64();
    assert!(count.is_none_or(|count| (20_000..21_000).contains(&count)), "{count:?}");
    let [note] = list(&descriptors["notes"]) else { panic!("one note: {descriptors}") };
    assert_eq!(note, "only the lowest 10000 descriptors were read");
    assert!(program.end().0.success());
}

#[test]
fn a_module_whose_file_is_gone_or_another_one_is_marked() {
    let folder = Folder::new("modules");
    let path = folder.0.join("ordinary");
    if let Err(error) = std::fs::hard_link(program!("ordinary"), &path) {
        std::fs::copy(program!("ordinary"), &path).unwrap_or_else(|_| panic!("no program: {error}"));
    }
    let mut program = Program::start(&path);
    let state = |report: &Report| {
        let modules = list(&report.data("Modules", "modules")["modules"]);
        let own =
            modules.iter().find(|module| text(&module["path"]).contains("/ordinary")).expect("it is loaded");
        assert!(own["build_id"].is_string(), "{own}");
        text(&own["state"]).to_owned()
    };
    assert_eq!(state(&report_of(&mut program)), "in_place");
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(state(&report_of(&mut program)), "deleted");
    std::fs::write(&path, "another one").expect("a file");
    assert_eq!(state(&report_of(&mut program)), "replaced");
    assert!(program.end().0.success());
}

/// The titles of a report of a program that was started with these sections.
fn titles(sections: &str) -> (Vec<String>, Option<String>) {
    let mut command = Command::new(program!("ordinary"));
    command.env("GMR_SECTIONS", sections);
    let mut program = Program::start_with(command);
    program.signal(Signal::USR1);
    let line = program.next_error_line();
    let (warning, report) = if line.starts_with("gmr: ") {
        (Some(line), program.next_report())
    } else {
        (None, Report::parse(&line))
    };
    (report.titles().into_iter().map(str::to_owned).collect(), warning)
}

#[test]
fn the_operator_chooses_sections() {
    let all = [
        "Package",
        "Resources",
        "Threads",
        "Green Threads",
        "Processes",
        "Descriptors",
        "Modules",
        "Environment",
        "Configuration",
    ];
    assert_eq!(titles(""), (all.map(str::to_owned).to_vec(), None));
    assert_eq!(titles("-all, +Green_Threads, threads").0, ["Threads", "Green Threads"]);
    assert_eq!(titles("-all,configuration").0, ["Configuration"]);
    assert_eq!(titles("-all").0, Vec::<String>::new());
    let (shown, warning) = titles("-modles, -environment");
    assert!(shown.contains(&"Modules".to_owned()) && !shown.contains(&"Environment".to_owned()), "{shown:?}");
    let warning = warning.expect("a warning");
    assert!(warning.starts_with("gmr: warning: GMR_SECTIONS: unknown section `modles`; "), "{warning}");
}
