//! `gmr report`: the report of a process comes here, whoever may ask it gets it, and whoever may
//! not leaves it untouched. Nothing of it stays in the process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use rustix::process::Signal;
use serde_json::Value;

use crate::service::{Done, Service, file, folder, gmr, gmr_command};

fn report(pid: u32, arguments: &[&str]) -> Done {
    gmr(&[&["report", &pid.to_string()], arguments].concat())
}

/// The report as the process has sent it.
fn json(pid: u32) -> Report {
    Report::from_json(&report(pid, &["--format", "json"]).well()).expect("a report")
}

fn titles(report: &Report) -> Vec<&str> {
    report.sections.iter().map(|section| &*section.title).collect()
}

fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect()
}

/// Waits until nothing is left of the command's requests.
fn leaves_nothing(pid: u32) {
    while threads(pid).iter().any(|name| name.trim_end() == "gmr attach") {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number of the next report that is written to standard error, and how many signals it is for.
fn next_plain(service: &mut Service) -> (u64, u64) {
    let report: Value = serde_json::from_str(&service.report()).expect("JSON");
    let of = |value: &Value| value.as_u64().expect("a number");
    (of(&report["heading"]["number"]), of(&report["heading"]["trigger"]["coalesced"]))
}

/// A service of its own name, so that others are not found by it.
fn named(name: &str) -> Service {
    let mut command = Service::command(&[]);
    command.env("SHOP_NAME", name).stderr(Stdio::piped());
    Service::start_with(command).expect("it starts")
}

fn wait_for_state(pid: u32, state: char) {
    while !fs::read_to_string(format!("/proc/{pid}/stat"))
        .expect("it is there")
        .contains(&format!(") {state} "))
    {
        std::thread::yield_now();
    }
}

/// In the namespace of the command, process 1 is the command itself, and `/proc` has another one.
#[test]
fn behind_the_proc_of_another_pid_namespace_nothing_is_sent() {
    let gmr = env!("CARGO_BIN_EXE_gmr");
    let arguments = ["--user", "--map-root-user", "--pid", "--fork", gmr, "report", "1"];
    let output = Command::new("unshare").args(arguments).output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unshare failed") {
        return eprintln!("skipped: no namespace can be made here: {error}");
    }
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("another PID namespace") && error.contains("Nothing was sent"), "{error}");
}

#[test]
fn a_report_comes_here_and_an_ordinary_signals_report_goes_to_standard_error() {
    let mut service = Service::start();
    let text = report(service.pid(), &[]).well();
    for expected in
        ["Guru Meditation", "SIGUSR2", "(gmr)", "requested by `gmr report`", "Findings", "Threads"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.ends_with("====\n"), "{text}");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("it lives").flatten();
    for to in descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()) {
        assert!(!to.to_string_lossy().contains("gmr-report"), "the program has {}", to.display());
    }
    assert_eq!(next_plain(&mut service), (2, 0));
    let last = json(service.pid());
    assert_eq!((last.heading.number, last.heading.pid), (3, service.pid()));
    assert_eq!(next_plain(&mut service), (4, 0));
    leaves_nothing(service.pid());
    assert!(service.lives());
}

#[test]
fn a_report_is_not_held_back_by_the_interval_and_does_not_begin_one() {
    let mut command = Service::command(&[]);
    command.env("GMR_MIN_INTERVAL", "1h").stderr(Stdio::piped());
    let mut service = Service::start_with(command).expect("it starts");
    assert_eq!(json(service.pid()).heading.number, 1);
    assert_eq!(next_plain(&mut service), (2, 0));
    assert_eq!(json(service.pid()).heading.number, 3);
}

#[test]
fn other_formats_and_sections_are_made_of_the_same_report() {
    let mut service = Service::start();
    service.tell("task");
    let pid = service.pid();
    for (format, begin) in [("html", "<!DOCTYPE html"), ("xml", "<?xml"), ("json-lines", "{\"gmr_report\"")] {
        let shown = report(pid, &["--format", format]).well();
        assert!(shown.starts_with(begin), "{format}: {shown}");
    }
    let all = json(pid);
    assert!(titles(&all).contains(&"Green Threads") && titles(&all).contains(&"Modules"));
    let some = report(pid, &["--sections", "threads,green-threads", "--format", "json"]).well();
    assert_eq!(titles(&Report::from_json(&some).expect("a report")), ["Threads", "Green Threads"]);
    let text = report(pid, &["--sections", "package"]).well();
    assert!(text.contains(" Package ") && !text.contains(" Threads "), "{text}");
    let errors = report(pid, &["--sections", "thread"]).failed(1);
    assert!(errors.contains("no section `thread`") && errors.contains("Package"), "{errors}");
    for format in ["text", "json"] {
        let without = report(pid, &["--no-tasks", "--format", format]).well();
        assert!(!without.contains("Green Threads") && without.contains("Threads"), "{without}");
    }
}

