//! What gmr costs a program that is busy: an HTTP server over loopback, without gmr, with gmr idle, and with a report each second, by turns.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// Enough that the server is never without work.
const CONNECTIONS: usize = 16;
/// For the connections to be made.
const WARM_UP: Duration = Duration::from_millis(100);
/// Long enough for a report to be over at its end.
const SLICE: Duration = Duration::from_millis(500);
const SLICES_A_SECOND: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Without,
    Idle,
    Reporting,
}

#[derive(Default)]
pub(crate) struct Throughput {
    /// Requests in a second.
    without: Figures,
    idle: Figures,
    reporting: Figures,
    /// Ratios to the measurement without gmr of the same round.
    pub(crate) idle_ratio: Figures,
    pub(crate) reporting_ratio: Figures,
}

pub(crate) fn measure(setting: &Setting, options: &Options) -> Result<Throughput, String> {
    let mut throughput = Throughput::default();
    for number in 0..options.rounds {
        println!("throughput, round {}", number + 1);
        let [without, idle, reporting] = round(setting, options.seconds * SLICES_A_SECOND)?;
        throughput.without.add(without);
        throughput.idle.add(idle);
        throughput.reporting.add(reporting);
        throughput.idle_ratio.add(idle / without);
        throughput.reporting_ratio.add(reporting / without);
    }
    Ok(throughput)
}

/// Requests in a second of three fresh processes that are loaded by turns, so that whatever else the machine does meets all of them.
fn round(setting: &Setting, slices: usize) -> Result<[f64; 3], String> {
    let modes = [Mode::Without, Mode::Idle, Mode::Reporting];
    let mut servers = Vec::new();
    for mode in modes {
        servers.push(Server::start(setting, mode)?);
    }
    for slice in 0..slices {
        for turn in 0..modes.len() {
            // Nobody always comes after the same one.
            let place = (turn + slice) % modes.len();
            let report = modes[place] == Mode::Reporting && slice % SLICES_A_SECOND == 0;
            servers[place].load(report)?;
        }
    }
    Ok([0, 1, 2].map(|place| f64::from(servers[place].requests) / servers[place].time.as_secs_f64()))
}

/// A process under load, and what it has achieved so far.
struct Server {
    program: Program,
    port: u16,
    requests: u32,
    time: Duration,
}

impl Server {
    fn start(setting: &Setting, mode: Mode) -> Result<Self, String> {
        let arguments: &[&dyn ToString] = if mode == Mode::Without { &[] } else { &[&"gmr"] };
        let mut program = Program::start(setting, setting.program("server", arguments))?;
        let port = program.ask("port")?.parse().map_err(|_| "the server told no port")?;
        if mode == Mode::Reporting {
            // The first report of a process happens once in its life, the others each second.
            program.report()?;
        }
        Ok(Self { program, port, requests: 0, time: Duration::ZERO })
    }

    /// Loads it for one slice, with a report soon after the begin if so wanted.
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
}

/// One request after the other over one connection. Returns how many were answered while it counted.
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
        "beside none, median of the pairs (min – max)",
    ]);
    let rate = |figures: &Figures| figures.show(|rate| format!("{rate:.0}"));
    let ratio = |figures: &Figures| figures.show(|ratio| format!("{:.1} %", ratio * 100.0));
    table.row(["without gmr".to_owned(), rate(&throughput.without), "100 %".to_owned()]);
    table.row(["gmr, idle".to_owned(), rate(&throughput.idle), ratio(&throughput.idle_ratio)]);
    let reporting = [rate(&throughput.reporting), ratio(&throughput.reporting_ratio)];
    table.row(["gmr, a report each second".to_owned()].into_iter().chain(reporting));
    table
}
