//! A synchronous server: a thread for each connection.
//!
//! Run it with `cargo run --example sync-server`. It prints its address and its process id. Connect
//! with `nc` and send `count` or `list`, one command a line; request a report with
//! `kill -USR2 PID`. The report goes to standard error. Ctrl-C ends the program.
//!
//! It has a defect that a report shows: see `list`.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use serde::Serialize;

static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static CLOSED: AtomicU64 = AtomicU64::new(0);
static STOCK: LazyLock<Mutex<Vec<u32>>> = LazyLock::new(|| Mutex::new(vec![7; 1_000_000]));

#[derive(Serialize)]
struct Connections {
    accepted: u64,
    open: u64,
}

/// The section "Connections". It reads atomics and takes no lock, so it is shown even if all
/// connections are stuck.
#[gmr::section]
fn connections() -> Connections {
    let closed = CLOSED.load(Ordering::Relaxed);
    let accepted = ACCEPTED.load(Ordering::Relaxed);
    Connections { accepted, open: accepted.saturating_sub(closed) }
}

#[gmr::main]
fn main() -> io::Result<()> {
    // Port 0: the kernel chooses one that is free.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ready: kill -USR2 {}", std::process::id());
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept()?;
        let number = ACCEPTED.fetch_add(1, Ordering::Relaxed) + 1;
        // A name has at most 15 bytes. The report shows the peer's address, too.
        thread::Builder::new().name(format!("client-{number}")).spawn(move || {
            if let Err(error) = serve(&connection) {
                eprintln!("client {number}: {error}");
            }
            CLOSED.fetch_add(1, Ordering::Relaxed);
        })?;
    }
}

fn serve(connection: &TcpStream) -> io::Result<()> {
    for command in BufReader::new(connection).lines() {
        let mut answer = BufWriter::new(connection);
        match command?.as_str() {
            "count" => count(&mut answer)?,
            "list" => list(&mut answer)?,
            other => writeln!(answer, "unknown command: {other}")?,
        }
        answer.flush()?;
    }
    Ok(())
}

fn count(answer: &mut impl Write) -> io::Result<()> {
    let total: u32 = STOCK.lock().unwrap_or_else(PoisonError::into_inner).iter().sum();
    writeln!(answer, "{total}")
}

/// Holds the lock while it writes to the client. If that client does not read, all others wait.
fn list(answer: &mut impl Write) -> io::Result<()> {
    let stock = STOCK.lock().unwrap_or_else(PoisonError::into_inner);
    for (item, pieces) in stock.iter().enumerate() {
        writeln!(answer, "item {item}: {pieces}")?;
    }
    Ok(())
}
