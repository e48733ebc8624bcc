//! A program that is measured: it is started and signalled, and its standard error is watched until
//! the end of the report appears there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::setting::Setting;

/// Programs that take longer are killed.
const LIMIT: Duration = Duration::from_mins(2);
/// The time between two checks of a file. With the kernel's timer slack, it is less than 0.2 ms.
const INTERVAL: Duration = Duration::from_micros(100);
/// Part of the last line of every report: of gmr's, and of those that the other programs write.
const END: &str = " end of report";

pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: File,
    errors_path: PathBuf,
}

impl Program {
    /// Starts the program, and waits until it prints that it is ready.
    pub(crate) fn start(setting: &Setting, mut command: Command) -> Result<Self, String> {
        let errors_path = setting.directory.join("report.txt");
        let file = |error| format!("{} cannot be written: {error}", errors_path.display());
        let written = File::create(&errors_path).map_err(file)?;
        let errors = File::open(&errors_path).map_err(file)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(written);
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut program = Self { child, input, output, errors, errors_path };
        match program.read_line()?.as_str() {
            "ready" => Ok(program),
            _ => Err(format!("{name} did not become ready: {}", program.errors().trim_end())),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn read_line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| format!("its output cannot be read: {error}"))?;
        Ok(line.trim_end().to_owned())
    }

    /// Sends the program a line, and returns its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String, String> {
        let input = self.input.as_mut().expect("it is closed at the end only");
        writeln!(input, "{line}").map_err(|error| format!("the program does not read its input: {error}"))?;
        self.read_line()
    }

    /// Everything that the program wrote to its standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read(&self.errors_path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn signal(&self) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), Signal::USR2)
            .map_err(|error| format!("the program cannot be signalled: {error}"))
    }

    /// Requests a report. Returns the time from the signal to its last byte in the file.
    pub(crate) fn report(&mut self) -> Result<Duration, String> {
        self.report_watched(|| ())
    }

    /// As [`report`](Self::report), and calls `meanwhile` between two checks of the file.
    pub(crate) fn report_watched(&mut self, mut meanwhile: impl FnMut()) -> Result<Duration, String> {
        let mut seen = self.length();
        let begun = Instant::now();
        self.signal()?;
        while begun.elapsed() < LIMIT {
            let length = self.length();
            if length > seen {
                seen = length;
                if self.ends_a_report(length) {
                    return Ok(begun.elapsed());
                }
            }
            meanwhile();
            thread::sleep(INTERVAL);
        }
        Err(format!("no report within {} s", LIMIT.as_secs()))
    }

    fn length(&self) -> u64 {
        self.errors.metadata().map_or(0, |metadata| metadata.len())
    }

    fn ends_a_report(&mut self, length: u64) -> bool {
        let mut tail = Vec::new();
        let from = length.saturating_sub(160);
        let read = self.errors.seek(SeekFrom::Start(from)).and_then(|_| self.errors.read_to_end(&mut tail));
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.trim_end().rsplit('\n').next().unwrap_or_default();
        read.is_ok() && tail.ends_with('\n') && last.starts_with("====") && last.contains(END)
    }
}

// The program ends with its measurement, even if that fails.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool to its end. Returns the time that it took, and its output.
pub(crate) fn run_tool(setting: &Setting, mut command: Command) -> Result<(Duration, String), String> {
    let path = setting.directory.join("tool.txt");
    let file = |error| format!("{} cannot be written: {error}", path.display());
    let written = File::create(&path).map_err(file)?;
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(written).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if begun.elapsed() < LIMIT => thread::sleep(INTERVAL),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} took longer than {} s", LIMIT.as_secs()));
            }
        }
    }
    let took = begun.elapsed();
    let printed = fs::read(&path).map_err(file)?;
    Ok((took, String::from_utf8_lossy(&printed).into_owned()))
}
