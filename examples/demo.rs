//! An order service with a queue, workers, a till, and a configuration with secrets.
//!
//! `cargo run --example demo` starts it, sends it SIGUSR2, and exits once the report is printed.
//! `cargo run --example demo -- serve` keeps it running: send it `kill -USR2 PID` yourself.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use gmr::model::Trigger;
use serde::Serialize;

// --- All that gmr needs: this attribute, and one on each function that has something to show. ---

#[gmr::main(version = env!("CARGO_PKG_VERSION"), product = "order service", vendor = "Example Ltd.")]
fn main() -> ExitCode {
    let service = Service::start();
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        None => show_a_report(&service),
        Some(other) => {
            eprintln!("demo: unknown argument `{other}`; expected `serve`, or no argument");
            ExitCode::FAILURE
        }
    }
}

/// Shown as nested `key = value`.
#[gmr::section("Orders")]
fn orders() -> OrderStats {
    OrderStats {
        accepted: ACCEPTED.load(Ordering::Relaxed),
        waiting: BTreeMap::from([("express", 2), ("standard", 31)]),
        last_error: None,
    }
}

/// A section that panics: the report shows the panic in its place, and all other sections.
#[gmr::section(order = 1, timeout = "500ms")]
fn stock_levels() -> String {
    let levels: Vec<u32> = Vec::new();
    format!("{} left", levels[0])
}

/// Secrets are masked by key, by type and by value.
#[gmr::config("database")]
fn database() -> &'static Database {
    &CONFIGURATION.database
}

#[gmr::config("payment")]
fn payment() -> &'static Payment {
    &CONFIGURATION.payment
}

// --- The service itself. ---

#[derive(Serialize)]
struct OrderStats {
    accepted: u64,
    waiting: BTreeMap<&'static str, u32>,
    last_error: Option<String>,
}

struct Configuration {
    database: Database,
    payment: Payment,
}

#[derive(Serialize)]
struct Database {
    url: String,
    pool_size: u32,
    password: String,
}

#[derive(Serialize)]
struct Payment {
    provider: &'static str,
    api_key: &'static str,
    signing: gmr::Secret<String>,
    retry_after_ms: [u32; 3],
}

static CONFIGURATION: LazyLock<Configuration> = LazyLock::new(|| Configuration {
    database: Database {
        url: "postgres://shop:correct-horse@db1.internal:5432/orders".into(),
        pool_size: 8,
        password: "battery-staple".into(),
    },
    payment: Payment {
        provider: "examplepay",
        api_key: "pk-0123456789abcdef",
        signing: "tr0ub4dor-and-3".to_owned().into(),
        retry_after_ms: [100, 500, 2_000],
    },
});

static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static TILL: Mutex<u64> = Mutex::new(0);

/// What keeps the demo's threads waiting.
struct Service {
    _pipe: std::io::PipeWriter,
    _queue: mpsc::Sender<u64>,
}

impl Service {
    fn start() -> Self {
        let (reader, pipe) = std::io::pipe().expect("a pipe can be made");
        let (queue, orders) = mpsc::channel();
        spawn("till-keeper", hold_the_till);
        spawn("cashier", || ring_up(10));
        spawn("pricing", || calculate_prices(7));
        spawn("importer", move || import_orders(reader));
        spawn("packer", move || pack_orders(&orders));
        for number in 1..=3 {
            spawn(&format!("courier-{number}"), wait_for_parcels);
        }
        web::start();
        at_work();
        Self { _pipe: pipe, _queue: queue }
    }
}

/// Waits until all eight threads and `main` are here.
fn at_work() {
    static OPENING: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(9));
    OPENING.wait();
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.into()).spawn(run).expect("a thread can be started");
}

/// Holds the lock that the cashier waits for, and sleeps: a typical hang in production.
fn hold_the_till() {
    let _till = TILL.lock().unwrap_or_else(PoisonError::into_inner);
    at_work();
    loop {
        thread::park();
    }
}

fn ring_up(amount: u64) {
    at_work();
    *TILL.lock().unwrap_or_else(PoisonError::into_inner) += amount;
}

