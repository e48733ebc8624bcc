//! `gmr collect`, of real processes that serve their reports, and of servers with planted faults.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::response::Redirect;
use axum::routing::get;
use gmr_axum::Admin;
use serde_json::Value;

use crate::service::{Done, Service, file, folder, gmr, gmr_command, gmr_on};

/// Serves reports of this process at any path, at `/guarded` for a token only, and at `/moved` by a
/// redirect. Returns the port.
pub(crate) fn serve() -> u16 {
    let (sender, port) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            sender.send(listener.local_addr().expect("bound").port()).expect("it waits");
            let reports = Admin::new();
            let router = Router::new()
                .nest_service("/guarded", gmr_axum::router_with(Admin::new().bearer_token("sesame")))
                .route("/moved", get(|| async { Redirect::permanent("/here") }))
                .fallback(move |request: Request| reports.answer(request));
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    port.recv().expect("it starts")
}

/// A process that serves its reports, and where.
fn serving() -> (Service, String) {
    let mut service = Service::start();
    let port = service.ask("serve");
    let url = format!("http://127.0.0.1:{port}");
    // The first report reads debug information, and takes longer than the others.
    gmr(&["collect", &url, "--timeout", "5m", "--deadline", "5m"]).well();
    (service, url)
}

/// A server that treats its connections like this, once the request has come. Counts them.
fn server(answer: impl Fn(&TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/gmr", listener.local_addr().expect("bound"));
    let (answer, asked) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                if lines.take_while(|line| !line.is_empty()).count() > 0 {
                    answer(&stream);
                }
            });
        }
    });
    (url, asked)
}

/// A server that answers with this text.
fn saying(text: &'static str) -> String {
    server(move |mut stream| drop(stream.write_all(text.as_bytes()))).0
}

/// The ids of the processes, of which there is a line each.
fn pids(lines: &str) -> Vec<u32> {
    let reports = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a report on a line"));
    let pids = reports.map(|report| report["heading"]["pid"].as_u64().expect("an id").try_into());
    pids.collect::<Result<_, _>>().expect("an id")
}

/// What it has printed, if some reports are there, and others are not.
#[track_caller]
fn partial(done: Done) -> (String, String) {
    assert_eq!(done.code, Some(4), "{}", done.errors);
    (done.output, done.errors)
}

#[test]
fn each_process_answers_with_its_report() {
    let (one, two) = (serving(), serving());
    let urls = [format!("{}/gmr", one.1), format!("{}/moved", two.1)];
    let lines = gmr(&["collect", &urls[0], &urls[1]]).well();
    let mut found = pids(&lines);
    found.sort_unstable();
    let mut expected = [one.0.pid(), two.0.pid()];
    expected.sort_unstable();
    assert_eq!(found, expected);
    // The other subcommands read it.
    assert_eq!(gmr_on(&["view", "-", "--list"], &lines).well().lines().count(), 2);
    let folder = folder("collect");
    let merged = gmr(&["merge", &file(&folder, "all", lines), "--json"]).json();
    assert_eq!(merged["processes"], 2);
}

#[test]
fn a_report_is_written_to_a_new_file_that_only_its_user_can_read() {
    let (service, url) = serving();
    let kept = folder("collect-folder").join("new");
    let path = kept.display().to_string();
    let urls: Vec<String> = (0..12).map(|index| format!("{url}/{index}")).collect();
    let arguments: Vec<&str> =
        ["collect", "-o", &path].into_iter().chain(urls.iter().map(String::as_str)).collect();
    assert_eq!(gmr(&arguments).well(), "");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&kept).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_eq!(pids(&fs::read_to_string(&path).expect("text")), [service.pid()]);
        names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let port = url.rsplit_once(':').expect("a port").1;
    for (name, place) in names.iter().zip(1..) {
        assert!(name.ends_with(&format!("Z-{place:02}-127.0.0.1-{port}.json")), "{name}");
    }
    assert_eq!(names.len(), 12);
}

