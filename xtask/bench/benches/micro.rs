//! The parts of a report one by one: unwinding a frame, naming an address, masking, rendering.
//! `cargo xtask bench` runs this and prints the results next to those of whole reports.

use std::hint::black_box;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use gmr_runtime::model::Content;
use gmr_runtime::task::{TrackExt as _, label};
use gmr_runtime::{__bench as inside, Format, Report};
use tokio::task::JoinHandle;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

/// One of the rows in the table of whole reports.
const THREADS: usize = 1000;
/// Frames of this program; the standard library adds a dozen.
const DEPTH: usize = 20;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    one_stack(&mut criterion);
    masking(&mut criterion);
    polls(&mut criterion);
    spawns(&mut criterion);
    labels(&mut criterion);
    spans(&mut criterion);
    whole_reports(&mut criterion);
    criterion.final_summary();
}

fn one_stack(criterion: &mut Criterion) {
    let mut specimen = inside::Specimen::of_thread(thread_of(0));
    let frames = specimen.unwind();
    let mut addresses: Vec<u64> = specimen.symbolize().iter().map(|frame| frame.address).collect();
    addresses.dedup();
    addresses.sort_unstable();
    addresses.dedup();

    let mut group = criterion.benchmark_group("per frame");
    group.throughput(Throughput::Elements(frames as u64));
    group.bench_function("unwind", |bencher| bencher.iter(|| specimen.unwind()));
    group.finish();

    let mut group = criterion.benchmark_group("per address");
    group.throughput(Throughput::Elements(addresses.len() as u64));
    group.bench_function("symbolize, cold", |bencher| {
        bencher.iter_batched(inside::forget_symbols, |()| specimen.symbolize(), BatchSize::PerIteration);
    });
    group.bench_function("symbolize, known", |bencher| bencher.iter(|| specimen.symbolize()));
    group.finish();
}

fn masking(criterion: &mut Criterion) {
    let group = serde_json::json!({
        "url": "postgres://app:hunter2@db.example.com:5432/orders",
        "password": "hunter2", "user": "app", "pool": { "size": 16, "timeout_ms": 250, "tls": true },
        "hosts": ["a.example.com", "b.example.com"], "log": "info,orders=debug", "ratio": 0.75,
    });
    let configuration: Vec<_> = vec![group; 10];
    criterion.bench_function("mask a configuration of 100 values", |bencher| {
        bencher.iter(|| inside::mask(black_box(&configuration)));
    });
    let line = "/usr/lib/jvm/bin/java -Xmx2g -Dspring.datasource.password=hunter2 -jar /srv/app.jar \
                --server.port=8080 --spring.profiles.active=prod";
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    criterion.bench_function("mask a command line", |bencher| {
        bencher.iter(|| gmr_mask::arguments(black_box(&arguments)));
    });
}

/// The cost of tracking a task while no report is made.
fn polls(criterion: &mut Criterion) {
    let waiting = || std::future::poll_fn(|_| black_box(Poll::<()>::Pending));
    let (mut bare, mut tracked) = (pin!(waiting()), pin!(waiting().tracked()));
    let mut context = Context::from_waker(Waker::noop());
    let mut group = criterion.benchmark_group("per poll");
    group.bench_function("a bare future", |bencher| bencher.iter(|| bare.as_mut().poll(&mut context)));
    group.bench_function("a tracked future", |bencher| bencher.iter(|| tracked.as_mut().poll(&mut context)));
    // A leaf that keeps its waker, three functions deep, as in the reports of many tasks.
    let (mut deep, mut in_report) = (pin!(outer()), pin!(outer()));
    group.bench_function("a future that keeps a waker", |bencher| {
        bencher.iter(|| deep.as_mut().poll(&mut context));
    });
    let mut tracing = inside::Tracing::begin();
    group.bench_function("the same for a report", |bencher| {
        bencher.iter(|| assert_eq!(tracing.poll(in_report.as_mut(), &context), 1));
    });
    group.finish();
    criterion
        .bench_function("per task: track and drop", |bencher| bencher.iter(|| drop(waiting().tracked())));
}

/// A way to spawn a task that ends at once.
type Spawn = fn() -> JoinHandle<()>;

/// The cost of spawning a task on tokio and of waiting for its end, by one worker, and by two at
/// the same time.
fn spawns(criterion: &mut Criterion) {
    let ways: [(&str, Spawn); 2] = [
        ("tokio::spawn", || tokio::spawn(async {})),
        ("gmr::task::spawn", || gmr_runtime::task::tokio::spawn(async {})),
    ];
    for workers in [1, 2] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(workers).build().expect("a runtime");
        let mut group = criterion.benchmark_group(format!("per spawn, {workers} at a time"));
        for (name, spawn) in ways {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| runtime.block_on(spawn_all(workers, times, spawn)));
            });
        }
        group.finish();
    }
}

/// How long it takes to spawn so many tasks one after the other, in so many loops at a time.
async fn spawn_all(loops: usize, tasks: u64, spawn: Spawn) -> Duration {
    let start = Instant::now();
    let spawning = |_| {
        tokio::spawn(async move {
            for _ in 0..tasks {
                spawn().await.expect("it does not panic");
            }
        })
    };
    for spawning in (0..loops).map(spawning).collect::<Vec<_>>() {
        spawning.await.expect("no task panics");
    }
    start.elapsed()
}

