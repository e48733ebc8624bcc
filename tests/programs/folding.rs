//! Threads in functions of the program that look like those of other crates: methods of the
//! program's own trait, for a type of the standard library or of a runtime. Some threads are
//! runtimes' workers, and some wait in a runtime for a future.

use std::future::pending;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

trait Job {
    fn start();
    fn deeper();
}

/// The functions do something after each call, so that none is a tail call.
macro_rules! job {
    ($of_type:ty, $wait:ident) => {
        impl Job for $of_type {
            #[inline(never)]
            fn start() {
                Self::deeper();
                std::hint::black_box(stringify!($of_type));
            }

            #[inline(never)]
            fn deeper() {
                $wait();
                std::hint::black_box(stringify!($of_type));
            }
        }
    };
}

job!(Option<u32>, wait_parked);
job!(Notify, wait_parked);

#[inline(never)]
fn wait_parked() {
    loop {
        thread::park();
    }
}

/// Functions that wait in a runtime, each for a future that never ends.
macro_rules! waits_in {
    ($($function:ident: $wait:expr,)*) => {
        $(
            #[inline(never)]
            fn $function() {
                $wait;
                std::hint::black_box(stringify!($function));
            }
        )*
    };
}

waits_in! {
    in_multi_thread: Runtime::new().expect("a runtime").block_on(pending::<()>()),
    in_current_thread: Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(pending::<()>()),
    in_smol: smol::block_on(pending::<()>()),
    in_futures: futures::executor::block_on(pending::<()>()),
}

/// Never gives its worker back.
#[allow(clippy::unused_async, reason = "a task that computes")]
async fn compute() {
    loop {
        std::hint::spin_loop();
    }
}

#[gmr::main]
fn main() {
    let threads: [(&str, fn()); 6] = [
        ("of-option", <Option<u32> as Job>::start),
        ("of-notify", <Notify as Job>::start),
        ("in-multi", in_multi_thread),
        ("in-current", in_current_thread),
        ("in-smol", in_smol),
        ("in-futures", in_futures),
    ];
    for (name, start) in threads {
        thread::Builder::new().name(name.to_owned()).spawn(start).expect("there are threads");
    }
    let workers = |name: &str| {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name(name).build().expect("a runtime")
    };
    let (sender, receiver) = mpsc::channel();
    let idle = workers("of-tokio");
    idle.spawn(async move { sender.send(()) });
    receiver.recv().expect("the worker is running");
    let busy = workers("busy");
    busy.spawn(compute());
    gmr_tests::converse(str::to_owned);
    // Its task would keep the program from ending.
    busy.shutdown_background();
}
