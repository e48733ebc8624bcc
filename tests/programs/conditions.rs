//! What options watch: a runtime of tokio, whose tasks block it or hang when they are told to, and
//! memory, descriptors and threads, which come and go.
//!
//! `conditions one|many|apart`: a runtime of one thread, which runs `main`; one with two workers;
//! or one of one thread that polls nothing, as nobody waits for it.

use std::fs::File;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use gmr::task::TrackExt as _;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

#[gmr::main]
fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut builder =
        if mode == "many" { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = builder.worker_threads(2).build().expect("a runtime");
    gmr::task::watch_runtime(runtime.handle());
    if mode == "apart" {
        return gmr_tests::converse(|_| "done".to_owned());
    }
    let handle = runtime.handle().clone();
    let workers = if mode == "many" { 2 } else { 1 };
    let (mut ends, mut memory): (Vec<Sender<()>>, _) = (Vec::new(), Vec::new());
    let (mut files, mut orders): (Vec<File>, Vec<oneshot::Sender<()>>) = (Vec::new(), Vec::new());
    let mut converse = move || {
        gmr_tests::converse(|what| {
            match what {
                "block" => {
                    for _ in 0..workers {
                        let (end, ended) = channel();
                        handle.spawn(async move { hang(&ended) }.tracked_as("blocked"));
                        ends.push(end);
                    }
                }
                "end" => ends.clear(),
                // Tasks that come back to the runtime all the time.
                "work" => drop((0..4).map(|_| handle.spawn(work())).collect::<Vec<_>>()),
                "allocate" => memory = vec![1_u8; 48 << 20],
                "free" => memory = Vec::new(),
                "open" => files.extend((0..180).map(|_| File::open("/dev/null").expect("it is there"))),
                "close" => files.clear(),
                "start threads" => {
                    for _ in 0..100 {
                        let (end, ended) = channel();
                        gmr_tests::start_named("many", move || hang(&ended));
                        ends.push(end);
                    }
                }
                // Tasks of a kind that ends soon, one that does not end, and another that never
                // does.
                "order" => {
                    let (end, ended) = oneshot::channel();
                    handle.spawn(order(ended).tracked_as("order"));
                    orders.push(end);
                }
                "deliver" => orders.clear(),
                "accept" => drop(handle.spawn(std::future::pending::<()>().tracked_as("accept"))),
                _ => {}
            }
            format!("done with {} bytes", memory.len())
        });
    };
    let (ended, is_ended) = oneshot::channel();
    thread::spawn(move || {
        converse();
        let _ = ended.send(());
    });
    runtime.block_on(async { is_ended.await.expect("it is sent") }.tracked_as("main"));
    runtime.shutdown_background();
}

fn hang(ended: &std::sync::mpsc::Receiver<()>) {
    assert!(ended.recv().is_err());
}

async fn order(ended: oneshot::Receiver<()>) {
    assert!(ended.await.is_err());
}

async fn work() {
    loop {
        tokio::task::yield_now().await;
    }
}
