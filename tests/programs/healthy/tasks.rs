//! Tasks that wait for time, for each other, and for blocking calls, on tokio and smol.

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gmr::task::TrackExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::{LocalSet, block_in_place};
use tokio::time::{interval, sleep, timeout};

use crate::{Mode, pace_task, spawn};

pub(crate) const MODES: &[Mode] = &[
    ("tokio-idle", "an idle runtime of tokio", false, tokio_idle),
    ("smol-idle", "an idle executor of smol, with a timer", false, smol_idle),
    ("smol-used", "tasks of smol that wake up each other", false, smol_used),
    ("intervals", "a `select!` loop with intervals", false, intervals),
    ("tokio-semaphore", "tasks that wait for a permit, and hold it while they sleep", false, permits),
    ("tokio-mutex", "a `Mutex` of tokio that is held across an await", false, async_mutex),
    ("join-set", "a `JoinSet` whose tasks end and are replaced", false, join_set),
    ("spawn-blocking", "blocking calls in the pool for them", false, blocking),
    ("block-in-place", "a worker that blocks in place, for long", false, in_place),
    (
        "current-thread",
        "`block_on` of a runtime of one thread, with long-lived futures",
        false,
        current_thread,
    ),
    ("local-set", "a `LocalSet` in `block_on`", false, local_set),
    ("until-shutdown", "tasks that are pending until the program shuts down", false, until_shutdown),
    ("actors", "actors that wait for messages", false, actors),
    ("actors-used", "actors that send each other messages", false, actors_used),
    ("one-shots", "tasks that wait for the answer of a slow one", false, one_shots),
    ("timeouts", "timeouts around waits that never end", false, timeouts),
    ("short-tasks", "tasks that end as soon as they are spawned", true, short_tasks),
    ("computing-tasks", "tasks that compute, and yield every millisecond", true, computing),
];

/// A runtime that lives as long as the program.
pub(crate) fn runtime(name: &str) -> &'static Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).thread_name(name).enable_all().build();
    Box::leak(Box::new(runtime.expect("a runtime")))
}

fn tokio_idle() {
    runtime("tokio-idle");
}

fn smol_idle() {
    let sleeping = async {
        loop {
            smol::Timer::after(Duration::from_millis(20)).await;
        }
    };
    smol::spawn(sleeping.tracked()).detach();
    smol::spawn(smol::Timer::after(Duration::from_hours(1)).tracked()).detach();
}

fn smol_used() {
    let (ask, asked) = smol::channel::bounded::<u64>(1);
    let (reply, replies) = smol::channel::bounded::<u64>(1);
    let answers = async move {
        while let Ok(number) = asked.recv().await {
            smol::Timer::after(Duration::from_millis(5)).await;
            let _ = reply.send(number).await;
        }
    };
    smol::spawn(answers.tracked_as("answers")).detach();
    let asks = async move { while ask.send(7).await.is_ok() && replies.recv().await.is_ok() {} };
    smol::spawn(asks.tracked_as("asks")).detach();
}

fn intervals() {
    let _entered = runtime("intervals").enter();
    gmr::task::spawn(async {
        let mut often = interval(Duration::from_millis(3));
        let mut seldom = interval(Duration::from_mins(1));
        loop {
            tokio::select! {
                _ = often.tick() => {}
                _ = seldom.tick() => {}
                () = pending() => {}
            }
        }
    });
}

fn permits() {
    let _entered = runtime("permits").enter();
    let permits = Arc::new(Semaphore::new(2));
    for _ in 0..6 {
        let permits = Arc::clone(&permits);
        gmr::task::spawn(async move {
            loop {
                let _permit = permits.acquire().await.expect("it is open");
                sleep(Duration::from_millis(5)).await;
            }
        });
    }
}

fn async_mutex() {
    let _entered = runtime("mutex").enter();
    let stock = Arc::new(Mutex::new(0_u64));
    for _ in 0..5 {
        let stock = Arc::clone(&stock);
        gmr::task::spawn(async move {
            loop {
                let mut held = stock.lock().await;
                sleep(Duration::from_millis(3)).await;
                *held += 1;
            }
        });
    }
}

fn join_set() {
    let _entered = runtime("join-set").enter();
    gmr::task::spawn(async {
        let mut set = gmr::task::JoinSet::new();
        for number in 0_u64.. {
            set.spawn(async move { sleep(Duration::from_millis(number % 7)).await });
            if set.len() > 8 {
                set.join_next().await;
                pace_task().await;
            }
        }
    });
}

