//! What is near an end, and peers that do not answer, are found; healthy programs that look alike
//! are not.

use std::process::Command;

use serde_json::Value;

use crate::apart;
use crate::cgroup::{Cgroup, Limit};
use crate::program::{Program, program};
use crate::report::{Report, list, text};

/// The codes of the rules that these programs are about.
const RULES: [&str; 12] = [
    "limit.descriptors",
    "limit.threads",
    "limit.memory",
    "limit.oom-kills",
    "limit.user-threads",
    "limit.address-space",
    "limit.stack",
    "limit.disk",
    "limit.inodes",
    "limit.ports",
    "socket.backlog",
    "peer.waits",
];

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(program!("ends"));
    command.args(arguments);
    Program::start_with(command)
}

fn found(report: &Report) -> Vec<&Value> {
    let is_of_these = |finding: &&Value| RULES.contains(&text(&finding["code"]));
    report.findings().iter().filter(is_of_these).collect()
}

#[test]
fn threads_that_run_out_are_found() {
    let mut program = apart::as_nobody(program!("ends"), "threads-near");
    let report = program.report();
    let [finding] = found(&report)[..] else { panic!("{report}") };
    let said = (text(&finding["code"]), text(&finding["severity"]), text(&finding["certainty"]));
    assert_eq!(said, ("limit.user-threads", "info", "certain"), "{finding}");
    assert!(text(&finding["message"]).contains("112 together"), "{finding}");
    let report = apart::as_nobody(program!("ends"), "threads-few").report();
    assert_eq!(found(&report), Vec::<&Value>::new(), "{report}");
    // There is no limit for root.
    if rustix::process::geteuid().is_root() {
        nothing(&["threads-near"]);
    }
}

/// Starts the program in this mode, and returns the one finding that it is to have.
fn only(arguments: &[&str], code: &str, severity: &str) -> (Report, Value) {
    let mut program = start(arguments);
    let report = program.report();
    let found: Vec<Value> = found(&report).into_iter().cloned().collect();
    let [finding] = &found[..] else { panic!("{arguments:?}: {found:?}\n{report}") };
    assert_eq!((text(&finding["code"]), text(&finding["severity"])), (code, severity), "{finding}");
    assert_eq!(finding["certainty"], "certain", "{finding}");
    assert!(program.end().0.success());
    let finding = finding.clone();
    (report, finding)
}

fn nothing(arguments: &[&str]) {
    let mut program = start(arguments);
    for _ in 0..3 {
        let report = program.report();
        assert_eq!(found(&report), Vec::<&Value>::new(), "{arguments:?}\n{report}");
    }
    assert!(program.end().0.success());
}

const fn threads_at_most(limit: &'static [(&'static str, &'static str)]) -> Limit {
    Limit { controller: "pids", first: limit, second: limit }
}

/// Half a gigabyte.
const MEMORY: Limit = Limit {
    controller: "memory",
    first: &[("memory.limit_in_bytes", "536870912")],
    second: &[("memory.max", "536870912")],
};

