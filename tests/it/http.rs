//! Reports over HTTP: a real server, and a client that is not ours.

use std::ffi::OsString;
use std::thread;

use ureq::http::Response;

use crate::program::{Program, program, wait_until};
use crate::report::Report;
use crate::text::Text;
use crate::views::together;

struct Admin {
    program: Program,
    url: String,
}

impl Admin {
    fn start() -> Self {
        let mut program = Program::start(program!("admin"));
        let url = format!("http://127.0.0.1:{}/gmr", program.ask("port"));
        Self { program, url }
    }

    fn get(&self, query: &str, accept: Option<&str>) -> (Response<()>, String) {
        get(&format!("{}{query}", self.url), accept)
    }
}

fn get(url: &str, accept: Option<&str>) -> (Response<()>, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).accept("").build().into();
    let request = agent.get(url);
    let request = match accept {
        Some(accept) => request.header("accept", accept),
        None => request,
    };
    let (parts, mut body) = request.call().expect("it answers").into_parts();
    (Response::from_parts(parts, ()), body.read_to_string().expect("text"))
}

fn header<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[test]
fn a_report_is_in_the_format_that_is_asked_for() {
    let admin = Admin::start();
    let (answer, page) = admin.get("", None);
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(header(&answer, "transfer-encoding"), "chunked", "it is streamed");

    let (answer, json) = admin.get("", Some("application/json"));
    assert_eq!(header(&answer, "content-type"), "application/json");
    assert_eq!(Report::parse(&json).number(), 2);
    let (answer, text) = admin.get("?format=text", Some("application/json"));
    assert_eq!(header(&answer, "content-type"), "text/plain; charset=utf-8", "the query decides");
    assert_eq!(Text::parse(&text).number(), 3);
    let (_, lines) = admin.get("?format=json-lines", None);
    assert_eq!(together(&lines).number(), 4);
    let (answer, xml) = admin.get("", Some("application/xml"));
    assert!(header(&answer, "content-type") == "application/xml" && xml.starts_with("<?xml"));
}

#[test]
fn what_cannot_be_had_is_refused_with_a_reason() {
    let admin = Admin::start();
    let (answer, said) = admin.get("?format=yaml", None);
    assert_eq!(answer.status().as_u16(), 400);
    for name in ["`yaml`", "text", "json", "json-lines", "xml", "html"] {
        assert!(said.contains(name), "no {name} in {said}");
    }
    let (answer, said) = admin.get("", Some("image/png"));
    assert_eq!(answer.status().as_u16(), 406);
    for name in ["text/html", "text/plain", "application/json", "application/xml"] {
        assert!(said.contains(name), "no {name} in {said}");
    }
}

const CLIENTS: u64 = 24;

#[test]
fn requests_during_a_report_share_the_next() {
    // A report can be held up for no longer than its deadline. If the machine is too busy for all
    // clients to arrive by then, the test retries with a new process.
    wait_until("all clients arrive while the first report is made", clients_share_two_reports);
}

/// Returns false if the first report did not wait for all clients.
fn clients_share_two_reports() -> bool {
    let mut admin = Admin::start();
    let url = format!("{}?format=json", admin.url);
    admin.program.ask("hold");
    let reports: Vec<Report> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| Report::parse(&get(&url, None).1))).collect();
        wait_until("all clients have come", || admin.program.ask("asked") == CLIENTS.to_string());
        // Those that have been counted are about to wait; when all threads rest, they wait.
        wait_until("the program rests", || is_at_rest(admin.program.pid()));
        admin.program.ask("release");
        clients.into_iter().map(|client| client.join().expect("it gets one")).collect()
    });
    if reports.iter().any(|report| report.content("Held")["kind"] != "fields") {
        return false;
    }
    let made: u64 = admin.program.ask("made").parse().expect("a number");
    let numbers: Vec<u64> = reports.iter().map(Report::number).collect();
    assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&1), Some(&made)), "{numbers:?}");
    assert!(made <= 2, "{made} reports for {CLIENTS} clients: {numbers:?}");
    true
}

/// Whether no thread of a process has run between two looks at all of them.
fn is_at_rest(pid: u32) -> bool {
    let first = threads_asleep(pid);
    first.is_some() && first == threads_asleep(pid)
}

/// For each thread, how often it has given up its processor; none if one is not asleep.
fn threads_asleep(pid: u32) -> Option<Vec<(OsString, String)>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    let switches = tasks.map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = |key: &str| status.lines().find(|line| line.starts_with(key));
        let asleep = line("State:")?.contains("sleeping");
        asleep.then(|| (task.file_name(), line("voluntary_ctxt_switches:").unwrap_or_default().to_owned()))
    });
    switches.collect()
}

#[test]
fn an_async_capture_does_not_block_its_worker() {
    let mut admin = Admin::start();
    assert_eq!(admin.program.ask("capture"), "Some(Fields(Unsigned(1)))");
}
