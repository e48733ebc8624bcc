//! The examples that are cheap to run, besides the demo: their reports show what the guides say.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, Thread, list, text};
use crate::tools;

/// The thread with this name, if it waits in one of these calls and its stack has this function.
fn waits<'a>(report: &'a Report, name: &str, calls: &[&str], function: &str) -> Option<Thread<'a>> {
    report.threads().into_iter().find(|thread| {
        let call = thread.waiting()["call"].as_str().unwrap_or_default();
        thread.name() == name && calls.contains(&call) && thread.stack().has(function)
    })
}

#[test]
fn a_client_that_does_not_read_is_shown_with_those_that_wait_for_it() {
    let mut server = Program::start(program!("sync-server"));
    let said = server.hear();
    let address = said.strip_prefix("listening on ").expect("an address").to_owned();
    let connect = |command: &str| {
        let mut connection = TcpStream::connect(&address).expect("it listens");
        writeln!(connection, "{command}").expect("it reads");
        connection
    };

    let slow = connect("list");
    let fills =
        |report: &Report| waits(report, "client-1", &["sendto", "write"], "sync_server::list").is_some();
    server.report_when("the first client's connection is full", fills);
    let _waiting = connect("count");
    let report = server.report_when("the second client's thread waits for the lock", |report| {
        fills(report) && waits(report, "client-2", &["futex"], "sync_server::count").is_some()
    });

    let sending = report.thread("client-1").waiting().to_string();
    let peer = slow.local_addr().expect("it is connected").to_string();
    assert!(sending.contains(&peer), "no {peer} in {sending}");
    let connections = report.data("Connections", "fields");
    assert_eq!(connections, &serde_json::json!({"accepted": 2, "open": 2}));
}

#[test]
fn a_supervisor_keeps_its_own_signals() {
    let mut supervisor = Program::start(program!("supervisor"));
    let workers = |report: &Report| -> Vec<(u64, u64)> {
        let number = |worker: &serde_json::Value, field: &str| worker[field].as_u64().expect("a number");
        let workers = list(report.data("Workers", "fields"));
        workers.iter().map(|worker| (number(worker, "pid"), number(worker, "restarts"))).collect()
    };

    // It replaces the workers, and requests no report.
    supervisor.signal(Signal::USR2);
    supervisor.signal(Signal::USR1);
    let mut report = supervisor.next_report();
    assert_eq!((report.number(), &report.trigger()["name"]), (1, &"SIGUSR1".into()), "{report}");
    wait_until("all workers are replaced", || {
        supervisor.signal(Signal::USR1);
        report = supervisor.next_report();
        let processes = list(&report.data("Processes", "processes")["processes"]);
        let pids = processes[1..].iter().map(|process| process["pid"].as_u64().expect("a number"));
        let replaced = workers(&report).into_iter().filter(|(_, restarts)| *restarts == 1);
        let (pids, replaced): (BTreeSet<_>, BTreeSet<_>) =
            (pids.collect(), replaced.map(|(pid, _)| pid).collect());
        replaced.len() == 3 && pids == replaced
    });

    supervisor.signal(Signal::TERM);
    assert!(supervisor.end().0.success());
}

#[test]
fn a_python_process_with_a_library_answers() {
    const SCRIPT: &str = "
import ctypes, sys
assert ctypes.CDLL(sys.argv[1]).gmr_test_plugin_install()
print('ready', flush=True)
sys.stdin.read()
";
    // cargo builds it next to the tests.
    let tests = std::env::current_exe().expect("it has a path");
    let mut command = Command::new(tools::python());
    command.args(["-c", SCRIPT]).arg(tests.with_file_name("libgmr_test_plugin.so"));
    let mut python = match Program::try_start(command) {
        Ok(python) => python,
        Err(said) => return tools::unusable(&format!("python3 with ctypes: {said}"), "install it"),
    };

    let report = python.report();
    assert_eq!(report.package()["product"], "plugin");
    assert!(text(&report.content("Of the plugin")["data"]).starts_with("plugin"), "{report}");
    assert!(!report.thread(main_of(&report)).stack().is_missing(), "{report}");
    assert!(python.end().0.success());
}

/// The name of the main thread, which is that of the interpreter's file.
fn main_of(report: &Report) -> &str {
    let main = report.threads().into_iter().find(|thread| thread.role() == "main");
    main.expect("a main thread").name()
}
