//! A service with an admin port that serves its reports at `/gmr`, and at `/guarded` with all
//! options set. `port` answers with the port; `hold` and `release` control whether its section
//! keeps a report waiting; `load` makes reports large; `asked` and `made` answer with how many
//! reports were requested and made; `capture` makes one on a runtime of one thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;

static ASKED: AtomicU64 = AtomicU64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);
static HELD: Mutex<bool> = Mutex::new(false);
static RELEASED: Condvar = Condvar::new();

/// Made once for each report.
#[gmr::section("Held", timeout = "10s")]
fn held() -> u64 {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    drop(RELEASED.wait_while(held, |held| *held));
    MADE.fetch_add(1, Ordering::Relaxed) + 1
}

static IS_LOADED: AtomicBool = AtomicBool::new(false);

/// Two megabytes, if wanted: as many values as a section can have, in which no secret is looked
/// for.
#[gmr::section("Load", timeout = "10s")]
fn load() -> Option<Vec<u64>> {
    IS_LOADED.load(Ordering::Relaxed).then(|| vec![u64::MAX; 99_000])
}

#[gmr::section("More load", timeout = "10s")]
fn more_load() -> Option<Vec<u64>> {
    load()
}

fn hold(on: bool) -> String {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = on;
    RELEASED.notify_all();
    on.to_string()
}

/// Captures a report on a runtime whose only thread also has to release the report's section.
fn capture_on_one_thread() -> String {
    hold(true);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let report = runtime.block_on(async {
        let capture = tokio::spawn(gmr::Report::capture_async());
        // The capture is polled before this returns.
        tokio::task::yield_now().await;
        hold(false);
        capture.await.expect("the capture does not panic")
    });
    format!("{:?}", report.section("Held").map(|section| &section.content))
}

async fn count(request: Request, next: Next) -> Response {
    ASKED.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

#[gmr::main(product = "admin")]
fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let port = listener.local_addr()?.port();
    let guarded = gmr_axum::Admin::new()
        .host("admin.example")
        .bearer_token("t0ken")
        .min_interval(Duration::from_hours(1))
        .authorize(|request| !request.headers.contains_key("x-stranger"));
    let admin = Router::new()
        .nest_service("/gmr", gmr_axum::router())
        .nest_service("/guarded", gmr_axum::router_with(guarded))
        .layer(middleware::from_fn(count))
        .into_make_service_with_connect_info::<SocketAddr>();
    drop(runtime.spawn(async { axum::serve(listener, admin).await }));
    gmr_tests::converse(|question| match question {
        "port" => port.to_string(),
        "hold" => hold(true),
        "release" => hold(false),
        "load" => (!IS_LOADED.swap(true, Ordering::Relaxed)).to_string(),
        "capture" => capture_on_one_thread(),
        "asked" => ASKED.load(Ordering::Relaxed).to_string(),
        _ => MADE.load(Ordering::Relaxed).to_string(),
    });
    Ok(())
}