#[test]
fn a_file_is_new_and_its_users_only() {
    let mut service = Service::start();
    let folder = folder("report");
    let path = folder.join("report.html").display().to_string();
    assert_eq!(report(service.pid(), &["-f", "html", "-o", &path]).well(), "");
    assert!(fs::read_to_string(&path).expect("a file").starts_with("<!DOCTYPE html"));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let errors = report(service.pid(), &["-o", &path]).failed(1);
    assert!(errors.contains("exists"), "{errors}");
    // A link that somebody has put there.
    let (link, planted) = (folder.join("link").display().to_string(), folder.join("planted"));
    std::os::unix::fs::symlink(&planted, &link).expect("a link");
    report(service.pid(), &["-o", &link]).failed(1);
    assert!(!planted.exists());
    // It was not asked for these.
    assert_eq!(next_plain(&mut service), (2, 0));
    // A file without a report does not stay.
    let none = folder.join("none").display().to_string();
    report(service.pid(), &["-o", &none, "--sections", "none"]).failed(1);
    assert!(!fs::exists(&none).expect("it can be looked for"));
    let mut command = gmr_command(&["report", &service.pid().to_string(), "--browser"]);
    let shown = folder.join("shown");
    fs::create_dir(&shown).expect("a folder");
    command.env("BROWSER", format!("mv -t {}", shown.display())).env("TMPDIR", &folder);
    assert!(command.output().expect("it starts").status.success());
    let page = loop {
        if let Some(Ok(entry)) = fs::read_dir(&shown).expect("a folder").next() {
            break fs::read_to_string(entry.path()).expect("a page");
        }
        std::thread::yield_now();
    };
    assert!(page.starts_with("<!DOCTYPE html") && page.trim_end().ends_with("</html>"), "{page}");
}

#[test]
fn a_process_is_found_by_its_service_or_its_executable() {
    let name = format!("till {}", std::process::id());
    let one = named(&name);
    assert!(gmr(&["report", &name]).well().contains(&name));
    let other = named(&name);
    let errors = gmr(&["report", &name]).failed(1);
    for pid in [one.pid(), other.pid()] {
        assert!(errors.contains(&format!("{pid} ({name}, 1.0")), "{errors}");
    }
    // All services run this program.
    let executable = std::env::current_exe().expect("a path");
    let executable = executable.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(gmr(&["report", &executable]).failed(1).contains(&one.pid().to_string()));
    let errors = gmr(&["report", "gmr-no-such-service"]).failed(1);
    assert!(errors.contains("no process with gmr"), "{errors}");
    for id in ["0", "4294967295", "99999999999"] {
        gmr(&["report", id]).failed(1);
    }
}

#[test]
fn what_cannot_answer_is_not_asked() {
    let mut other = Command::new("sleep").arg("600").spawn().expect("it starts");
    let errors = report(other.id(), &[]).failed(1);
    assert!(errors.contains("no mark of gmr") && errors.contains("Nothing was sent"), "{errors}");
    let lives = other.try_wait().expect("its state").is_none();
    other.kill().expect("it lives");
    wait_for_state(other.id(), 'Z');
    let errors = report(other.id(), &[]).failed(1);
    assert!(errors.contains("has ended"), "{errors}");
    other.wait().expect("it ends");
    assert!(lives && report(other.id(), &[]).failed(1).contains("there is no process"));
    let mut service = Service::start();
    service.signal(Signal::STOP);
    wait_for_state(service.pid(), 'T');
    let errors = report(service.pid(), &[]).failed(1);
    assert!(errors.contains("is stopped") && errors.contains("kill -CONT"), "{errors}");
    service.signal(Signal::CONT);
    assert_eq!(next_plain(&mut service), (1, 0));
    service.tell("uninstall");
    assert!(report(service.pid(), &[]).failed(1).contains("no mark of gmr"));
    let mut command = Service::command(&[]);
    command.env("GMR_SIGNAL", "none").stderr(Stdio::null());
    let silent = Service::start_with(command).expect("it starts");
    assert!(report(silent.pid(), &[]).failed(1).contains("handles no report signal"));
}

