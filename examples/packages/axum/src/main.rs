//! A service on axum, with reports on an admin port.
//!
//! Run it with `cargo run`. It prints the addresses of both ports. Send it orders, and request a
//! report: `curl -X POST SERVICE/orders/4711`, `curl ADMIN/gmr?format=text`, or `kill -USR2 PID`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use gmr::task::RequestLayer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Two connections to the database, for all requests.
type Database = Arc<Semaphore>;

#[gmr::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let database = Arc::new(Semaphore::new(2));
    let service = Router::new()
        .route("/orders/{order}", post(accept))
        .with_state(Arc::clone(&database))
        .layer(RequestLayer::new());
    // Only operators may reach this one.
    let admin = Router::new().nest_service("/gmr", gmr_axum::router());

    let service_port = TcpListener::bind("127.0.0.1:0").await?;
    let admin_port = TcpListener::bind("127.0.0.1:0").await?;
    println!("service: http://{}", service_port.local_addr()?);
    println!("admin:   http://{}/gmr", admin_port.local_addr()?);
    println!("ready: kill -USR2 {}", std::process::id());

    tokio::spawn(archive(database));
    tokio::spawn(async { axum::serve(admin_port, admin).await });
    axum::serve(service_port, service).await
}

async fn accept(Path(order): Path<u64>, State(database): State<Database>) -> String {
    gmr::task::label("order", order);
    store(order, &database).await;
    format!("order {order} is accepted\n")
}

async fn store(order: u64, database: &Semaphore) {
    let _connection = database.acquire().await;
    // Odd orders are slow.
    sleep(Duration::from_secs(if order.is_multiple_of(2) { 0 } else { 60 })).await;
}

/// Stores what has been accepted, once an hour.
async fn archive(database: Database) {
    loop {
        sleep(Duration::from_secs(3_600)).await;
        let _connection = database.acquire().await;
    }
}
