//! What gmr costs a busy program: an HTTP server over loopback without gmr, with gmr idle, and with
//! a report each second, in turns. A second server without gmr shows how much of a difference is
//! noise.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::take;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::options::Options;
use super::program::Program;
use super::setting::Setting;
use super::table::Table;

/// Enough to keep the server busy.
const CONNECTIONS: usize = 16;
/// The time for all connections to be in use.
const WARM_UP: Duration = Duration::from_millis(5);
/// Long enough for a report to end within it. Short, because where the scheduler puts the threads of
/// a turn changes what is answered by half: many turns average this.
const SLICE: Duration = Duration::from_millis(100);
const SLICES_A_SECOND: usize = 10;

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
    // The clients end first: the program does not answer once it is killed.
    clients: Clients,
    program: Program,
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
        Ok(Self { clients: Clients::connect(port), program, requests: 0, time: Duration::ZERO })
    }

    /// Loads it for one slice, with a report soon after the start if `report` is set.
    fn load(&mut self, report: bool) -> Result<(), String> {
        self.clients.switch(Gate::Open);
        thread::sleep(WARM_UP);
        let (answered, begun) = (self.clients.answered(), Instant::now());
        let signalled = if report { self.program.signal() } else { Ok(()) };
        thread::sleep(SLICE);
        self.requests += self.clients.answered() - answered;
        self.time += begun.elapsed();
        self.clients.switch(Gate::Closed);
        self.clients.check().and(signalled)
    }

    /// Requests per second since the last call.
    fn take_rate(&mut self) -> f64 {
        let (requests, time) = (take(&mut self.requests), take(&mut self.time));
        f64::from(requests) / time.as_secs_f64()
    }
}

/// Connections that send one request after the other while it is their server's turn.
struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    gate: Mutex<Gate>,
    changed: Condvar,
    answered: AtomicU32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Closed,
    Open,
    Ended,
}

impl Clients {
    fn connect(port: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.exchange(port))
        };
        let threads = (0..CONNECTIONS).map(client).collect();
        Self { shared, threads }
    }

    fn switch(&self, gate: Gate) {
        *self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate;
        self.shared.changed.notify_all();
    }

    /// The requests that were answered up to now.
    fn answered(&self) -> u32 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// A client ends before it is told to if one of its requests fails.
    fn check(&mut self) -> Result<(), String> {
        let Some(failed) = self.threads.iter().position(JoinHandle::is_finished) else {
            return Ok(());
        };
        match self.threads.remove(failed).join() {
            Ok(result) => result.map_err(|error| format!("a request failed: {error}")),
            Err(_) => Err("a client panicked".to_owned()),
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.switch(Gate::Ended);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits while it is another server's turn. Returns whether there is more to send.
    fn wait_for_the_turn(&self) -> bool {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = self.changed.wait_while(gate, |gate| *gate == Gate::Closed);
        *gate.unwrap_or_else(PoisonError::into_inner) == Gate::Open
    }

    fn exchange(&self, port: u16) -> std::io::Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::with_capacity(16 << 10, &stream);
        let mut body = Vec::new();
        let mut line = String::new();
        while self.wait_for_the_turn() {
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
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
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