#[test]
fn what_is_in_the_place_of_a_file_is_not_written_to() {
    let (_service, url) = serving();
    let folder = folder("collect-planted");
    let victim = folder.join("victim");
    fs::write(&victim, "precious").expect("written");
    let kept = folder.join("kept");
    fs::create_dir(&kept).expect("a folder");
    let port = url.rsplit_once(':').expect("a port").1;
    // For each second in which the command may begin.
    for second in 0..60 {
        let time = humantime_seconds(SystemTime::now() + Duration::from_secs(second));
        let _ = symlink(&victim, kept.join(format!("{time}-1-127.0.0.1-{port}.json")));
    }
    let errors = gmr(&["collect", &url, "-o", &kept.display().to_string()]).failed(1);
    assert!(errors.contains("could not write") && errors.contains("exists"), "{errors}");
    assert_eq!(fs::read_to_string(&victim).expect("text"), "precious");
    // A file is no folder.
    let errors = gmr(&["collect", &url, "-o", &victim.display().to_string()]).failed(1);
    assert!(errors.contains("could not use the folder"), "{errors}");
}

/// As in the names of files.
fn humantime_seconds(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "")
}

#[test]
fn whoever_fails_is_named_with_the_reason_and_holds_up_nobody() {
    let (service, healthy) = serving();
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/gmr", listener.local_addr().expect("bound"))
    };
    let (silent, _) = server(|_| thread::sleep(Duration::from_secs(60)));
    // Each byte comes soon after the last, so that no single wait is long.
    let (slow, _) = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b"{").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let (endless, _) = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 1 << 10]).is_ok() {}
    });
    let (headers, _) = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: and more\r\n").is_ok() {}
    });
    let half = saying("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"schema_version\":\"1.3\"");
    let cut = saying("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"schema_version\":\"1.3\"");
    let page = saying("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<!DOCTYPE html>");
    let other = saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let binary = {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe";
        server(move |mut stream| drop(stream.write_all(text))).0
    };
    let closed = saying("");
    let noise = saying("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    let control = saying("HTTP/1.1 500 No\r\nContent-Length: 15\r\n\r\n\x1b[2Jno memory\r\n");
    let looping = saying("HTTP/1.1 302 Found\r\nLocation: /gmr\r\nContent-Length: 0\r\n\r\n");
    let guarded = format!("{healthy}/guarded");
    let cases = [
        (refused, "refused"),
        (silent, "no complete answer within 5.0 s"),
        (slow, "no complete answer within 5.0 s"),
        (endless, "more than 1 MiB"),
        (headers, ""),
        (half, ""),
        (cut, "not a report as JSON"),
        (page, "not a report as JSON"),
        (other, "not a report as JSON"),
        (binary, "not text"),
        (closed, ""),
        (noise, ""),
        (control, "HTTP 500: \\u{1b}[2Jno memory"),
        (looping, "redirects more than 3 times"),
        (guarded, "HTTP 401: "),
    ];
    let list = cases.each_ref().map(|(url, _)| &**url).join("\n");
    let since = Instant::now();
    let arguments = ["collect", &healthy, "--from", "-", "--timeout", "5s", "--max-mib", "1"];
    let (lines, errors) = partial(gmr_on(&arguments, &list));
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert_eq!(pids(&lines), [service.pid()]);
    for (url, said) in &cases {
        let line = errors.lines().find(|line| line.starts_with(&format!("gmr: left out: {url}: ")));
        let line = line.unwrap_or_else(|| panic!("{url} is not named: {errors}"));
        assert!(line.contains(said), "{said}: {line}");
    }
    assert!(errors.ends_with("gmr: 1 of 16 endpoints have answered with a report\n"), "{errors}");
    assert!(!errors.contains(|c: char| c.is_control() && c != '\n'), "{errors:?}");
}

#[test]
fn without_any_report_the_command_fails() {
    let closed = saying("");
    let errors = gmr(&["collect", &closed]).failed(1);
    assert!(errors.ends_with("gmr: no report has come, of 1 endpoint\n"), "{errors}");
    let errors = gmr_on(&["collect", "--from", "-"], "# none\n\n").failed(1);
    assert!(errors.contains("no URL"), "{errors}");
}

#[test]
fn the_token_comes_from_a_file_or_the_environment_and_goes_to_nobody_else() {
    let (service, url) = serving();
    let folder = folder("collect-token");
    let guarded = format!("{url}/guarded");
    let token = file(&folder, "token", "sesame\n");
    assert_eq!(pids(&gmr(&["collect", &guarded, "--token-file", &token]).well()), [service.pid()]);
    let by_variable = |token: &str, url: &str| {
        let output =
            gmr_command(&["collect", url]).env("GMR_COLLECT_TOKEN", token).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    assert_eq!(by_variable("sesame", &guarded), (Some(0), String::new()));
    let (code, errors) = by_variable("wrong-secret", &guarded);
    assert!(code == Some(1) && errors.contains("HTTP 401") && !errors.contains("wrong-secret"), "{errors}");
    for token in ["", "a\nb", "a b", "sésame"] {
        let path = file(&folder, "broken", token);
        let errors = gmr(&["collect", &guarded, "--token-file", &path]).failed(1);
        assert!(errors.contains("the token is not one"), "{errors}");
    }
    let missing = folder.join("none").display().to_string();
    assert!(gmr(&["collect", &guarded, "--token-file", &missing]).failed(1).contains("could not read"));
    // A host that redirects to another one.
    let (thief, asked) = server(|mut stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}")));
    let to = thief.clone();
    let (redirecting, _) = server(move |mut stream| {
        let _ = write!(stream, "HTTP/1.1 307 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    });
    let errors = gmr(&["collect", &redirecting, "--token-file", &token]).failed(1);
    assert!(errors.contains("is not followed there") && errors.contains(&thief), "{errors}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the other host was asked");
    // Nor does a proxy get it.
    let mut command = gmr_command(&["collect", &guarded, "--token-file", &token]);
    command.env("http_proxy", &thief).env("HTTP_PROXY", &thief).env("ALL_PROXY", &thief);
    assert!(command.output().expect("it runs").status.success());
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the proxy was asked");
}

#[test]
fn a_list_is_asked_once_each_and_not_at_all_if_a_line_is_wrong() {
    let (service, url) = serving();
    let port = url.rsplit_once(':').expect("a port").1;
    let list = format!("# shop\n{url}/a\n\n  {url}/a  \n{url}/b\n");
    let folder = folder("collect-list");
    let path = file(&folder, "list", &list);
    let dns = format!("127.0.0.1:{port}/a");
    let lines = gmr(&["collect", "--from", &path, &format!("{url}/b"), "--dns", &dns]).well();
    assert_eq!(pids(&lines), [service.pid(); 2]);
    // A name without an address is left out like a process that does not answer.
    let (lines, errors) = partial(gmr(&["collect", "--dns", &dns, "--dns", "nobody.invalid:1"]));
    assert_eq!(pids(&lines), [service.pid()]);
    assert!(errors.contains("left out: nobody.invalid:1: could not find its addresses"), "{errors}");
    let (counting, asked) = server(|_| ());
    let path = file(&folder, "wrong", format!("{counting}\nhttps://shop/gmr\n"));
    let errors = gmr(&["collect", "--from", &path]).failed(1);
    assert!(errors.contains("line 2: https://shop/gmr: ") && errors.contains("no TLS"), "{errors}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "somebody was asked");
}

#[test]
fn the_deadline_is_for_all() {
    let (service, healthy) = serving();
    let (silent, asked) = server(|_| thread::sleep(Duration::from_secs(60)));
    let silent: Vec<String> = (0..20).map(|index| format!("{silent}/{index}")).collect();
    let options = ["collect", &healthy, "--concurrency", "4", "--timeout", "3s", "--deadline", "7s"];
    let arguments: Vec<&str> = options.into_iter().chain(silent.iter().map(String::as_str)).collect();
    let since = Instant::now();
    let (lines, errors) = partial(gmr(&arguments));
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert_eq!(pids(&lines), [service.pid()]);
    assert!(errors.contains("not asked: the deadline of 7.0 s for all had passed"), "{errors}");
    assert_eq!(errors.matches("left out: ").count(), 20, "{errors}");
    assert!(asked.load(Ordering::SeqCst) < 20);
}

#[test]
fn a_reader_that_stops_reading_ends_it() {
    let (_service, url) = serving();
    let urls: Vec<String> = (0..200).map(|index| format!("{url}/{index}")).collect();
    let mut command = gmr_command(&["collect", "--concurrency", "1"]);
    let mut child = command.args(&urls).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(pids(&line).len(), 1);
}

#[test]
fn many_are_asked_or_a_part_of_them() {
    let (service, url) = serving();
    let list = (0..150).map(|index| format!("{url}/{index}")).collect::<Vec<_>>().join("\n");
    // Reports of debug builds take long on a machine that has other work.
    let arguments = ["collect", "--from", "-", "--timeout", "5m", "--deadline", "5m"];
    assert_eq!(pids(&gmr_on(&arguments, &list).well()), vec![service.pid(); 150]);
    let some = gmr_on(&[&arguments[..], &["--at-most", "10%"]].concat(), &list);
    assert_eq!((some.code, pids(&some.output).len()), (Some(0), 15));
    assert_eq!(some.errors, "gmr: asks 15 of 150 endpoints, chosen at random\n");
}

/// `cargo test --release -p gmr-cli --test command -- --ignored --nocapture collect::`
#[test]
#[ignore = "a measurement of the release build"]
fn a_thousand_endpoints_take_at_most_ten_seconds() {
    let (service, url) = serving();
    let list = (0..1_000).map(|index| format!("{url}/{index}")).collect::<Vec<_>>().join("\n");
    let since = Instant::now();
    let lines = gmr_on(&["collect", "--from", "-"], &list).well();
    let took = since.elapsed();
    assert_eq!(pids(&lines), vec![service.pid(); 1_000]);
    eprintln!("1,000 endpoints: {took:?}, {} bytes", lines.len());
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn other_programs_have_the_subcommands_for_tables_and_for_pods() {
    let folder = folder("external");
    // A copy, because the other programs may be beside the original.
    let gmr = folder.join("gmr");
    fs::copy(env!("CARGO_BIN_EXE_gmr"), &gmr).expect("copied");
    let run = |subcommands: &[&str], path: &str| {
        let arguments = ["app=x", "--help", "--no-pager", "-", "$(touch x)"];
        let mut command = Command::new(&gmr);
        let output = command.args(subcommands).args(arguments).env("PATH", path).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let others = folder.join("others");
    fs::create_dir(&others).expect("a folder");
    for (program, subcommands, passed) in
        [("gmr-fleet", &["fleet"][..], "fleet\n"), ("gmr-pods", &["collect", "pods"], "")]
    {
        let (code, _, errors) = run(subcommands, "/nowhere");
        let said = format!("`gmr {}` is in a program of its own", subcommands.join(" "));
        assert!(code == Some(1) && errors.contains(&said), "{errors}");
        assert!(errors.contains(&format!("cargo install {program}")), "{errors}");
        for (place, code) in [(&others, 7), (&folder, 8)] {
            let file = place.join(program);
            let script = format!("#!/bin/sh\nfor argument; do echo \"$argument\"; done\nexit {code}\n");
            fs::write(&file, script).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("made executable");
            let path = others.display().to_string();
            let said = format!("{passed}app=x\n--help\n--no-pager\n-\n$(touch x)\n");
            // The one beside it comes first.
            assert_eq!(run(subcommands, &path), (Some(code), said, String::new()));
        }
    }
    // After a URL, it is one more that can't be asked.
    let errors = gmr_on(&["collect", "http://shop/gmr", "pods"], "").failed(1);
    assert!(errors.contains("pods: expected a URL"), "{errors}");
}
