//! A shop at its worst, as somebody on call meets it: two hundred threads of which two are in a
//! deadlock and others wait for them, three hundred requests, and a peer that does not answer. A
//! line on its standard input is a folder: it captures one report and writes it there as a page and
//! as JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Barrier, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gmr::task::TrackExt;
use gmr::{Format, Report, Secret};

static TILL: Mutex<u64> = Mutex::new(0);
static LEDGER: Mutex<u64> = Mutex::new(0);
static BOTH_HELD: Barrier = Barrier::new(3);
static ORDERS: (Mutex<Vec<u64>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());

#[gmr::config]
fn database() -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([
        ("host", "db1.shop.example".into()),
        ("pool_size", 16.into()),
        ("password", "hunter2".into()),
        ("statement_timeout", "0 ms".into()),
    ])
}

#[gmr::config]
fn payment() -> BTreeMap<&'static str, Secret<&'static str>> {
    BTreeMap::from([("api_key", Secret::new("sk_live_4711"))])
}

#[gmr::section("Stock Levels")]
fn stock_levels() -> BTreeMap<String, usize> {
    (1..=8).map(|number| (format!("warehouse {number}"), number * 1_700)).collect()
}

#[gmr::section("Price List")]
fn price_list() -> Result<u64, std::io::Error> {
    Err(std::io::Error::other("the price list is older than a day"))
}

#[inline(never)]
fn ring_up() {
    let till = TILL.lock().unwrap_or_else(PoisonError::into_inner);
    BOTH_HELD.wait();
    book(*till);
}

#[inline(never)]
fn book(amount: u64) {
    *LEDGER.lock().unwrap_or_else(PoisonError::into_inner) += amount;
}

#[inline(never)]
fn close_the_books() {
    let ledger = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
    BOTH_HELD.wait();
    count_the_till(*ledger);
}

#[inline(never)]
fn count_the_till(expected: u64) {
    assert_eq!(*TILL.lock().unwrap_or_else(PoisonError::into_inner), expected);
}

#[inline(never)]
fn wait_for_an_order() {
    let (orders, arrived) = &ORDERS;
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    while orders.is_empty() {
        orders = arrived.wait(orders).unwrap_or_else(PoisonError::into_inner);
    }
}

#[inline(never)]
fn ask_the_bank(mut bank: &TcpStream) {
    let mut answer = [0; 16];
    let read = bank.read(&mut answer);
    std::hint::black_box(&read).as_ref().expect("it never answers");
}

/// A recursion, as of a parser.
#[inline(never)]
fn price_of_a_bundle(depth: u32) -> u64 {
    if depth == 0 {
        loop {
            thread::park();
        }
    }
    std::hint::black_box(price_of_a_bundle(depth - 1)) + 1
}

async fn checkout(order: u32) {
    gmr::task::label("order", order);
    gmr::task::label("customer", format!("customer-{}@shop.example", order % 40));
    if order.is_multiple_of(3) { reserve_stock().await } else { charge_card().await }
}

async fn reserve_stock() {
    tokio::time::sleep(Duration::from_hours(1)).await;
}

async fn charge_card() {
    let (_open, answer) = tokio::sync::oneshot::channel::<()>();
    drop(answer.await);
}

fn start(name: String, run: impl FnOnce() + Send + 'static) {
    let run = || {
        gmr_tests::arrive();
        run();
    };
    thread::Builder::new().name(name).spawn(run).expect("a thread");
}

fn start_threads(bank: &'static TcpStream) {
    start("cashier".into(), ring_up);
    start("auditor".into(), close_the_books);
    // Only then can others want them.
    BOTH_HELD.wait();
    for number in 0..12 {
        start(format!("report-{number}"), || count_the_till(0));
    }
    for number in 0..160 {
        start(format!("order-{number}"), wait_for_an_order);
    }
    for number in 0..24 {
        start(format!("bank-{number}"), || ask_the_bank(bank));
    }
    start("pricing".into(), || assert_ne!(price_of_a_bundle(184), 0));
}

fn write(folder: &Path) -> std::io::Result<()> {
    let report = Report::capture();
    for format in [Format::Json, Format::Html] {
        report.write_to(File::create(folder.join(format!("report.{format}")))?, format)?;
    }
    Ok(())
}

#[gmr::main(product = "shop", version = "4.2.0")]
fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let bank = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    start_threads(Box::leak(Box::new(bank)));
    // It is closed by the end of the process, and not before: its threads would notice.
    std::mem::forget(listener);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build();
    let runtime = runtime.expect("a runtime");
    for order in 4_000..4_300 {
        drop(runtime.spawn(checkout(order).tracked_as("shop::checkout")));
    }
    gmr_tests::settle(199);
    gmr_tests::converse(|folder| match write(Path::new(folder)) {
        Ok(()) => "written".to_owned(),
        Err(error) => error.to_string(),
    });
}
