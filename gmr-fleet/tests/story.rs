//! The story of `docs/fleet/story.md`: forty processes of a service, half of them of a new version, in
//! a tenth of which two threads wait for each other. From one signal to the cause by three commands.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{fleet, folder, ship};

const PROCESSES: usize = 40;

/// What somebody types, but for the names of folders.
const COMMANDS: [&str; 3] = [
    "gmr ship reports tables",
    "gmr fleet findings tables",
    "gmr fleet diff tables version=1.1 version=1.2 --top 3",
];

/// A small shop, if the other test has started it: says when it is open, and closes when its input
/// ends. As version 1.2, a refund takes the locks in the other order.
#[test]
fn shop() {
    let Ok(version) = std::env::var("FLEET_SHOP") else { return };
    let guard = gmr_runtime::Builder::new().product("shop").version(version.clone()).install();
    let guard = guard.expect("installed");
    let shop = Arc::new(Shop::default());
    let mut orders = Vec::new();
    for index in 0..4 {
        let (sender, receiver) = channel();
        orders.push(sender);
        let shop = Arc::clone(&shop);
        let work = move || work(&shop, &receiver);
        thread::Builder::new().name(format!("order-{index}")).spawn(work).expect("a thread");
    }
    if std::env::var_os("FLEET_REFUND").is_some() {
        orders[0].send(Order::Refund).expect("somebody works");
        orders[1].send(Order::Charge).expect("somebody works");
        // Both have one lock, and want the other one.
        shop.met.wait();
        orders[2].send(Order::Charge).expect("somebody works");
    }
    println!("\nopen");
    let _ = io::stdin().read(&mut [0]);
    drop(guard);
    // Some threads never end.
    std::process::exit(0);
}

enum Order {
    Charge,
    Refund,
}

struct Shop {
    ledger: Mutex<u64>,
    stock: Mutex<u64>,
    /// Makes the rare case happen each time.
    met: Barrier,
}

impl Default for Shop {
    fn default() -> Self {
        Self { ledger: Mutex::default(), stock: Mutex::default(), met: Barrier::new(3) }
    }
}

fn work(shop: &Shop, orders: &Receiver<Order>) {
    for order in orders {
        match order {
            Order::Charge => charge(shop),
            Order::Refund => refund(shop),
        }
    }
}

#[inline(never)]
fn charge(shop: &Shop) {
    let mut ledger = shop.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    shop.met.wait();
    let mut stock = shop.stock.lock().unwrap_or_else(PoisonError::into_inner);
    (*ledger, *stock) = (*ledger + 1, *stock + 1);
}

#[inline(never)]
fn refund(shop: &Shop) {
    let mut stock = shop.stock.lock().unwrap_or_else(PoisonError::into_inner);
    shop.met.wait();
    let mut ledger = shop.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    (*ledger, *stock) = (*ledger + 1, *stock + 1);
}

/// Starts a shop, and waits until it is open.
fn open(index: usize, reports: &Path) -> Child {
    let version = if index < PROCESSES / 2 { "1.1" } else { "1.2" };
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "story::shop", "--nocapture", "--test-threads=1"]);
    command.env("FLEET_SHOP", version).env("GMR_LOG_DIR", reports).env("GMR_FORMAT", "json");
    // A tenth of the new version.
    if index >= PROCESSES - PROCESSES / 20 {
        command.env("FLEET_REFUND", "yes");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert!(said.any(|line| line.expect("text") == "open"), "it has ended");
    child
}

/// The files of whole reports.
fn written(reports: &Path) -> usize {
    let entries = fs::read_dir(reports).into_iter().flatten();
    let is_report = |entry: &io::Result<fs::DirEntry>| {
        entry
            .as_ref()
            .is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
    };
    entries.filter(is_report).count()
}

/// `cargo xtask fleet --write` writes what the commands say into the documentation.
#[test]
fn three_commands_lead_from_a_signal_to_the_cause() {
    let folder = folder("story");
    let (reports, tables) = (folder.join("reports"), folder.join("tables"));
    fs::create_dir(&reports).expect("a folder");
    let shops: Vec<Child> = (0..PROCESSES).map(|index| open(index, &reports)).collect();
    for shop in &shops {
        let pid = shop.id().to_string();
        assert!(Command::new("kill").args(["-USR2", &pid]).status().expect("it runs").success());
    }
    let since = Instant::now();
    while written(&reports) < PROCESSES {
        assert!(since.elapsed() < Duration::from_mins(3), "{} reports", written(&reports));
        thread::sleep(Duration::from_millis(20));
    }
    for mut shop in shops {
        drop(shop.stdin.take());
        assert!(shop.wait().expect("it ends").success());
    }
    let shipped = ship(&reports, &tables);
    let path = tables.display().to_string();
    let findings = fleet(&["fleet", "findings", &path]).well();
    let diff = fleet(&["fleet", "diff", &path, "version=1.1", "version=1.2", "--top", "3"]).well();
    // What is wrong, in how many.
    assert!(findings.contains("error: deadlock") || findings.contains("  error: "), "{findings}");
    assert!(findings.contains("      in 2 of 40 processes on 1 host"), "{findings}");
    // Since when, and where.
    assert!(diff.contains("  0 of 20 processes, now 2 of 20 processes: threads (place "), "{diff}");
    assert!(["refund", "charge"].iter().all(|name| diff.contains(&format!("story::{name}, "))), "{diff}");

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet/story.md");
    let text = fs::read_to_string(&page).expect("the page");
    assert!(COMMANDS.iter().all(|command| text.contains(&format!("$ {command}\n"))), "{text}");
    if std::env::var_os("GMR_TEST_WRITE_TABLES").is_some() {
        let (begin, end) = ("```console\n$ pkill -USR2 shop\n", "```\n<!-- end -->");
        let (before, rest) = text.split_once(begin).expect("the beginning");
        let (_, after) = rest.split_once(end).expect("the end");
        let said = [&shipped, &findings, &diff].map(|said| {
            let shown = said.replace(&format!("{}/", folder.display()), "");
            shown.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "")
        });
        let commands = COMMANDS.iter().zip(&said).map(|(command, said)| format!("$ {command}\n{said}"));
        let commands = commands.collect::<Vec<_>>().join("\n");
        fs::write(&page, format!("{before}{begin}{}\n{end}{after}", commands.trim_end())).expect("written");
    }
}
