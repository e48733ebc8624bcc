//! A receiver of OTLP that decodes by the official definitions, in the Python of `GMR_TEST_PYTHON`. It
//! does with requests what it is told.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

const SERVER: &str = include_str!("otlp_receiver.py");
const CERTIFICATE: &str = include_str!("certificate.py");

/// `None` where there is no Python for tests, which is said.
fn python() -> Option<Command> {
    let python = std::env::var_os("GMR_TEST_PYTHON");
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_PYTHON is not");
        eprintln!("skipped: GMR_TEST_PYTHON is not set");
    }
    python.map(Command::new)
}

/// A certificate with its key for a server, and the certificate alone for clients.
pub(crate) fn certificate(folder: &Path) -> Option<[PathBuf; 2]> {
    let files = ["both.pem", "public.pem"].map(|name| folder.join(name));
    let made = python()?.args(["-c", CERTIFICATE]).args(&files).status().expect("Python starts");
    assert!(made.success(), "the module cryptography makes it");
    Some(files)
}

pub(crate) struct Receiver {
    child: Child,
    /// It serves for as long as this is open.
    input: Option<ChildStdin>,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts it beside these tables. The faults are those of its first requests.
    pub(crate) fn start(faults: &str, tables: &Path) -> Option<Self> {
        Self::start_at(faults, tables, 0, None)
    }

    pub(crate) fn start_at(faults: &str, tables: &Path, port: u16, tls: Option<&Path>) -> Option<Self> {
        let mut command = python()?;
        command.args(["-c", SERVER, faults]).arg(tables).arg(port.to_string()).args(tls);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        said.read_line(&mut port).expect("it can be read");
        let port = port.trim().parse().expect("the modules opentelemetry-proto and protobuf serve");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let reader = thread::spawn(move || {
            for line in said.lines() {
                let request = serde_json::from_str(&line.expect("text")).expect("JSON");
                kept.lock().expect("requests").push(request);
            }
        });
        let input = child.stdin.take();
        Some(Self { child, input, port, requests, reader: Some(reader) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests so far, once there are so many.
    #[track_caller]
    pub(crate) fn requests(&self, least: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let requests = self.requests.lock().expect("requests").clone();
            if requests.len() >= least {
                return requests;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{requests:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All requests, when it has ended.
    pub(crate) fn end(mut self) -> Vec<Value> {
        self.input = None;
        self.child.wait().expect("it ends");
        self.reader.take().expect("once").join().expect("it reads");
        self.requests(0)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record, with the attributes of its resource.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) record: Value,
    pub(crate) resource: Value,
}

impl Record {
    pub(crate) fn of(request: &Value) -> Vec<Self> {
        let list = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
        let mut records = Vec::new();
        for logs in list(&request["request"], "resource_logs") {
            for scope in list(&logs, "scope_logs") {
                assert_eq!(scope["scope"]["name"], "gmr");
                for record in list(&scope, "log_records") {
                    records.push(Self { record, resource: logs["resource"].clone() });
                }
            }
        }
        records
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        attribute(&self.record, key)
    }

    pub(crate) fn of_resource(&self, key: &str) -> Option<String> {
        attribute(&self.resource, key)
    }

    /// What tells it from all others.
    pub(crate) fn uid(&self) -> String {
        self.attribute("log.record.uid").expect("an id")
    }
}

fn attribute(of: &Value, key: &str) -> Option<String> {
    let mut found = of["attributes"].as_array()?.iter().filter(|attribute| attribute["key"] == key);
    let value = &found.next()?["value"];
    assert!(found.next().is_none(), "{key} is there twice");
    let value = value.get("string_value").or_else(|| value.get("int_value")).expect("text or a number");
    // As JSON has them, numbers of 64 bits are text.
    Some(value.as_str().expect("text").to_owned())
}

/// The ids of all records of these requests, each once.
pub(crate) fn uids<'a>(requests: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    requests.into_iter().flat_map(Record::of).map(|record| record.uid()).collect()
}
