//! Reports over HTTP: a real server, and a client that is not ours.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use rustix::net::sockopt::set_socket_recv_buffer_size;
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

    /// A server that has nothing but hyper.
    fn start_without_framework() -> Self {
        let mut program = Program::start(program!("hyper-admin"));
        let said = program.hear();
        let url = said.strip_prefix("reports: ").expect("its URL").to_owned();
        Self { program, url }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").and_then(|url| url.strip_suffix("/gmr")).expect("its URL")
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
    let policy = header(&answer, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; form-action 'none'; base-uri 'none';"), "{policy}");
    assert_eq!(policy.matches("'sha256-").count(), page.matches("<script>").count(), "{policy}");
    assert!(!policy.contains("script-src 'unsafe-inline'"), "{policy}");
    assert_eq!(header(&answer, "content-length"), page.len().to_string());

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

/// The answer to a request with these headers, read to its end.
fn ask(admin: &Admin, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let address = admin.address();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let host = if headers.iter().any(|(name, _)| *name == "host") { "" } else { "host: localhost\r\n" };
    write!(stream, "{method} {path} HTTP/1.1\r\n{host}").expect("it reads");
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n").expect("it reads");
    }
    stream.write_all(b"connection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let answer = answer.to_ascii_lowercase();
    for header in
        ["x-content-type-options: nosniff", "cache-control: no-store", "form-action 'none'; base-uri 'none'"]
    {
        assert!(answer.contains(header), "no {header} in {answer}");
    }
    (status.expect("a status"), answer)
}

#[test]
fn a_page_of_another_origin_triggers_no_report() {
    let mut admin = Admin::start();
    for (headers, status, remedy) in [
        (&[("host", "evil.example:9901")][..], 421, "admin::new().host(\"evil.example\")"),
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403, "enter its address"),
        (&[("sec-fetch-site", "same-site")], 403, "enter its address"),
        (&[("origin", "http://evil.example")], 403, "another origin"),
        (&[("origin", "null")], 403, "another origin"),
    ] {
        let (answered, said) = ask(&admin, "GET", "/gmr", headers);
        assert!(answered == status && said.contains(remedy), "{headers:?}: {said}");
    }
    let (answered, said) = ask(&admin, "OPTIONS", "/gmr", &[]);
    assert!(answered == 405 && said.contains("allow: get, head"), "{said}");
    let (answered, said) = ask(&admin, "HEAD", "/gmr", &[]);
    assert!(answered == 200 && said.contains("content-type: text/html"), "{said}");
    assert!(said.ends_with("\r\n\r\n"), "no body: {said}");
    assert_eq!(admin.program.ask("made"), "0", "none of them has made a report");
    let (answered, _) = ask(&admin, "GET", "/gmr/?format=text", &[("sec-fetch-site", "none")]);
    assert_eq!((answered, admin.program.ask("made")), (200, "1".to_owned()), "with a slash, too");
}

#[test]
fn a_service_says_who_may_have_a_report() {
    let mut admin = Admin::start();
    let token = ("authorization", "Bearer t0ken");
    let host = ("host", "admin.example");
    let (answered, said) = ask(&admin, "GET", "/guarded", &[host]);
    assert!(answered == 401 && said.contains("www-authenticate: bearer"), "{said}");
    for wrong in [("authorization", "Bearer token"), ("x-gmr-token", "token")] {
        let (answered, again) = ask(&admin, "GET", "/guarded", &[host, wrong]);
        assert_eq!((answered, undated(&again)), (401, undated(&said)), "{wrong:?}");
    }
    assert_eq!(ask(&admin, "GET", "/guarded", &[host, token, ("x-stranger", "1")]).0, 403);
    assert_eq!(admin.program.ask("made"), "0");
    assert_eq!(ask(&admin, "GET", "/guarded?format=text", &[host, token]).0, 200);
    let same = ("x-gmr-token", "t0ken");
    assert_eq!(ask(&admin, "GET", "/guarded", &[host, same, ("x-stranger", "1")]).0, 403);
    let (answered, said) = ask(&admin, "GET", "/guarded?format=text", &[host, same]);
    assert_eq!(answered, 429, "{said}");
    // How long making the first report took is not known: the rest of the hour is at most an hour.
    let wait = said.lines().find_map(|line| line.strip_prefix("retry-after: "));
    let wait: u64 = wait.and_then(|wait| wait.trim().parse().ok()).expect("a number of seconds");
    assert!((1..=3600).contains(&wait), "{said}");
    assert!(said.contains(&format!("in {wait} s")), "{said}");
    assert_eq!(admin.program.ask("made"), "1");
}

/// An answer without the time of it.
fn undated(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !line.starts_with("date: ")).collect()
}