fn blocking() {
    let _entered = runtime("blocking").enter();
    for _ in 0..3 {
        gmr::task::spawn_blocking(|| thread::sleep(Duration::from_hours(1)));
    }
    gmr::task::spawn(async {
        loop {
            let waits = gmr::task::spawn_blocking(|| thread::sleep(Duration::from_millis(10)));
            waits.await.expect("it does not panic");
        }
    });
}

fn in_place() {
    let _entered = runtime("in-place").enter();
    gmr::task::spawn(async { block_in_place(|| thread::sleep(Duration::from_hours(1))) });
    gmr::task::spawn(async {
        loop {
            block_in_place(|| thread::sleep(Duration::from_millis(5)));
            sleep(Duration::from_millis(5)).await;
        }
    });
}

fn current_thread() {
    spawn("current-thread", || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            gmr::task::spawn(sleep(Duration::from_hours(1)));
            let mut interval = interval(Duration::from_millis(10));
            loop {
                interval.tick().await;
            }
        });
    });
    spawn("only-waits", || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { sleep(Duration::from_hours(1)).await }.tracked());
    });
}

fn local_set() {
    spawn("local-set", || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let (sender, mut receiver) = mpsc::channel(1);
            gmr::task::spawn_local(async move {
                while sender.send(7_u64).await.is_ok() {
                    sleep(Duration::from_millis(10)).await;
                }
            });
            while receiver.recv().await.is_some() {}
        });
    });
}

fn until_shutdown() {
    let _entered = runtime("until-shutdown").enter();
    let (shutdown, _) = watch::channel(false);
    let notify: &Notify = Box::leak(Box::default());
    for _ in 0..3 {
        let mut ends = shutdown.subscribe();
        gmr::task::spawn(async move { drop(ends.wait_for(|ends| *ends).await) });
        gmr::task::spawn(notify.notified());
    }
    gmr::task::spawn(async move {
        tokio::signal::ctrl_c().await.expect("a handler");
        shutdown.send(true).expect("they wait");
        notify.notify_waiters();
    });
}

fn actors() {
    let _entered = runtime("actors").enter();
    for _ in 0..4 {
        let (sender, mut receiver) = mpsc::channel::<u64>(8);
        gmr::task::spawn(async move { while receiver.recv().await.is_some() {} });
        // Whoever sends it messages keeps it.
        std::mem::forget(sender);
    }
}

fn actors_used() {
    let _entered = runtime("actors-used").enter();
    let (sender, mut receiver) = mpsc::channel::<oneshot::Sender<u64>>(2);
    gmr::task::spawn(async move {
        while let Some(asked) = receiver.recv().await {
            sleep(Duration::from_millis(1)).await;
            pace_task().await;
            let _ = asked.send(7);
        }
    });
    for _ in 0..4 {
        let sender = sender.clone();
        gmr::task::spawn(async move {
            loop {
                let (answer, answered) = oneshot::channel();
                sender.send(answer).await.expect("it is open");
                answered.await.expect("it is answered");
            }
        });
    }
}

fn one_shots() {
    let _entered = runtime("one-shots").enter();
    for _ in 0..3 {
        let (answer, answered) = oneshot::channel::<u64>();
        gmr::task::spawn(async move {
            sleep(Duration::from_hours(1)).await;
            let _ = answer.send(7);
        });
        gmr::task::spawn(answered);
    }
}

fn timeouts() {
    let _entered = runtime("timeouts").enter();
    gmr::task::spawn(async {
        loop {
            let _ = timeout(Duration::from_millis(5), pending::<()>()).await;
        }
    });
    gmr::task::spawn(async { drop(timeout(Duration::from_hours(1), pending::<()>()).await) });
}

fn short_tasks() {
    let _entered = runtime("short-tasks").enter();
    gmr::task::spawn(async {
        loop {
            for task in (0..16_u64).map(|number| gmr::task::spawn(async move { number })) {
                task.await.expect("it does not panic");
            }
            sleep(Duration::from_millis(1)).await;
            pace_task().await;
        }
    });
}

fn computing() {
    let _entered = runtime("computing").enter();
    for seed in 0..3_u64 {
        gmr::task::spawn(async move {
            let mut sum = seed;
            loop {
                sum = (0..50_000).fold(sum, |sum, number| std::hint::black_box(sum.rotate_left(7) ^ number));
                tokio::task::yield_now().await;
                pace_task().await;
            }
        });
    }
}