/// How another user runs something. `None` if the tests do not run as root.
fn as_nobody() -> Option<[&'static str; 6]> {
    let others = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut tried = Command::new(others[0]);
    tried.args(&others[1..]).arg(env!("CARGO_BIN_EXE_gmr")).arg("--version").stdout(Stdio::null());
    (rustix::process::getuid().is_root() && tried.status().is_ok_and(|status| status.success()))
        .then_some(others)
}

#[test]
fn root_may_ask_another_users_process_and_another_user_may_not_ask_roots() {
    let Some(others) = as_nobody() else { return eprintln!("skipped: it needs root") };
    let mut command = Service::command(&others);
    command.stderr(Stdio::piped());
    let mut theirs = Service::start_with(command).expect("it starts");
    assert_eq!(json(theirs.pid()).heading.number, 1);
    assert!(report(theirs.pid(), &[]).well().contains("(gmr)"));
    assert_eq!(next_plain(&mut theirs), (3, 0));
    let ask = |pid: u32, uid: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", env!("CARGO_BIN_EXE_gmr"), "report"]);
        let done = command.arg(pid.to_string()).output().expect("it starts");
        (
            done.status.code(),
            String::from_utf8(done.stdout).expect("text"),
            String::from_utf8(done.stderr).expect("text"),
        )
    };
    let mut roots = Service::start();
    for (service, uid) in [(&mut roots, "65534"), (&mut theirs, "65533")] {
        let (code, shown, errors) = ask(service.pid(), uid);
        assert_eq!((code, &*shown), (Some(1), ""), "{errors}");
        assert!(
            errors.contains("belongs to another user") && errors.contains("Nothing was sent"),
            "{errors}"
        );
    }
    assert_eq!((next_plain(&mut roots), next_plain(&mut theirs)), ((1, 0), (4, 0)));
    let (code, shown, errors) = ask(theirs.pid(), "65534");
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.contains("Guru Meditation"), "{shown}");
}

#[test]
fn a_reporter_that_is_stuck_is_said_within_five_seconds() {
    let mut service = Service::start();
    service.tell("wedge");
    let started = Instant::now();
    let errors = report(service.pid(), &[]).failed(1);
    assert!(errors.contains("has taken the signal") && errors.contains("gmr doctor"), "{errors}");
    // On a machine with other work, too.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // What gmr has for such a process.
    assert!((0..3).map(|_| service.error_line()).any(|line| line.contains("emergency report")));
    assert!(service.lives());
}

#[test]
fn a_process_that_can_make_no_file_writes_the_report_to_its_standard_error_and_says_why() {
    let mut service = Service::start();
    service.tell("no files");
    let mut command = gmr_command(&["report", &service.pid().to_string()]);
    let command = command.stderr(Stdio::piped()).spawn().expect("it starts");
    // It is longer than a pipe, and must be read while it is written.
    let written: Value = serde_json::from_str(&service.error_line()).expect("JSON");
    assert_eq!(written["heading"]["number"], 1);
    let notes = written["heading"]["notes"].to_string();
    assert!(notes.contains("could not make a memory file"), "{notes}");
    let done = command.wait_with_output().expect("it ends");
    let errors = String::from_utf8(done.stderr).expect("text");
    assert_eq!(done.status.code(), Some(1), "{errors}");
    assert!(errors.contains("has taken the signal") && errors.contains("standard error"), "{errors}");
    // The command has sent the request again meanwhile.
    assert_eq!(next_plain(&mut service), (2, 0));
}

#[test]
fn a_process_in_a_container_that_cannot_write_anything_has_a_report() {
    let Some(mut service) = Service::start_in_container() else { return };
    let inside = service.child();
    let text = report(inside, &[]).well();
    assert!(text.contains("requested by `gmr report`") && text.ends_with("====\n"), "{text}");
    let report = json(inside);
    assert_eq!((report.heading.number, report.heading.pid), (2, 1));
    leaves_nothing(inside);
    assert!(service.lives());
}

