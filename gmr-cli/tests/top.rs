//! `gmr top`: what it says of programs whose proportions are known, and of those that end or wait.

use std::collections::HashSet;
use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::profile::Profile;
use crate::service::{Service, folder, gmr, gmr_command};

/// Microseconds by stack, from lines as other tools read them.
fn folded(text: &str) -> Vec<(Vec<&str>, u64)> {
    text.lines()
        .map(|line| {
            let (stack, time) = line.rsplit_once(' ').expect("a time");
            (stack.split(';').collect(), time.parse().expect("microseconds"))
        })
        .collect()
}

/// The time of the stacks that have this function.
fn time_in(stacks: &[(Vec<&str>, u64)], function: &str) -> u64 {
    let has = |stack: &&(Vec<&str>, u64)| stack.0.iter().any(|name| name.contains(function));
    stacks.iter().filter(has).map(|(_, time)| time).sum()
}

fn top(pid: u32, arguments: &[&str]) -> crate::service::Done {
    gmr(&[&["top", &pid.to_string()], arguments].concat())
}

/// How many looks a report of the command is of.
fn looks(text: &str) -> u64 {
    let before = text.split(" looks").next().expect("how many");
    before.rsplit(' ').next().expect("a number").replace(',', "").parse().expect("a number")
}

/// The functions in which the service spends its processor time when it is told to `share`, and their
/// parts of it in percent.
const SHARES: [(&str, f64); 3] = [("half_of_the_time", 50.0), ("three_tenths", 30.0), ("a_fifth", 20.0)];

/// The part of the sum in percent.
#[allow(clippy::cast_precision_loss, reason = "they are seconds")]
fn percent<const N: usize>(parts: [u64; N]) -> [f64; N] {
    let all: u64 = parts.iter().sum();
    parts.map(|part| 100.0 * part as f64 / all as f64)
}

/// The shares of the functions in profiles of this process, from as many samples at least.
///
/// Of `n` samples, a share of `p` has a standard deviation of `sqrt(p * (1 - p) / n)`. With 4,500, three
/// points are four of that for 50 %, and more for the others: less than one test in 15,000 fails by
/// chance. The service spends slices within a millisecond, which is less than the time between two
/// looks, and that varies: so samples do not depend on each other.
fn shares(pid: u32, samples: u64) -> [f64; 3] {
    let (mut times, mut seen) = ([0; 3], 0);
    while seen < samples {
        let path = folder("top-share").join("profile.pb.gz");
        let arguments =
            ["--seconds", "6", "--hz", "100", "--format", "pprof", "-o", &path.display().to_string()];
        assert_eq!(top(pid, &arguments).well(), "");
        let profile = Profile::read(&fs::read(&path).expect("a file"), "cpu", "thread");
        for (stack, [count, time]) in profile.stacks() {
            for ((part, _), sum) in SHARES.iter().zip(&mut times) {
                if stack.iter().any(|name| name.contains(part)) {
                    *sum += time;
                    seen += count;
                }
            }
        }
    }
    percent(times)
}

fn is_within_three_points(shares: [f64; 3]) -> bool {
    shares.into_iter().zip(SHARES).all(|(share, (_, expected))| (share - expected).abs() < 3.0)
}

#[test]
#[ignore = "it needs minutes where the processors have other work"]
fn known_proportions_are_found_within_three_points() {
    let mut service = Service::start();
    service.tell("share");
    let shares = shares(service.pid(), 4_500);
    assert!(is_within_three_points(shares), "{shares:?}");
}

/// The shares by perf, from ten seconds. `None` if it may not look, which is said.
fn shares_by_perf(pid: u32) -> Option<[f64; 3]> {
    let data = folder("top-perf").join("perf.data").display().to_string();
    let perf = |arguments: &[&str]| Command::new("perf").args(arguments).stdin(Stdio::null()).output();
    let pid = pid.to_string();
    let record = ["record", "-q", "-e", "cpu-clock", "-F", "99", "--call-graph", "dwarf", "-o", &data];
    let recorded = match perf(&[&record[..], &["-p", &pid, "--", "sleep", "10"]].concat()) {
        Ok(recorded) if recorded.status.success() => recorded,
        Ok(refused) => {
            println!("perf may not: {}", String::from_utf8_lossy(&refused.stderr).trim());
            return None;
        }
        Err(error) => {
            println!("no perf: {error}");
            return None;
        }
    };
    let script = perf(&["script", "-i", &data, "-F", "tid,ip,sym"]).expect("it was there");
    assert!(script.status.success(), "{recorded:?}: {script:?}");
    let text = String::from_utf8_lossy(&script.stdout);
    let mut counts = [0; 3];
    for stack in text.split("\n\n") {
        for ((part, _), count) in SHARES.iter().zip(&mut counts) {
            *count += u64::from(stack.contains(part));
        }
    }
    Some(percent(counts))
}

/// Processes that leave no processor idle, until they are dropped.
struct Busy(Vec<Child>);

