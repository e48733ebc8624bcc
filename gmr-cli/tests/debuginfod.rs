//! `gmr symbolize --debuginfod`: against the real server, and against one that answers as it should not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::service::{Done, file, folder, gmr, gmr_command};
use crate::symbolize::{has, report_of, stacks, stripped, whole_build_id};
use crate::tools;

/// A report of a stripped executable, and its debug information in a file of its own.
struct Stripped {
    folder: PathBuf,
    report: String,
    build_id: String,
    debug: PathBuf,
}

impl Stripped {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let report = report_of(&stripped(&folder));
        let build_id = whole_build_id(&report);
        fs::create_dir(folder.join("debug")).expect("a folder");
        let debug = folder.join("debug/shop.debug");
        let this = std::env::current_exe().expect("a path");
        let status = Command::new("objcopy").arg("--only-keep-debug").args([&this, &debug]).status();
        assert!(status.expect("objcopy is where the linker is").success());
        let report = file(&folder, "report.json", report);
        Self { folder, report, build_id, debug }
    }

    /// What the same report says with the file itself.
    fn expected(&self) -> Vec<Vec<String>> {
        let debug = self.debug.display().to_string();
        let done = gmr(&["symbolize", &self.report, "-d", &debug, "-f", "json"]);
        assert_eq!(done.code, Some(0), "{}", done.errors);
        let expected = stacks(&done.output);
        assert!(has(&expected, "service::pay") && has(&expected, "service.rs"), "{expected:?}");
        expected
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// Asks a server at this URL.
    fn ask(&self, url: &str, arguments: &[&str]) -> Done {
        let all = [&["symbolize", &self.report, "--debuginfod", url, "-f", "json"], arguments].concat();
        let output =
            gmr_command(&all).env("DEBUGINFOD_CACHE_PATH", self.cache()).output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Done { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }
}

/// How a server answers the request for this path.
type Answer = Box<dyn Fn(&str, &mut TcpStream) + Send>;

/// A server of HTTP on this machine, in this process.
struct Server {
    address: SocketAddr,
    /// The paths that it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, is_over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (known, ends) = (Arc::clone(&asked), Arc::clone(&is_over));
        let serve = move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.expect("a connection");
                let path = path_of(&mut stream);
                known.lock().expect("no holder panics").push(path.clone());
                answer(&path, &mut stream);
            }
        };
        Self { address, asked, is_over, thread: Some(thread::spawn(serve)) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads a request, and returns its path.
fn path_of(stream: &mut TcpStream) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).expect("text");
    request.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Sends a part of an answer. The client can be gone.
fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// An answer with this many bytes, of which these are sent.
fn send_file(stream: &mut TcpStream, length: usize, bytes: &[u8]) {
    send(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
    send(stream, bytes);
}

/// Waits until the client has gone.
fn wait_for_end(stream: &mut TcpStream) {
    while stream.read(&mut [0]).is_ok_and(|read| read > 0) {}
}

/// Has the debug information of this build, and nothing else.
fn good(build_id: &str, debug: &Path) -> Answer {
    let (path, bytes) = (format!("/buildid/{build_id}/debuginfo"), fs::read(debug).expect("a file"));
    Box::new(move |asked, stream| {
        if asked == path {
            send_file(stream, bytes.len(), &bytes);
        } else {
            send(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    })
}

#[test]
fn a_server_has_the_debug_information_and_is_asked_once() {
    let stripped = Stripped::new("debuginfod-good");
    let expected = stripped.expected();
    let server = Server::start(good(&stripped.build_id, &stripped.debug));
    // The slash at the end is none too many.
    let done = stripped.ask(&format!("{}/", server.url()), &[]);
    assert_eq!(done.code, Some(0), "{}", done.errors);
    assert_eq!(stacks(&done.output), expected);
    // Of the C library, which is stripped as well.
    assert!(done.errors.contains(&format!("{}: it does not have it", server.url())), "{}", done.errors);
    let path = format!("/buildid/{}/debuginfo", stripped.build_id);
    let times = |asked: &[String]| asked.iter().filter(|asked| **asked == path).count();
    assert_eq!(times(&server.asked()), 1, "{:?}", server.asked());

    // It is kept where other programs keep it, and not asked for again.
    assert!(stripped.cache().join(&stripped.build_id).join("debuginfo").is_file());
    let done = stripped.ask(&server.url(), &[]);
    assert_eq!((done.code, stacks(&done.output) == expected), (Some(0), true), "{}", done.errors);
    assert_eq!(times(&server.asked()), 1, "{:?}", server.asked());
    let cache = stripped.cache().display().to_string();
    let done = gmr(&["symbolize", &stripped.report, "-d", &cache, "-f", "json"]);
    assert_eq!(stacks(&done.output), expected, "{}", done.errors);

    // Files of this machine come first, and the second server is asked for what the first one lacks.
    fs::remove_dir_all(stripped.cache()).expect("it is there");
    let debug = stripped.debug.display().to_string();
    assert_eq!(stripped.ask(&server.url(), &["-d", &debug]).code, Some(0));
    assert_eq!(times(&server.asked()), 1, "{:?}", server.asked());
    let other = Server::start(good("00", &stripped.debug));
    let done = stripped.ask(&other.url(), &["--debuginfod", &server.url()]);
    assert_eq!((done.code, stacks(&done.output) == expected), (Some(0), true), "{}", done.errors);
    assert_eq!((times(&other.asked()), times(&server.asked())), (1, 2));
}

#[test]
fn what_is_not_the_whole_file_of_the_build_is_refused() {
    let stripped = Stripped::new("debuginfod-bad");
    let whole = fs::read(&stripped.debug).expect("a file");
    let half = whole[..whole.len() / 2].to_vec();
    let (length, other) = (whole.len(), fs::read(env!("CARGO_BIN_EXE_gmr")).expect("a file"));
    let cut = half.clone();
    let faults: [(&str, Answer); 8] = [
        (
            "HTTP 500: the disk is full",
            Box::new(|_, stream| send(stream, "HTTP/1.1 500 No\r\n\r\nthe disk is full\n")),
        ),
        (
            "it redirects, and is not followed",
            Box::new(|_, stream| send(stream, "HTTP/1.1 302 Found\r\nLocation: http://[::1]:1/\r\n\r\n")),
        ),
        ("its answer is not complete", Box::new(move |_, stream| send_file(stream, length, &half))),
        (
            "something that is no whole ELF file",
            Box::new(move |_, stream| {
                send(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                send(stream, &cut);
            }),
        ),
        ("a file with another build-id", Box::new(move |_, stream| send_file(stream, other.len(), &other))),
        ("something that is no whole ELF file", Box::new(|_, stream| send_file(stream, 4, b"none"))),
        ("no complete answer within 1.0 s", Box::new(|_, stream| wait_for_end(stream))),
        (
            "no complete answer within 1.0 s; 1.0 KiB had come",
            Box::new(|_, stream| {
                send_file(stream, 1 << 20, &[0; 1024]);
                wait_for_end(stream);
            }),
        ),
    ];
    for (reason, answer) in faults {
        let server = Server::start(answer);
        let errors = stripped.ask(&server.url(), &["--timeout", "1s"]).failed(1);
        let of_server = format!("{}: ", server.url());
        assert!(errors.contains(&of_server) && errors.contains(reason), "{reason}: {errors}");
        assert!(errors.contains(&stripped.build_id) && errors.contains("left as they are"), "{errors}");
        // Who does not answer is not waited for again.
        if reason.starts_with("no complete") {
            assert_eq!(server.asked().len(), 1, "{reason}: {:?}", server.asked());
            assert!(errors.contains("was not asked again: no complete answer"), "{errors}");
        }
        // Nothing of it is left for this program or another.
        let left: Vec<_> = fs::read_dir(stripped.cache()).into_iter().flatten().collect();
        assert!(left.is_empty(), "{reason}: {left:?}");
    }
    // Nobody is there any more.
    let url = Server::start(Box::new(|_, _| {})).url();
    let errors = stripped.ask(&url, &[]).failed(1);
    assert!(errors.contains(&format!("{url}: ")) && errors.contains("was not asked again"), "{errors}");
    // The same file from a server without a fault.
    let server = Server::start(good(&stripped.build_id, &stripped.debug));
    assert_eq!(stripped.ask(&server.url(), &["--timeout", "10min"]).code, Some(0));
}

#[test]
fn urls_that_cannot_be_asked_are_refused_with_the_arguments() {
    for (url, reason) in [
        ("https://debuginfod.elfutils.org", "debuginfod-find"),
        ("debug.example:8002", "expected a URL"),
        ("http://", "no URL"),
        ("/usr/lib/debug", "expected a URL"),
    ] {
        let errors = gmr(&["symbolize", "x", "--debuginfod", url]).failed(2);
        assert!(errors.contains(reason), "{url}: {errors}");
    }
}

/// The real server, which ends with the test.
struct Debuginfod(Child);

impl Drop for Debuginfod {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_real_server_has_the_debug_information() {
    let stripped = Stripped::new("debuginfod-real");
    // It can't say which port it has chosen.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let port = port.port().to_string();
    let mut command = Command::new("debuginfod");
    command.args(["-p", &port, "-d", ":memory:", "-F"]).arg(stripped.folder.join("debug"));
    command.env("DEBUGINFOD_CACHE_PATH", stripped.folder.join("of-server")).env_remove("DEBUGINFOD_URLS");
    let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return tools::missing("debuginfod");
    };
    let mut server = Debuginfod(child);
    // Until it listens and has found the file, it says so.
    let done = loop {
        let done = stripped.ask(&format!("http://127.0.0.1:{port}"), &[]);
        if done.code == Some(0) {
            break done;
        }
        assert!(server.0.try_wait().expect("its state").is_none(), "it has ended");
        let is_early = ["Connection refused", "it does not have it"].iter();
        assert!(is_early.clone().any(|early| done.errors.contains(early)), "{}", done.errors);
    };
    assert_eq!(stacks(&done.output), stripped.expected());
}
