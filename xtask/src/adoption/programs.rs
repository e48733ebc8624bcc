//! What the reports of the adopted programs must show.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::load::{Process, Report, Task, connect, exchange, free_port};

/// How many reports are made under load.
const REPORTS: usize = 20;

/// What clients do while reports are made.
struct Load {
    running: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<Result<usize, String>>>,
}

impl Load {
    /// Starts clients that repeat the exchange over a connection of their own.
    fn start(
        port: u16,
        clients: usize,
        exchange: fn(&mut TcpStream, usize) -> Result<(), String>,
    ) -> Result<Self, String> {
        let running = Arc::new(AtomicBool::new(true));
        let begun = Arc::new(AtomicUsize::new(0));
        let start = |number| {
            let (running, begun) = (Arc::clone(&running), Arc::clone(&begun));
            thread::spawn(move || {
                let mut stream = connect(port)?;
                let mut count = 0;
                while running.load(Ordering::Relaxed) {
                    exchange(&mut stream, number)?;
                    if count == 0 {
                        begun.fetch_add(1, Ordering::Relaxed);
                    }
                    count += 1;
                }
                Ok(count)
            })
        };
        let load = Self { clients: (0..clients).map(start).collect(), running };
        while begun.load(Ordering::Relaxed) < clients {
            if load.clients.iter().any(thread::JoinHandle::is_finished) {
                return Err(load.end().err().unwrap_or_else(|| "a client ended".to_owned()));
            }
            thread::yield_now();
        }
        Ok(load)
    }

    /// How many exchanges have succeeded, or what failed.
    fn end(self) -> Result<usize, String> {
        self.running.store(false, Ordering::Relaxed);
        let end = |client: thread::JoinHandle<Result<usize, String>>| {
            client.join().map_err(|_| "a client panicked".to_owned())?
        };
        self.clients.into_iter().map(end).sum()
    }
}

/// Makes reports under load. In each, there are as many tasks of this function as connections, and
/// each that waits shows a line of the program's sources.
fn check_under_load(process: &Process, name: &str, connections: usize, main: &str) -> Result<(), String> {
    let (mut waiting, mut in_poll) = (0, 0);
    // The first report reads the debug information.
    process.report_when("lines are known", |report| report.tasks().any(|task| task.has_line_in("src/")))?;
    for _ in 0..REPORTS {
        let report = process.report()?;
        let tasks: Vec<Task<'_>> = report.tasks().filter(|task| task.name().contains(name)).collect();
        if tasks.len() != connections {
            return Err(format!("{} tasks {name}, but {connections} connections", tasks.len()));
        }
        let mains = report.tasks().filter(|task| task.name() == main).count();
        if mains != 1 {
            return Err(format!("{mains} tasks {main}"));
        }
        for task in tasks {
            if !task.is_waiting() {
                in_poll += 1;
            } else if task.has_line_in("src/") {
                waiting += 1;
            } else {
                return Err(format!("no line of its own: {task}"));
            }
        }
    }
    println!(
        "{REPORTS} reports under load: {waiting} tasks wait at a line of its own, {in_poll} are polled or woken"
    );
    if waiting == 0 { Err("no connection waited".to_owned()) } else { Ok(()) }
}

/// Sets a key and gets it.
fn set_and_get(stream: &mut TcpStream, number: usize) -> Result<(), String> {
    let key = format!("key-{number:04}");
    let set = format!("*3\r\n$3\r\nset\r\n$8\r\n{key}\r\n$5\r\nvalue\r\n");
    exchange(stream, set.as_bytes(), b"+OK\r\n")?;
    exchange(stream, format!("*2\r\n$3\r\nget\r\n$8\r\n{key}\r\n").as_bytes(), b"$5\r\nvalue\r\n")
}

/// mini-redis accepts 250 connections. The 251st waits until one of them ends.
const MOST_CONNECTIONS: usize = 250;

pub(super) fn mini_redis(program: &Path) -> Result<(), String> {
    const CONNECTION: &str = "mini_redis::server::Listener::run";
    const CLIENTS: usize = 50;
    let port = free_port()?;
    let process = Process::start(program, &["--port", &port.to_string()])?;
    let load = Load::start(port, CLIENTS, set_and_get)?;
    check_under_load(&process, CONNECTION, CLIENTS, "main")?;
    println!("{} requests, none failed", 2 * load.end()?);

    let no_connection = |report: &Report| report.tasks().all(|task| !task.name().contains(CONNECTION));
    process.report_when("all connections have ended", no_connection)?;
    let idle = (0..MOST_CONNECTIONS).map(|number| {
        let mut stream = connect(port)?;
        set_and_get(&mut stream, number).map(|()| stream)
    });
    let idle: Vec<TcpStream> = idle.collect::<Result<_, String>>()?;
    let mut hanging = connect(port)?;
    let request = b"*2\r\n$3\r\nget\r\n$8\r\nkey-0000\r\n";
    hanging.write_all(request).map_err(|error| error.to_string())?;
    let at_semaphore = |report: &Report| {
        let first = report.tasks().next();
        first.is_some_and(|main| {
            main.name() == "main" && main.is_in("Semaphore::acquire") && main.has_line_in("src/server.rs")
        })
    };
    process.report_when("main, the first task, waits for the semaphore", at_semaphore)?;
    println!("with {MOST_CONNECTIONS} connections, the first task is main, which waits for the semaphore");
    drop(idle);
    let mut answer = [0; 11];
    hanging.read_exact(&mut answer).map_err(|error| format!("the 251st got no answer: {error}"))?;
    if &answer == b"$5\r\nvalue\r\n" { Ok(()) } else { Err(format!("the 251st got {answer:?}")) }
}

/// Sends a line, which comes back.
fn echo(stream: &mut TcpStream, number: usize) -> Result<(), String> {
    let line = format!("{number:08}\n");
    exchange(stream, line.as_bytes(), line.as_bytes())
}

/// Returns what comes, on each connection.
fn serve_echo() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(port)
}

pub(super) fn bore(program: &Path) -> Result<(), String> {
    const CLIENTS: usize = 20;
    let (local, remote) = (serve_echo()?.to_string(), free_port()?);
    let server = Process::start(program, &["server", "--bind-addr", "127.0.0.1", "--min-port", "1024"])?;
    // Its port of control is fixed.
    connect(7835)?;
    let client = ["local", &local, "--to", "127.0.0.1", "--port", &remote.to_string()];
    let client = Process::start(program, &client)?;
    let load = Load::start(remote, CLIENTS, echo)?;
    check_under_load(&client, "bore_cli::client::Client::listen", CLIENTS, "bore::run")?;
    // One more, that of the client's control.
    check_under_load(&server, "bore_cli::server::Server::listen", CLIENTS + 1, "bore::run")?;
    println!("{} lines through the tunnel, none failed", load.end()?);
    Ok(())
}
