//! Reports over HTTP: a real server, and a client that is not ours.

use std::thread;

use gmr::Report;
use ureq::http::Response;

use crate::program::{Program, program};

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
fn a_report_comes_as_it_is_asked_for() {
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
    assert_eq!(Report::from_json(&json).expect("a report").heading.number, 2);
    let (answer, text) = admin.get("?format=text", Some("application/json"));
    assert_eq!(header(&answer, "content-type"), "text/plain; charset=utf-8", "the query is stronger");
    assert!(text.contains("end of report 3"), "{text}");
    let (_, lines) = admin.get("?format=json-lines", None);
    assert_eq!(Report::from_json_lines(&lines).expect("a report").heading.number, 4);
    let (answer, xml) = admin.get("", Some("application/xml"));
    assert!(header(&answer, "content-type") == "application/xml" && xml.starts_with("<?xml"));
}

#[test]
fn what_cannot_be_had_is_told() {
    let admin = Admin::start();
    let (answer, said) = admin.get("?format=yaml", None);
    assert_eq!(answer.status().as_u16(), 400);
    assert_eq!(said, "unknown report format `yaml`; expected one of text, json, json-lines, xml, html\n");
    let (answer, said) = admin.get("", Some("image/png"));
    assert_eq!(answer.status().as_u16(), 406);
    assert!(said.starts_with("a report is one of: text/html; charset=utf-8, "), "{said}");
}

#[test]
fn those_who_ask_while_a_report_is_made_share_the_next() {
    const CLIENTS: u64 = 24;
    let mut admin = Admin::start();
    let url = format!("{}?format=json", admin.url);
    admin.program.ask("hold");
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let ask = || Report::from_json(&get(&url, None).1).expect("a report").heading.number;
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        // All of them have come before the first report is done.
        while admin.program.ask("asked") != CLIENTS.to_string() {
            thread::yield_now();
        }
        admin.program.ask("release");
        clients.into_iter().map(|client| client.join().expect("it gets one")).collect()
    });
    numbers.sort_unstable();
    let made: u64 = admin.program.ask("made").parse().expect("a number");
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&made)));
    // One that is counted is a moment away from waiting: it may be late for the second.
    assert!(made <= 3, "{made} reports for {CLIENTS} clients: {numbers:?}");
}
