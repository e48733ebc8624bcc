//! Threads in functions of the program that look like those of other crates: methods of the
//! program's own trait, for a type of the standard library or of a runtime. One thread is the
//! runtime's.

use std::sync::mpsc;
use std::thread;

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

#[gmr::main]
fn main() {
    for (name, start) in
        [("of-option", <Option<u32> as Job>::start as fn()), ("of-notify", <Notify as Job>::start)]
    {
        thread::Builder::new().name(name.to_owned()).spawn(start).expect("there are threads");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name("of-tokio").build().expect("a runtime");
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move { sender.send(()) });
    receiver.recv().expect("the worker is running");
    gmr_tests::converse(str::to_owned);
}