#[test]
fn a_command_that_goes_away_costs_the_process_nothing() {
    let mut command = Service::command(&[]);
    command.env("SHOP_SLOW", "1").stderr(Stdio::piped());
    let mut service = Service::start_with(command).expect("it starts");
    service.tell("late");
    let mut gone = gmr_command(&["report", &service.pid().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(gone.stdout.take().expect("it is piped"));
    // The heading comes before the sections.
    let mut line = String::new();
    while !line.contains("Guru Meditation") {
        line.clear();
        assert!(output.read_line(&mut line).expect("text") > 0, "it has ended");
    }
    gone.kill().and_then(|()| gone.wait()).expect("it ends");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(!rest.contains("Deliveries"), "it was too late: {rest}");
    // One that does not read is not waited for.
    let mut deaf = gmr_command(&["report", &service.pid().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    service.tell("on time");
    let report = json(service.pid());
    assert!(report.heading.number >= 2, "{}", report.heading.number);
    deaf.kill().and_then(|()| deaf.wait()).expect("it ends");
    leaves_nothing(service.pid());
    let (number, coalesced) = next_plain(&mut service);
    assert!(number > report.heading.number && coalesced == 0);
}

#[test]
fn several_at_once_get_what_each_has_asked_for() {
    let mut service = Service::start();
    let pid = service.pid().to_string();
    let formats = ["text", "json", "text", "html", "xml", "json"];
    let start = |format: &&str| {
        let mut command = gmr_command(&["report", &pid, "--format", format]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let all: Vec<_> = formats.iter().map(start).collect();
    for (command, format) in all.into_iter().zip(formats) {
        let done = command.wait_with_output().expect("it ends");
        let (shown, errors) =
            (String::from_utf8(done.stdout).expect("text"), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{format}: {errors}");
        let begin = match format {
            "json" => "{\"schema_version\"",
            "html" => "<!DOCTYPE",
            "xml" => "<?xml",
            _ => "====",
        };
        assert!(shown.trim_start().starts_with(begin), "{format}: {shown}");
    }
    assert_eq!(next_plain(&mut service).1, 0);
}

/// Prints how long it takes with 1,000 threads, and beside it how long `jcmd` takes for as many of
/// Java. `cargo test --release -p gmr-cli --test command -- --ignored --nocapture
/// report::a_thousand`
#[test]
#[ignore = "it prints figures, which need a release build and an idle machine"]
fn a_thousand_threads() {
    let mut service = Service::start();
    service.tell("crowd");
    let pid = service.pid().to_string();
    let first = timed(gmr_command(&["report", &pid]));
    println!("the first report: first line {:.1} ms, whole {:.1} ms", first[0], first[1]);
    print_figures("gmr report", || gmr_command(&["report", &pid]));
    let source = file(&folder("java"), "Crowd.java", JAVA);
    let java = Command::new("java").arg(&source).stdout(Stdio::piped()).spawn();
    let Ok(mut java) = java else { return println!("there is no java") };
    let mut output = BufReader::new(java.stdout.take().expect("it is piped"));
    let has_started = output.read_line(&mut String::new()).is_ok_and(|length| length > 0);
    let pid = java.id().to_string();
    if has_started {
        print_figures("jcmd Thread.print", || {
            let mut command = Command::new("jcmd");
            command.args([&*pid, "Thread.print"]);
            command
        });
    }
    java.kill().and_then(|()| java.wait()).expect("it ends");
}

const JAVA: &str = r#"
class Crowd {
    public static void main(String[] arguments) throws Exception {
        Object never = new Object();
        for (int number = 0; number < 1000; number++) {
            new Thread(() -> {
                synchronized (never) { try { never.wait(); } catch (InterruptedException e) { } }
            }).start();
        }
        Thread.sleep(500);
        System.out.println("ready");
        Thread.sleep(600000);
    }
}
"#;

/// Milliseconds until the first line and until the end of what a command prints.
fn timed(mut command: Command) -> [f64; 2] {
    let started = Instant::now();
    let mut command = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(command.stdout.take().expect("it is piped"));
    let mut text = String::new();
    output.read_line(&mut text).expect("text");
    let first = started.elapsed();
    output.read_to_string(&mut text).expect("text");
    assert!(command.wait().expect("it ends").success() && text.len() > 1_000, "{text}");
    [first, started.elapsed()].map(|time| time.as_secs_f64() * 1e3)
}

fn print_figures(name: &str, command: impl Fn() -> Command) {
    let times: Vec<[f64; 2]> = (0..12).map(|_| timed(command())).collect();
    for (what, index) in [("first line", 0), ("whole", 1)] {
        let mut sorted: Vec<f64> = times.iter().map(|times| times[index]).collect();
        sorted.sort_by(f64::total_cmp);
        let (median, most) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
        println!("{name}, {what}: {median:.1} ms at the median, {most:.1} at most");
    }
}