async fn outer() {
    black_box(middle().await);
}

async fn middle() -> u32 {
    inner().await;
    black_box(17)
}

async fn inner() {
    let mut kept: Option<Waker> = None;
    let wait = std::future::poll_fn(|context| {
        // A waker of a report wakes no other task's, and replaces the one before.
        drop(kept.replace(context.waker().clone()));
        Poll::<()>::Pending
    });
    wait.await;
}

/// The cost of a label, with this many tasks in the process.
fn labels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("per label");
    for tasks in [1, 1_000, 100_000] {
        let others: Vec<_> = (1..tasks).map(|_| std::future::pending::<()>().tracked()).collect();
        group.bench_function(format!("of {tasks} tasks"), |bencher| {
            let labelling = std::future::poll_fn(|_| {
                bencher.iter(|| label("order", black_box(4711)));
                Poll::Ready(())
            });
            let polled = pin!(labelling.tracked()).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_ready());
        });
        drop(others);
    }
    group.finish();
}

/// The cost of the layer for `tracing`: what it adds to the registry alone, while no report is
/// made. The layer is measured with its filter, as programs use it.
fn spans(criterion: &mut Criterion) {
    let registry = || Dispatch::new(Registry::default());
    let layer = || Dispatch::new(Registry::default().with(gmr_runtime::tracing::layer()));
    for (name, subscriber) in [("registry alone", registry()), ("registry and layer", layer())] {
        dispatcher::with_default(&subscriber, || {
            let mut group = criterion.benchmark_group(format!("tracing, {name}"));
            group.bench_function("a span: open, enter, leave, close", |bencher| {
                bencher.iter(|| {
                    let span = tracing::info_span!("request", order = black_box(4711_u64));
                    let _entered = span.enter();
                });
            });
            group.bench_function("enter and leave an open span", |bencher| {
                let span = tracing::info_span!("request", order = black_box(4711_u64));
                bencher.iter(|| drop(span.enter()));
            });
            group.bench_function("an event in a span", |bencher| {
                let span = tracing::info_span!("request", order = black_box(4711_u64));
                let _entered = span.enter();
                bencher.iter(|| tracing::info!(sku = black_box(17_u64), "stock is low"));
            });
            group.finish();
        });
    }
}

/// A thousand threads whose stacks are equal, then a thousand whose stacks differ, so that the text
/// can't group them.
fn whole_reports(criterion: &mut Criterion) {
    for way in 1..THREADS {
        thread_of(way);
    }
    let report = Report::capture();
    let mut alike = report.clone();
    let threads = alike.sections.iter_mut().find_map(|section| match &mut section.content {
        Content::Threads(section) => Some(&mut section.threads),
        _ => None,
    });
    let threads = threads.expect("it is built in");
    let stack = threads[THREADS / 2].stack.clone();
    for thread in &mut *threads {
        thread.stack = stack.clone();
    }
    for (name, report) in
        [("1,000 threads, all stacks alike", alike), ("1,000 threads, all stacks different", report.clone())]
    {
        let mut group = criterion.benchmark_group(name);
        for format in [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html] {
            let mut bytes = Vec::new();
            group.bench_function(format!("model to {format}"), |bencher| {
                bencher.iter(|| {
                    bytes.clear();
                    report.write_to(&mut bytes, format)
                });
            });
            println!("{name}: {format} has {} bytes", bytes.len());
        }
        group.finish();
    }
    findings(criterion, &report);
}

/// The cost of findings in a report of a thousand threads: without a lock, with threads that wait
/// for the same lock, with as many locks as are listed, and with a deadlock over all of these.
fn findings(criterion: &mut Criterion, report: &Report) {
    /// The most locks that a report lists.
    const LOCKS: usize = 64;
    let with = |locks, in_circle| {
        let mut report = report.clone();
        inside::wait_for_locks(&mut report, locks, in_circle);
        report
    };
    let mut group = criterion.benchmark_group("findings, 1,000 threads");
    for (name, report, is_suspected) in [
        ("no lock", report.clone(), false),
        ("one lock", with(1, false), false),
        ("64 locks", with(LOCKS, false), false),
        ("64 locks in a deadlock", with(LOCKS, true), true),
    ] {
        assert_eq!(inside::find(&report).0 > 0, is_suspected, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| inside::find(black_box(&report))));
    }
    group.finish();
}

/// Starts a thread that waits at the end of its own chain of calls, and returns its id.
fn thread_of(way: usize) -> u32 {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || descend(DEPTH, way, &sender));
    receiver.recv().expect("the thread sends its id")
}

type Sender = mpsc::Sender<u32>;

#[inline(never)]
fn descend(depth: usize, way: usize, sender: &Sender) -> usize {
    if depth == 0 {
        let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        sender.send(tid).expect("the receiver waits");
        loop {
            thread::park();
        }
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, sender) + black_box(1)
}

#[inline(never)]
fn step_aside(depth: usize, way: usize, sender: &Sender) -> usize {
    if depth == 0 {
        return descend(depth, way, sender);
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, sender) + black_box(2)
}
