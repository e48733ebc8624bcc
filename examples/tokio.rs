//! Asynchronous tasks: which tasks exist, and at which line each of them waits.
//!
//! Run it with `cargo run --example tokio-tasks`. It prints its process id; from another terminal,
//! request a report with `kill -USR2 PID`, and look at the section "Green Threads". The report goes
//! to standard error. Ctrl-C ends the program.
//!
//! Your own program needs gmr's feature `tokio`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

#[gmr::main]
#[tokio::main]
async fn main() {
    // One connection for three requests: two of them wait for it.
    let connections = Arc::new(Semaphore::new(1));
    for order in 4711..4714 {
        gmr::task::spawn(checkout(order, Arc::clone(&connections)));
    }

    println!("ready: kill -USR2 {}", std::process::id());
    std::future::pending().await
}

async fn checkout(order: u64, connections: Arc<Semaphore>) {
    // The report shows it next to the task's number.
    gmr::task::label("order", order);
    let _connection = connections.acquire().await;
    pay().await;
}

async fn pay() {
    sleep(Duration::from_secs(3_600)).await;
}