/// A browser asks before it sends a header of a page's own to another origin, and sends it only with
/// permission.
#[test]
fn a_page_of_another_origin_may_not_send_a_token() {
    let mut admin = Admin::start();
    let asks = [
        ("origin", "http://evil.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-gmr-token"),
    ];
    let of_browser =
        [asks[0], asks[1], asks[2], ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")];
    for (path, headers, status) in [
        ("/gmr", &asks[..], 403),
        ("/guarded", &asks[..], 403),
        ("/guarded", &of_browser[..], 403),
        ("/guarded", &asks[1..], 401),
        ("/gmr", &asks[1..], 405),
    ] {
        let (answered, said) = ask(&admin, "OPTIONS", path, headers);
        assert!(answered == status && !said.contains("access-control-allow"), "{path} {headers:?}: {said}");
    }
    // If it is sent all the same, the token opens nothing.
    let sent = ("x-gmr-token", "t0ken");
    for other in [asks[0], ("sec-fetch-site", "cross-site"), ("host", "evil.example")] {
        let (answered, said) = ask(&admin, "GET", "/guarded", &[sent, other]);
        assert!([403, 421].contains(&answered) && !said.contains("access-control-allow"), "{said}");
    }
    assert_eq!(admin.program.ask("made"), "0");
    // The same without a page.
    assert_eq!(ask(&admin, "GET", "/guarded?format=text", &[sent]).0, 200);
}

#[test]
fn a_report_says_which_request_it_is_for() {
    let admin = Admin::start();
    let (_, json) = admin.get("/?format=json", None);
    let trigger = Report::parse(&json).trigger().clone();
    assert_eq!((&trigger["kind"], &trigger["coalesced"]), (&"http".into(), &0.into()), "{trigger}");
    assert!(trigger["path"].as_str().is_some_and(|path| path.starts_with("/gmr")), "{trigger}");
    assert!(trigger["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{trigger}");
}

#[test]
fn a_server_without_a_framework_serves_reports() {
    let admin = Admin::start_without_framework();
    let (answer, page) = admin.get("", None);
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert_eq!(header(&answer, "content-length"), page.len().to_string());
    let (_, json) = admin.get("/?format=json", None);
    let report = Report::parse(&json);
    let trigger = report.trigger();
    assert_eq!((report.number(), &trigger["path"]), (2, &"/gmr/".into()), "{trigger}");
    assert!(trigger["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{trigger}");

    let (answered, said) = ask(&admin, "HEAD", "/gmr", &[]);
    assert!(answered == 200 && said.ends_with("\r\n\r\n"), "{said}");
    assert!(!said.contains("content-length: 0"), "that of the report is not known: {said}");
    for path in ["/", "/favicon.ico", "/gmr/other", "/gmrs"] {
        assert_eq!(ask(&admin, "GET", path, &[]).0, 404, "{path}");
    }
    assert_eq!(ask(&admin, "GET", "/gmr", &[("host", "evil.example")]).0, 421);
    assert_eq!(ask(&admin, "POST", "/gmr", &[("content-length", "0")]).0, 405);
    let (_, json) = admin.get("?format=json", None);
    assert_eq!(Report::parse(&json).number(), 3, "none of them has made a report");
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

/// How many clients do not read.
const STALLED: u64 = 50;

/// More than what is kept of 50 reports of 4 MB: 64 MiB, the newest, a quarter of a megabyte for
/// each connection, and what one report takes to make.
const KEPT: u64 = 128 << 20;

/// A client that requests a report in JSON. It waits for the answer, and reads nothing of it. Its
/// kernel keeps little of it either: on some machines, the buffer would grow until all is in there.
fn stalled(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    set_socket_recv_buffer_size(&stream, 64 << 10).expect("the buffer is limited");
    let request = b"GET /gmr?format=json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).expect("it reads");
    assert_ne!(stream.peek(&mut [0]).expect("it answers"), 0);
    stream
}

/// What a client gets in the end, without the headers, and how much it should be.
fn rest(mut stream: TcpStream) -> (String, usize) {
    let mut answer = Vec::new();
    // An answer that is cut short may end with an error.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("the headers");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    (body.to_owned(), length.and_then(|length| length.parse().ok()).expect("a length"))
}

/// The memory of a process in bytes, without that of files.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.expect("a number") << 10
}

#[test]
fn clients_that_do_not_read_cost_little_and_nothing_when_they_are_gone() {
    let mut admin = Admin::start();
    admin.program.ask("load");
    let (pid, address) = (admin.program.pid(), admin.address().to_owned());
    // The first report has costs of its own.
    let (body, length) = rest(stalled(&address));
    assert!(body.len() == length && length > 4_000_000, "{} of {length}", body.len());
    let before = resident(pid);

    let together: Vec<TcpStream> = thread::scope(|scope| {
        let clients: Vec<_> = (0..STALLED).map(|_| scope.spawn(|| stalled(&address))).collect();
        clients.into_iter().map(|client| client.join().expect("it is answered")).collect()
    });
    let made: u64 = admin.program.ask("made").parse().expect("a number");
    let grown = resident(pid).saturating_sub(before);
    println!("{made} reports for all clients together: {} MiB", grown >> 20);
    assert!(grown < KEPT, "{grown} bytes for {made} reports");
    drop(together);

    let mut one_by_one: Vec<TcpStream> = (0..STALLED).map(|_| stalled(&address)).collect();
    let grown = resident(pid).saturating_sub(before);
    println!("{STALLED} reports for as many clients: {} MiB", grown >> 20);
    assert!(grown < KEPT, "{grown} bytes for {STALLED} reports");
    // Who came last has all, and who came first an error instead of the rest.
    let (body, length) = rest(one_by_one.pop().expect("there are some"));
    assert!(body.len() == length && Report::parse(&body).number() > STALLED, "{} of {length}", body.len());
    let (body, length) = rest(one_by_one.remove(0));
    assert!(body.len() < length, "{} of {length}", body.len());

    drop(one_by_one);
    let returned = || resident(pid).saturating_sub(before) < KEPT * 3 / 8;
    wait_until("the memory is free again", returned);
    println!("and {} MiB when they are gone", resident(pid).saturating_sub(before) >> 20);
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
