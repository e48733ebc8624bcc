//! A busy HTTP server with a thread for each connection, which the benchmarks load to see what gmr
//! costs. `server [gmr]`
//!
//! With `gmr` it answers SIGUSR2 with reports; without, no code of gmr runs. The program is the
//! same, so that nothing else differs. The first line on standard input is answered with the port.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let with_gmr = std::env::args().nth(1).is_some_and(|argument| argument == "gmr");
    let _guard = with_gmr.then(|| gmr::Builder::new().product("server").install().expect("gmr is installed"));
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A connection that breaks off is the client's business.
            thread::spawn(move || drop(serve(&connection)));
        }
    });
    gmr_tests::converse(|_| port.to_string());
    Ok(())
}

/// Answers one request after the other until the connection is closed.
fn serve(connection: &TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        for header in lines.by_ref() {
            if header?.is_empty() {
                break;
            }
        }
        let body = page(&request);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        (&*connection).write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// A page that takes some allocating and computing, as pages do.
fn page(request: &str) -> String {
    let mut rows = Vec::new();
    for row in 0..50 {
        let mixed = request.bytes().fold(row, |sum: u32, byte| sum.rotate_left(5) ^ u32::from(byte));
        rows.push(format!("<tr><td>{row}</td><td>{mixed:08x}</td></tr>\n"));
    }
    rows.concat()
}
