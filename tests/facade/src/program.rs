//! A program that starts a task in each way that tokio has, and two forms of `main`.
//!
//! Each task that a test has to find is started in a line with the comment `spawn: NAME`, and waits
//! in a line with the comment `wait: NAME`.

use std::io::stdin;
use std::sync::Arc;

use tokio::RuntimeExt as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::oneshot::{self, Receiver};
use tokio::task::{self, JoinSet, LocalSet};
use tokio::time::{Duration, sleep};

pub mod above {
    //! `#[gmr::main]` above the attribute.

    /// Runs until standard input is closed.
    #[gmr::main]
    #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    pub async fn main() {
        super::run().await; // wait: main above
    }
}

pub mod below {
    //! `#[gmr::main]` below the attribute.

    /// Runs until standard input is closed.
    #[tokio::main(flavor = "current_thread")]
    #[gmr::main]
    pub async fn main() {
        super::run().await; // wait: main below
    }
}

pub mod alone {
    //! A `main` without gmr's attribute.

    /// Runs until standard input is closed.
    ///
    /// # Panics
    /// If gmr can't be installed.
    #[tokio::main]
    pub async fn main() {
        gmr::Builder::new().install().expect("it is not installed").keep();
        super::run().await; // wait: main alone
    }
}

async fn hour() {
    sleep(Duration::from_hours(1)).await; // wait: hour
}

async fn run() {
    let local = LocalSet::new();
    local.spawn_local(hour()); // spawn: in local set
    local.run_until(inside()).await;
}

async fn for_a_permit(semaphore: Arc<Semaphore>) {
    let _permit = semaphore.acquire().await; // wait: permit
}

async fn selecting(closed: Receiver<()>) {
    tokio::pin! {
        let hour = hour();
    }
    tokio::select! {
        () = &mut hour => {}
        _ = closed => {}
    }
}

async fn joining() {
    tokio::join!(hour(), for_a_permit(Arc::new(Semaphore::new(0))));
}

/// Blocks until the test closes the standard input.
fn until_closed() {
    println!("ready");
    // An end, or an error that is none of the test's.
    let _ = stdin().read_line(&mut String::new()); // wait: blocking
}

async fn inside() {
    let (open, closed) = oneshot::channel();

    tokio::spawn(hour()); // spawn: by root
    task::spawn(for_a_permit(Arc::new(Semaphore::new(0)))); // spawn: by task
    task::spawn_local(hour()); // spawn: local

    let mut set = JoinSet::new();
    set.spawn(hour()); // spawn: in set
    set.spawn_on(hour(), &Handle::current()); // spawn: in set, on
    set.spawn_local(hour()); // spawn: in set, local
    set.extend([hour()]); // spawn: in set, extended

    Handle::current().spawn_tracked(hour()); // spawn: by handle
    Handle::current().spawn(hour()); // a method of tokio's: not tracked

    tokio::spawn(selecting(closed)); // spawn: select
    tokio::spawn(joining()); // spawn: join

    let input = task::spawn_blocking(until_closed); // spawn: blocking
    input.await.expect("it does not panic"); // wait: inside
    drop(open);
    set.shutdown().await;
}
