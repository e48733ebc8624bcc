//! An axum server with a route that waits for something that never happens. It answers any line
//! with its address.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use gmr::task::RequestLayer;
use tokio::sync::Semaphore;

async fn order(State(stock): State<Arc<Semaphore>>, Path(order): Path<u64>) -> String {
    reserve(&stock).await;
    format!("order {order}")
}

async fn reserve(stock: &Semaphore) {
    let _ = stock.acquire().await;
}

async fn health() -> &'static str {
    std::future::ready("well").await
}

#[gmr::main]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let routes = Router::new()
            .route("/orders/{order}", get(order))
            .route("/health", get(health))
            .layer(RequestLayer::new())
            .with_state(Arc::new(Semaphore::new(0)));
        gmr::task::spawn(async move { axum::serve(listener, routes).await });
        address
    });
    gmr_tests::converse(|_| address.to_string());
    std::process::exit(0);
}
