//! An axum server whose handlers have `#[instrument]`. Only the layer of the subscriber concerns
//! gmr; the argument `none` leaves it out, and `silent` sets no subscriber. It answers `trace?`
//! with whether anything at that level is enabled, and any other line with its address.

use std::future::pending;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use gmr::task::TrackExt as _;
use tracing::instrument;
use tracing_subscriber::prelude::*;

#[instrument(fields(route = "/orders/{order}", customer))]
async fn order(Path(order): Path<u64>) -> String {
    tracing::Span::current().record("customer", "ann");
    tracing::info!(password = "hunter2", stock = ?Talkative, "begun");
    reserve(order).await;
    format!("order {order}")
}

/// Logs, and enters a span, when it is formatted.
struct Talkative;

impl std::fmt::Debug for Talkative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        tracing::info_span!("formatting").in_scope(|| tracing::error!("formats"));
        f.write_str("talked")
    }
}

#[instrument(fields(api_key = "sk-test-4eC39HqLyjWDarjtT1zdp7dc"))]
async fn reserve(order: u64) {
    tracing::warn!(order, "out of stock");
    pending::<()>().await;
}

/// Blocks its worker.
#[instrument(skip_all, fields(route = "/blocked"))]
async fn blocked() {
    loop {
        std::thread::park();
    }
}

/// Waits inside a span.
#[instrument]
async fn restock() {
    pending::<()>().await;
}

/// Waits after it has left one that stays open.
async fn idle() {
    let span = tracing::info_span!("begin");
    span.in_scope(|| ());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    pending::<()>().await;
    drop(span);
}

#[instrument(skip_all)]
async fn health() -> &'static str {
    std::future::ready("well").await
}

#[gmr::main]
#[tokio::main(worker_threads = 2)]
async fn main() {
    let registry = tracing_subscriber::registry();
    match std::env::args().nth(1).as_deref() {
        Some("silent") => {}
        Some(_) => registry.init(),
        None => registry.with(gmr::tracing::layer()).init(),
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let routes = Router::new()
        .route("/orders/{order}", get(order))
        .route("/blocked", get(blocked))
        .route("/health", get(health));
    std::thread::spawn(move || {
        gmr_tests::converse(|line| match line {
            "trace?" => tracing::enabled!(tracing::Level::TRACE).to_string(),
            _ => address.to_string(),
        });
        std::process::exit(0);
    });
    tokio::spawn(restock().tracked_as("restock"));
    tokio::spawn(idle().tracked_as("idle"));
    axum::serve(listener, routes).await.expect("it serves");
}
