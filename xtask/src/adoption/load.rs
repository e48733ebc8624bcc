//! A program under load: its process, its reports in JSON, and connections that count what fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take. A report takes milliseconds, on a busy machine seconds.
const LIMIT: Duration = Duration::from_mins(1);

/// A program that runs until this is dropped.
pub(super) struct Process {
    child: Child,
    reports: Receiver<String>,
}

impl Process {
    pub(super) fn start(program: &Path, arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("GMR_FORMAT", "json")
            .env("GMR_MIN_INTERVAL", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let errors = child.stderr.take().ok_or("it has no standard error")?;
        let (sender, reports) = mpsc::channel();
        // It reads all, so that the program never waits for this one.
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, reports })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Requests a report by the signal, and reads it.
    pub(super) fn report(&self) -> Result<Report, String> {
        let status = Command::new("kill").args(["-USR2", &self.id().to_string()]).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("cannot send SIGUSR2".to_owned());
        }
        let line = self.reports.recv_timeout(LIMIT).map_err(|_| "no report came")?;
        serde_json::from_str(&line).map(Report).map_err(|_| format!("not a report: {line}"))
    }

    /// Requests reports until one fulfils the condition.
    pub(super) fn report_when(
        &self,
        what: &str,
        mut holds: impl FnMut(&Report) -> bool,
    ) -> Result<Report, String> {
        let until = Instant::now() + LIMIT;
        loop {
            let report = self.report()?;
            if holds(&report) {
                return Ok(report);
            }
            if Instant::now() > until {
                return Err(format!("no report shows that {what}: {}", report.0));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A report.
pub(super) struct Report(Value);

impl Report {
    pub(super) fn tasks(&self) -> impl Iterator<Item = Task<'_>> {
        let sections = self.0["sections"].as_array().into_iter().flatten();
        let tasks = sections.filter(|section| section["content"]["kind"] == "green_threads");
        let tasks =
            tasks.flat_map(|section| section["content"]["data"]["tasks"].as_array().into_iter().flatten());
        tasks.map(|task| Task { report: self, task })
    }
}

/// A task of a report.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    report: &'a Report,
    task: &'a Value,
}

impl<'a> Task<'a> {
    pub(super) fn name(self) -> &'a str {
        self.task["name"].as_str().unwrap_or_default()
    }

    pub(super) fn is_waiting(self) -> bool {
        self.task["state"]["kind"] == "waiting"
    }

    /// Where it waits, as function, file and line.
    fn frames(self) -> impl Iterator<Item = (&'a str, &'a str, Option<u64>)> {
        let stacks = self.task["stacks"].as_array().into_iter().flatten();
        let frames = stacks.flat_map(|stack| stack["frames"].as_array().into_iter().flatten());
        let frame = |index: &Value| {
            usize::try_from(index.as_u64()?).ok().map(|index| &self.report.0["frames"][index])
        };
        frames.filter_map(frame).map(|frame| {
            let text = |field: &str| frame[field].as_str().unwrap_or_default();
            (text("function"), text("file"), frame["line"].as_u64())
        })
    }

    /// Whether it waits at a line of this folder's sources.
    pub(super) fn has_line_in(self, folder: &str) -> bool {
        self.frames().any(|(_, file, line)| file.contains(folder) && line.is_some())
    }

    pub(super) fn is_in(self, function: &str) -> bool {
        self.frames().any(|(name, ..)| name.contains(function))
    }
}

impl std::fmt::Display for Task<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.task)?;
        self.frames().try_for_each(|frame| writeln!(formatter, "  {frame:?}"))
    }
}

/// Connects as soon as somebody listens.
pub(super) fn connect(port: u16) -> Result<TcpStream, String> {
    let until = Instant::now() + LIMIT;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > until => return Err(format!("cannot connect: {error}")),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Sends the request, and checks the answer.
pub(super) fn exchange(stream: &mut TcpStream, request: &[u8], expected: &[u8]) -> Result<(), String> {
    let mut answer = vec![0; expected.len()];
    stream
        .write_all(request)
        .and_then(|()| stream.read_exact(&mut answer))
        .map_err(|error| error.to_string())?;
    if answer == expected { Ok(()) } else { Err(format!("answered {:?}", String::from_utf8_lossy(&answer))) }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