fn calculate_prices(seed: u64) {
    at_work();
    let mut price = seed;
    loop {
        price = std::hint::black_box(price.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        ACCEPTED.fetch_add(price & 1, Ordering::Relaxed);
    }
}

fn import_orders(mut pipe: std::io::PipeReader) {
    at_work();
    let mut order = [0];
    while pipe.read(&mut order).is_ok_and(|count| count > 0) {}
}

fn pack_orders(orders: &mpsc::Receiver<u64>) {
    at_work();
    for order in orders {
        ACCEPTED.fetch_add(order, Ordering::Relaxed);
    }
}

fn wait_for_parcels() {
    at_work();
    loop {
        thread::park();
    }
}

/// The asynchronous half: a web shop on tokio. Each task waits for something different.
mod web {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
    use tokio::time::sleep;

    const LONG: Duration = Duration::from_secs(10_000);

    /// The runtime is leaked: dropping it would wait for the task that blocks its worker.
    pub(super) fn start() {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("web").enable_time().build();
        let runtime = Box::leak(Box::new(runtime.expect("a runtime can be started")));
        let _entered = runtime.enter();
        let (connections, carts) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(())));
        let (orders, inbox) = mpsc::channel(16);
        for order in 4711..4714 {
            gmr::task::spawn(checkout(order, Arc::clone(&connections)));
        }
        gmr::task::spawn(deliver(inbox, orders));
        gmr::task::spawn(hold_the_cart(Arc::clone(&carts)));
        gmr::task::spawn(merge_carts(carts));
        gmr::task::spawn(recommend());
        let (started, is_started) = std::sync::mpsc::channel();
        gmr::task::spawn(resize_images(started));
        is_started.recv().expect("the last task starts");
    }

    /// Three calls deep: the report names all three, and the line at which each awaits the next.
    async fn checkout(order: u64, connections: Arc<Semaphore>) {
        gmr::task::label("request", format!("POST /orders/{order}"));
        pay(&connections).await;
    }

    async fn pay(connections: &Semaphore) {
        connect(connections).await;
    }

    async fn connect(connections: &Semaphore) {
        let _connection = connections.acquire().await;
    }

    async fn deliver(mut inbox: mpsc::Receiver<u64>, _open: mpsc::Sender<u64>) {
        while inbox.recv().await.is_some() {}
    }

    async fn hold_the_cart(carts: Arc<Mutex<()>>) {
        let _cart = carts.lock().await;
        sleep(LONG).await;
    }

    async fn merge_carts(carts: Arc<Mutex<()>>) {
        let _cart = carts.lock().await;
    }

    /// Waits in two places at once.
    async fn recommend() {
        let (_open, answer) = oneshot::channel::<u64>();
        tokio::select! {
            _ = answer => {}
            () = sleep(LONG) => {}
        }
    }

    /// Blocks its worker, which stalls an asynchronous service.
    #[allow(clippy::unused_async, reason = "that it never awaits is its defect")]
    async fn resize_images(started: std::sync::mpsc::Sender<()>) {
        started.send(()).expect("`start` waits for it");
        thread::sleep(LONG);
    }
}

fn serve() -> ExitCode {
    println!("serving as process {}: kill -USR2 {0}", std::process::id());
    loop {
        thread::sleep(Duration::from_secs(10_000));
    }
}

/// Sends the signal as an operator would, and waits until the report is printed.
fn show_a_report(_service: &Service) -> ExitCode {
    let pid = std::process::id().to_string();
    println!("$ kill -USR2 {pid}\n");
    if !Command::new("kill").args(["-USR2", &pid]).status().is_ok_and(|status| status.success()) {
        eprintln!("demo: could not run `kill -USR2 {pid}`; run it yourself against `demo -- serve`");
        return ExitCode::FAILURE;
    }
    // This request shares the signal's report or gets the one after it. It may also overtake the
    // signal; then it is repeated.
    loop {
        let report = gmr::Report::capture();
        if report.heading.number > 1 || !matches!(report.heading.trigger, Trigger::Api) {
            break;
        }
    }
    // Callers get the report before it is written. The next request is served after that.
    drop(gmr::Report::capture());
    ExitCode::SUCCESS
}
