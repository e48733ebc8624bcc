//! Reports over HTTP on an admin port, in a service without a web framework: with hyper alone.
//!
//! Run it with `cargo run --example hyper-admin`. It prints the address of the admin port. Open it
//! in a browser, or request a format: `curl "ADDRESS?format=text"`. The signal works as well:
//! `kill -USR2 PID`. Ctrl-C ends the program.
//!
//! A report shows the stacks and the configuration of the process, so make sure that only operators
//! can reach the admin port.

use gmr::http::{Admin, Peer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[gmr::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    // Port 0: the kernel chooses one that is free.
    let admin_port = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready: kill -USR2 {}", std::process::id());
    println!("reports: http://{}/gmr", admin_port.local_addr()?);
    serve(admin_port).await
}

async fn serve(admin_port: TcpListener) -> std::io::Result<()> {
    let reports = Admin::new().path("/gmr");
    loop {
        let (connection, peer) = admin_port.accept().await?;
        let reports = reports.clone();
        let service = service_fn(move |mut request| {
            // The report's heading names it.
            request.extensions_mut().insert(Peer(peer));
            reports.answer(request)
        });
        // If the peer goes away, there is nothing to do.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}
