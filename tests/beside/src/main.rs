//! Measures task tracers: the cost of a poll of three nested async functions, and the time to write
//! the stacks of many such tasks as text.

use std::future::poll_fn;
use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Measurements per median.
const RUNS: usize = 9;

async fn leaf() {
    poll_fn(|context| {
        black_box(context.waker());
        Poll::<()>::Pending
    })
    .await;
}

mod bare {
    pub async fn outer() {
        middle().await;
    }

    async fn middle() {
        inner().await;
    }

    async fn inner() {
        super::leaf().await;
    }
}

mod instrumented {
    use await_tree::InstrumentAwait as _;

    pub async fn outer() {
        middle().instrument_await("middle").await;
    }

    async fn middle() {
        inner().instrument_await("inner").await;
    }

    async fn inner() {
        super::leaf().instrument_await("leaf").await;
    }
}

mod framed {
    #[async_backtrace::framed]
    pub async fn outer() {
        middle().await;
    }

    #[async_backtrace::framed]
    async fn middle() {
        inner().await;
    }

    #[async_backtrace::framed]
    async fn inner() {
        super::leaf().await;
    }
}

/// Tokio's task dump sees only tokio's own leaf futures.
#[cfg(feature = "taskdump")]
mod channel {
    pub async fn outer() {
        middle().await;
    }

    async fn middle() {
        inner().await;
    }

    async fn inner() {
        let (_open, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
        receiver.recv().await;
    }
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..RUNS).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[RUNS / 2]
}

fn polls<F: Future<Output = ()>>(tracer: &str, make: impl Fn() -> F) {
    const POLLS: u32 = 1_000_000;
    const TASKS: u32 = 200_000;
    let mut context = Context::from_waker(Waker::noop());
    let mut future = Box::pin(make());
    let _ = future.as_mut().poll(&mut context);
    let poll = median(|| {
        let start = Instant::now();
        for _ in 0..POLLS {
            let _ = black_box(future.as_mut().poll(&mut context));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(POLLS)
    });
    let task = median(|| {
        let start = Instant::now();
        for _ in 0..TASKS {
            let _ = black_box(Box::pin(make()).as_mut().poll(&mut context));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(TASKS)
    });
    println!("{tracer}: {poll:.1} ns per poll; {task:.1} ns to create, poll once and drop a task");
}

fn all_polls() {
    let registry = await_tree::Registry::new(await_tree::Config::default());
    polls("bare", bare::outer);
    polls("gmr", || gmr_runtime::task::track(bare::outer()));
    polls("await-tree", || registry.register_anonymous("outer").instrument(instrumented::outer()));
    polls("async-backtrace", framed::outer);
}

async fn dumps(tracer: &str, count: usize) {
    let registry = await_tree::Registry::new(await_tree::Config::default());
    for number in 0..count {
        match tracer {
            "await-tree" => {
                tokio::spawn(registry.register(number, "outer").instrument(instrumented::outer()))
            }
            "async-backtrace" => tokio::spawn(framed::outer()),
            #[cfg(feature = "taskdump")]
            "taskdump" => tokio::spawn(channel::outer()),
            _ => panic!("unknown tracer {tracer}"),
        };
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..RUNS {
        let start = Instant::now();
        let bytes: usize = match tracer {
            "await-tree" => registry.collect::<usize>().iter().map(|(_, tree)| tree.to_string().len()).sum(),
            "async-backtrace" => async_backtrace::taskdump_tree(true).len(),
            #[cfg(feature = "taskdump")]
            "taskdump" => {
                let dump = tokio::runtime::Handle::current().dump().await;
                dump.tasks().iter().map(|task| task.trace().to_string().len()).sum()
            }
            _ => 0,
        };
        println!("{tracer}: {count} tasks in {:?}, {bytes} bytes", start.elapsed());
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    if what == "poll" {
        return all_polls();
    }
    let count = arguments.next().map_or(1_000, |count| count.parse().expect("the number of tasks"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime").block_on(dumps(&what, count));
    // Exit without waiting for tasks, which never end.
    std::process::exit(0);
}
