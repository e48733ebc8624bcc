//! What gmr costs a busy program: an HTTP server over loopback without gmr, with gmr idle, and with
//! a report each second, in turns. A second server without gmr shows how much of a difference is
//! noise.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::take;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// Enough to keep the server busy.
const CONNECTIONS: usize = 16;
/// The time to make the connections.
const WARM_UP: Duration = Duration::from_millis(100);
/// Long enough for a report to end within it.
const SLICE: Duration = Duration::from_millis(500);
const SLICES_A_SECOND: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Without,
    Again,
    Idle,
    Reporting,
}

const MODES: [Mode; 4] = [Mode::Without, Mode::Again, Mode::Idle, Mode::Reporting];

/// For each of [`MODES`].
#[derive(Default)]
pub(crate) struct Throughput {
    /// Requests per second.
    rates: [Figures; MODES.len()],
    /// Ratios to the first mode's rate in the same second.
    ratios: [Figures; MODES.len()],
}

impl Throughput {
    /// The throughput with gmr idle, relative to that without.
    pub(crate) fn idle(&self) -> Option<f64> {
        self.ratios[Mode::Idle as usize].median()
    }
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Throughput, String> {
    let mut throughput = Throughput::default();
    for number in 0..options.rounds {
        println!("throughput, round {}", number + 1);
        round(setting, options.seconds, &mut throughput)?;
    }
    Ok(throughput)
}

/// Loads fresh processes in turns, so that other load on the machine affects all of them.
fn round(setting: &Setting, seconds: usize, throughput: &mut Throughput) -> Result<(), String> {
    let mut servers = Vec::new();
    for mode in MODES {
        servers.push(Server::start(setting, mode)?);
    }
    let mut first = 0;
    for _ in 0..seconds {
        for slice in 0..SLICES_A_SECOND {
            for turn in 0..MODES.len() {
                // The order changes, so that no server always runs after the same one.
                let place = (first + turn) % MODES.len();
                servers[place].load(MODES[place] == Mode::Reporting && slice == 0)?;
            }
            first += 1;
        }
        let rates: Vec<f64> = servers.iter_mut().map(Server::take_rate).collect();
        for (mode, rate) in rates.iter().enumerate() {
            throughput.rates[mode].add(*rate);
            throughput.ratios[mode].add(rate / rates[0]);
        }
    }
    Ok(())
}

/// A process under load, and the requests that it answered in this second.
struct Server {
    program: Program,
    port: u16,
    requests: u32,
    time: Duration,
}

impl Server {
    fn start(setting: &Setting, mode: Mode) -> Result<Self, String> {
        let arguments: &[&dyn ToString] =
            if matches!(mode, Mode::Without | Mode::Again) { &[] } else { &[&"gmr"] };
        let mut program = Program::start(setting, setting.program("server", arguments))?;
        let port = program.ask("port")?.parse().map_err(|_| "the server printed no port")?;
        if mode == Mode::Reporting {
            // The first report of a process is slower, and is not what repeats each second.
            program.report()?;
        }
        Ok(Self { program, port, requests: 0, time: Duration::ZERO })
    }

    /// Loads it for one slice, with a report soon after the start if `report` is set.
    fn load(&mut self, report: bool) -> Result<(), String> {
        let (counting, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let clients = (0..CONNECTIONS).map(|_| scope.spawn(|| request(self.port, &counting, &ended)));
            let clients: Vec<_> = clients.collect();
            thread::sleep(WARM_UP);
            counting.store(true, Ordering::Relaxed);
            let begun = Instant::now();
            let signalled = if report { self.program.signal() } else { Ok(()) };
            thread::sleep(SLICE);
            self.time += begun.elapsed();
            ended.store(true, Ordering::Relaxed);
            for client in clients {
                self.requests += client.join().map_err(|_| "a client panicked")??;
            }
            signalled
        })
    }

    /// Requests per second since the last call.
    fn take_rate(&mut self) -> f64 {
        let (requests, time) = (take(&mut self.requests), take(&mut self.time));
        f64::from(requests) / time.as_secs_f64()
    }
}

/// Sends one request after the other over one connection. Returns how many were answered while
/// `counting` was set.
fn request(port: u16, counting: &AtomicBool, ended: &AtomicBool) -> Result<u32, String> {
    exchange(port, counting, ended).map_err(|error| format!("a request failed: {error}"))
}

fn exchange(port: u16, counting: &AtomicBool, ended: &AtomicBool) -> std::io::Result<u32> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::with_capacity(16 << 10, &stream);
    let mut answered = 0;
    let mut body = Vec::new();
    let mut line = String::new();
    while !ended.load(Ordering::Relaxed) {
        (&stream).write_all(b"GET /orders?page=7 HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut length = 0;
        loop {
            line.clear();
            answers.read_line(&mut line)?;
            match line.trim_end().strip_prefix("Content-Length: ") {
                Some(number) => length = number.parse().unwrap_or(0),
                None if line.trim_end().is_empty() => break,
                None => (),
            }
        }
        body.resize(length, 0);
        answers.read_exact(&mut body)?;
        answered += u32::from(counting.load(Ordering::Relaxed));
    }
    Ok(answered)
}

pub(crate) fn table(throughput: &Throughput) -> Table {
    let mut table = Table::new(&[
        "server",
        "requests/s, median (min – max)",
        "versus the first, median of the pairs (min – max)",
    ]);
    for (mode, server) in
        MODES.iter().zip(["without gmr", "without gmr, again", "gmr, idle", "gmr, a report each second"])
    {
        let rates = throughput.rates[*mode as usize].show(|rate| format!("{rate:.0}"));
        let ratios = throughput.ratios[*mode as usize].show(|ratio| format!("{:.1} %", ratio * 100.0));
        let ratios = if *mode == Mode::Without { "100 %".to_owned() } else { ratios };
        table.row([server.to_owned(), rates, ratios]);
    }
    table
}