impl Busy {
    fn start(count: usize) -> Self {
        let start = |_| Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("it starts");
        Self((0..count).map(start).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// `cargo test --release -p gmr-cli --test command -- --ignored --nocapture top::beside_perf`: the rows
/// of the table in `docs/gmr.md`.
#[test]
#[ignore = "a comparison, which takes minutes"]
fn beside_perf_shares_are_within_three_points_also_if_the_machine_is_busy() {
    let mut service = Service::start();
    service.tell("share");
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut all = Vec::new();
    println!("busy processes, by: {:?}", SHARES.map(|(part, _)| part));
    for busy in [0, 2 * processors] {
        let others = Busy::start(busy);
        let ours = shares(service.pid(), 4_500);
        println!("{busy}, gmr top: {ours:.1?}");
        if let Some(theirs) = shares_by_perf(service.pid()) {
            println!("{busy}, perf: {theirs:.1?}");
        }
        all.push(ours);
        drop(others);
    }
    assert!(all.iter().all(|shares| is_within_three_points(*shares)), "{all:?}");
}

#[test]
fn a_program_that_waits_uses_no_processor_and_waits_where_it_waits() {
    let mut service = Service::start();
    service.tell_all(&["pay", "pay", "pay", "ship"]);
    let pid = service.pid();
    let ran = top(pid, &["--seconds", "1", "--format", "folded"]).well();
    // It may have been on its way to where it waits. The main thread is woken by the signal of a look,
    // and the next one can see it on its way back.
    let is_expected = |line: &str| line.starts_with("[ran ") || line.contains("service::service");
    assert!(ran.lines().all(is_expected), "{ran}");
    let waits = top(pid, &["--seconds", "1", "--format", "folded", "--off-cpu"]).well();
    let stacks = folded(&waits);
    let (pay, ship) = (time_in(&stacks, "::pay"), time_in(&stacks, "::ship"));
    assert!(ship > 100_000 && pay.abs_diff(3 * ship) < ship / 10, "{waits}");
    assert!(stacks.iter().filter(|(stack, _)| stack.iter().any(|name| name.contains("::pay"))).all(
        |(stack, _)| {
            stack.last() == Some(&"[futex]") && stack.iter().any(|name| name.contains("waiting"))
        }
    ));
    let text = top(pid, &["--seconds", "1"]).well();
    for expected in ["threads at a time in [futex]", " % of it without running", "::pay"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(looks(&text) > 2, "{text}");
}

#[test]
fn graphs_are_whole_documents_that_do_nothing() {
    let mut service = Service::start();
    service.tell("pay");
    let pid = service.pid();
    let svg = top(pid, &["--seconds", "1", "--format", "svg", "--off-cpu"]).well();
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let titles = document.descendants().filter(|node| node.has_tag_name("title"));
    let titles: Vec<&str> = titles.filter_map(|node| node.text()).collect();
    assert!(titles.iter().any(|title| title.contains("::pay")), "{titles:?}");
    let page = top(pid, &["--seconds", "1", "--format", "html", "--off-cpu"]).well();
    assert!(page.contains("content=\"default-src 'none'\"") && !page.contains("<script"), "{page}");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn a_process_that_ends_leaves_what_was_seen() {
    let service = Service::start();
    let pid = service.pid();
    let arguments = ["top", &pid.to_string(), "--seconds", "600"];
    let command =
        gmr_command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for_looks(pid);
    drop(service);
    let done = command.wait_with_output().expect("it ends");
    let errors = String::from_utf8(done.stderr).expect("text");
    assert_eq!(done.status.code(), Some(1), "{errors}");
    assert!(errors.contains("has ended after") && errors.contains("what was seen"), "{errors}");
    assert!(String::from_utf8(done.stdout).expect("text").contains("Where threads waited"));
    let errors = top(pid, &[]).failed(1);
    assert!(errors.contains("there is no process"), "{errors}");
}

#[test]
fn an_interrupt_ends_it_early() {
    let service = Service::start();
    let arguments = ["top", &service.pid().to_string(), "--seconds", "600"];
    let command =
        gmr_command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for_looks(service.pid());
    kill_process(Pid::from_child(&command), Signal::INT).expect("it lives");
    let done = command.wait_with_output().expect("it ends");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
    assert!(String::from_utf8(done.stdout).expect("text").contains("Where threads waited"));
}

/// Waits until the command has had some looks.
fn wait_for_looks(pid: u32) {
    let mut files = HashSet::new();
    while files.len() < 3 {
        for task in fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten() {
            let descriptors = fs::read_dir(task.path().join("fd")).into_iter().flatten().flatten();
            let links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
            files.extend(links.filter(|link| link.to_string_lossy().contains("gmr-report")));
        }
    }
}

#[test]
fn tasks_are_profiled_by_where_they_wait() {
    let mut service = Service::start();
    service.tell("task");
    let text = top(service.pid(), &["--seconds", "1", "--tasks", "--format", "folded"]).well();
    let stacks = folded(&text);
    assert!(stacks.iter().all(|(stack, _)| stack[0] == "orders"), "{text}");
    assert!(time_in(&stacks, "[waiting]") > 0, "{text}");
}

#[test]
fn wrong_arguments_are_refused_before_the_process_is_asked() {
    for arguments in [&["--hz", "0"][..], &["--hz", "101"], &["--seconds", "0"], &["--format", "gif"]] {
        top(1, arguments).failed(2);
    }
    let path = crate::service::file(&folder("top-there"), "there", "");
    assert!(top(1, &["-o", &path]).failed(1).contains("exists"));
}

#[test]
fn the_name_of_the_file_says_the_format() {
    let (service, folder) = (Service::start(), folder("top-named"));
    for (name, begins) in [("a.svg", "<svg"), ("a.html", "<!DOCTYPE html>"), ("a.txt", "gmr top: ")] {
        let path = folder.join(name).display().to_string();
        top(service.pid(), &["--seconds", "1", "--hz", "1", "-o", &path]).well();
        let written = fs::read_to_string(&path).expect("a file");
        assert!(written.starts_with(begins), "{name}: {written}");
    }
}