#[test]
fn what_a_cgroup_has_nearly_used_up_is_found() {
    const FEW: Limit = threads_at_most(&[("pids.max", "112")]);
    const ENOUGH: Limit = threads_at_most(&[("pids.max", "224")]);
    for (limit, mode, expected) in [
        (&FEW, "threads-few", Some(("limit.threads", "warning"))),
        (&ENOUGH, "threads-few", None),
        (&MEMORY, "memory-near", Some(("limit.memory", "warning"))),
        (&MEMORY, "memory-killed", Some(("limit.oom-kills", "info"))),
        (&MEMORY, "memory-few", None),
    ] {
        let cgroup = match Cgroup::new(limit) {
            Ok(cgroup) => cgroup,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let mut command = cgroup.command(program!("ends"));
        command.arg(mode);
        let mut program = Program::start_with(command);
        has_only(&mut program, expected, "the cgroup /");
        assert!(program.end().0.success());
    }
}

/// A cgroup's processor time in periods of ten milliseconds: a hundred of them take a second.
const fn processor_time(
    first: &'static [(&'static str, &'static str)],
    second: &'static [(&'static str, &'static str)],
) -> Limit {
    Limit { controller: "cpu", first, second }
}

#[test]
fn threads_that_a_cgroup_has_stopped_are_found() {
    const PERIOD: (&str, &str) = ("cpu.cfs_period_us", "10000");
    /// Half a processor, for a thread that computes all the time.
    const HALF: Limit = processor_time(&[PERIOD, ("cpu.cfs_quota_us", "5000")], &[("cpu.max", "5000 10000")]);
    /// As many as a thousand, of which the same thread uses one.
    const ENOUGH: Limit =
        processor_time(&[PERIOD, ("cpu.cfs_quota_us", "10000000")], &[("cpu.max", "10000000 10000")]);
    /// In so many periods, the rule must have found what it is about.
    const PERIODS: u64 = 200;
    for (limit, is_stopped) in [(&HALF, true), (&ENOUGH, false)] {
        let cgroup = match Cgroup::new(limit) {
            Ok(cgroup) => cgroup,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let mut command = cgroup.command(program!("spinning"));
        command.arg("compute");
        let mut program = Program::start_with(command);
        let report = program.report_when("enough periods", |report| {
            let cgroups = list(&report.data("Resources", "resources")["cgroups"]);
            cgroups.iter().any(|cgroup| cgroup["cpu_periods"].as_u64() >= Some(PERIODS))
        });
        let found: Vec<&Value> =
            report.findings().iter().filter(|finding| finding["code"] == "limit.cpu").collect();
        match found[..] {
            [] => assert!(!is_stopped, "{report}"),
            [finding] => {
                assert!(is_stopped, "{finding}");
                assert_eq!(
                    (&finding["severity"], &finding["certainty"]),
                    (&"info".into(), &"certain".into())
                );
                assert!(text(&finding["message"]).starts_with("the cgroup /"), "{finding}");
            }
            _ => panic!("{report}"),
        }
        assert!(program.end().0.success());
    }
}

#[test]
fn descriptors_that_run_out_are_found() {
    let (report, _) = only(&["descriptors-all"], "limit.descriptors", "error");
    let descriptors = report.data("Descriptors", "descriptors");
    assert_eq!((&descriptors["open"], &descriptors["limit"]), (&256.into(), &256.into()));
    assert_eq!(descriptors["highest"], 255);
    only(&["descriptors-near"], "limit.descriptors", "warning");
    nothing(&["descriptors-few"]);
    nothing(&["descriptors-lowered"]);
}

#[test]
fn addresses_that_run_out_are_found() {
    only(&["addresses-near"], "limit.address-space", "warning");
    nothing(&["addresses-few"]);
}

#[test]
fn a_main_stack_that_runs_out_is_found() {
    only(&["stack-near"], "limit.stack", "info");
    nothing(&["stack-few"]);
}

/// Whether the kernel says how many connections may wait.
fn has_backlogs() -> bool {
    let mut program = start(&["backlog-space"]);
    let report = program.report();
    let sockets = list(&report.data("Descriptors", "descriptors")["sockets"]);
    sockets.iter().any(|group| group["state"] == "listening" && group["accept_queue_max"] == 16)
}

#[test]
fn a_queue_of_connections_that_is_full_is_found() {
    nothing(&["backlog-space"]);
    if !has_backlogs() {
        return eprintln!("skipped: the kernel does not list sockets on request");
    }
    let (report, finding) = only(&["backlog-full"], "socket.backlog", "error");
    let sockets = list(&report.data("Descriptors", "descriptors")["sockets"]);
    let listener = sockets.iter().find(|group| group["state"] == "listening").expect("it listens");
    assert_eq!((&listener["accept_queue"], &listener["accept_queue_max"]), (&17.into(), &16.into()));
    assert!(text(&finding["message"]).contains(text(&listener["local"])), "{finding}");
}

#[test]
fn a_peer_that_several_threads_wait_for_is_found() {
    let (report, finding) = only(&["peer"], "peer.waits", "info");
    let threads = report.threads();
    let names = list(&finding["threads"]).iter().map(|tid| {
        let thread = threads.iter().find(|thread| *tid == thread.tid());
        thread.expect("it is listed").name().to_owned()
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["client 0", "client 1", "client 2", "client 3", "client 4"]);
    let waiting = report.thread("client 0").waiting();
    let peer =
        text(&waiting["target"]).split_once(" -> ").and_then(|(_, peer)| peer.split_once(',')).unwrap().0;
    assert!(text(&finding["message"]).contains(peer), "{finding}");
    let evidence = list(&finding["evidence"]).iter().map(|evidence| text(&evidence["message"]));
    assert!(evidence.into_iter().any(|said| said == "at the other end: this process"), "{finding}");
    nothing(&["peers"]);
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn the_process_that_the_holder_of_a_lock_waits_for_is_named() {
    for (mode, ending) in
        [("serves-tcp", "(ends)"), ("serves-nobody", "(ends), which has not accepted the connection")]
    {
        let mut program = start(&[mode]);
        let server = format!("the other end of this connection: process {} {ending}", program.first_child());
        program.report_when(&server, |report| {
            let waits = report.findings().iter().filter(|finding| finding["code"] == "thread.lock-wait");
            let mut evidence = waits.flat_map(|finding| list(&finding["evidence"]));
            evidence.any(|evidence| {
                evidence["message"] == server && evidence["thread"] == report.thread("holder").tid()
            })
        });
        assert!(program.end().0.success());
    }
}

/// Only on request does the kernel say which Unix sockets are connected.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn the_process_at_the_other_end_of_a_unix_socket_is_named_or_none_is() {
    let mut program = start(&["serves-unix"]);
    let server = format!("the other end of this connection: process {} (ends)", program.first_child());
    let said = |report: &Report| -> Vec<String> {
        let waits = report.findings().iter().filter(|finding| finding["code"] == "thread.lock-wait");
        let evidence = waits.flat_map(|finding| list(&finding["evidence"]));
        evidence.map(|evidence| text(&evidence["message"]).to_owned()).collect()
    };
    let holds = "holds it and waits in recv";
    let report = program.report_when("what the holder waits for", |report| {
        said(report).iter().any(|said| said.contains(holds))
    });
    let mut named = said(&report).into_iter().filter(|said| said.starts_with("the other end"));
    assert!(named.all(|said| said == server), "{report}");
}

/// The program, or `None` if the test cannot be made here.
fn or_skipped(started: Result<Program, String>) -> Option<Program> {
    started.inspect_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// Starts the program, and checks that it has the one finding, or none.
fn has_only(program: &mut Program, expected: Option<(&str, &str)>, about: &str) {
    let report = program.report();
    match (&found(&report)[..], expected) {
        ([], None) => {}
        ([finding], Some((code, severity))) => {
            assert_eq!((text(&finding["code"]), text(&finding["severity"])), (code, severity), "{finding}");
            assert!(text(&finding["message"]).contains(about), "{finding}");
        }
        (found, _) => panic!("{expected:?} {found:?}\n{report}"),
    }
}

#[test]
fn a_full_disk_is_found() {
    let Some(mut program) = or_skipped(apart::on_small_disk(program!("ends"), "disk-full")) else { return };
    let report = program.report();
    let files = list(&report.data("Descriptors", "descriptors")["files"]);
    if files.iter().all(|file| file["disk_bytes"].is_null()) {
        return eprintln!("skipped: system calls are filtered here");
    }
    has_only(&mut program, Some(("limit.disk", "warning")), "/mnt/full.log");
    assert!(program.end().0.success());
    let mut program =
        apart::on_small_disk(program!("ends"), "disk-space").expect("the first one was started");
    has_only(&mut program, None, "");
    assert!(program.end().0.success());
}

#[test]
fn a_disk_without_inodes_is_found() {
    let Some(mut program) = or_skipped(apart::on_small_disk(program!("ends"), "inodes-none")) else { return };
    let report = program.report();
    let files = list(&report.data("Descriptors", "descriptors")["files"]);
    if files.iter().all(|file| file["disk_bytes"].is_null()) {
        return eprintln!("skipped: system calls are filtered here");
    }
    has_only(&mut program, Some(("limit.inodes", "warning")), "/mnt/small.log: its 64 inodes");
    assert!(program.end().0.success());
    let mut program =
        apart::on_small_disk(program!("ends"), "inodes-left").expect("the first one was started");
    has_only(&mut program, None, "");
    assert!(program.end().0.success());
}

#[test]
fn local_ports_that_run_out_are_found() {
    let with_ports = |mode: &str| apart::in_namespaces(program!("ends"), &["--net"], "", &[mode]);
    let Some(mut program) = or_skipped(with_ports("ports-near")) else { return };
    has_only(&mut program, Some(("limit.ports", "warning")), "60 of at most 64 ");
    let report = program.report();
    let ports = &report.data("Descriptors", "descriptors")["ephemeral_ports"];
    assert_eq!(
        (&ports["first"], &ports["last"], &ports["available"]),
        (&40_000.into(), &40_063.into(), &64.into())
    );
    let [peer] = list(&ports["peers"]) else { panic!("{ports}") };
    assert_eq!(
        (&peer["used"], &peer["own"], &peer["closed"]),
        (&60.into(), &60.into(), &0.into()),
        "{ports}"
    );
    assert_eq!((text(&peer["local"]), text(&peer["peer"])), ("127.0.0.1", "127.0.0.1:4000"), "{ports}");
    let mut program = with_ports("ports-all").expect("the first one was started");
    has_only(&mut program, Some(("limit.ports", "error")), "127.0.0.1 to 127.0.0.1:4000");
    let mut program = with_ports("ports-of-two").expect("the first one was started");
    has_only(&mut program, None, "");
}
