//! Reports over HTTP, on an admin port in addition to the service's own.
//!
//! Run it with `cargo run --package gmr-axum --example axum-admin`. It prints the addresses of both
//! ports. Open the admin one in a browser, or request a format: `curl "ADDRESS?format=text"`. The
//! signal works as well: `kill -USR2 PID`. Ctrl-C ends the program.
//!
//! A report shows the stacks and the configuration of the process, so make sure that only operators
//! can reach the admin port.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[gmr::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let service = Router::new().route("/", get(|| async { "hello\n" }));
    let admin = Router::new().nest_service("/gmr", gmr_axum::router());

    // Port 0: the kernel chooses one that is free.
    let service_port = TcpListener::bind("127.0.0.1:0").await?;
    let admin_port = TcpListener::bind("127.0.0.1:0").await?;
    println!("service: http://{}/", service_port.local_addr()?);
    println!("reports: http://{}/gmr", admin_port.local_addr()?);
    println!("ready: kill -USR2 {}", std::process::id());

    tokio::spawn(async { axum::serve(admin_port, admin).await });
    axum::serve(service_port, service).await
}
