//! Threads and children that do not go on, or the healthy counterpart, by the argument:
//!
//! - `standing`: a thread writes to a pipe that nobody reads, another waits for a lock that the
//!   first one holds, and children that have ended are not waited for;
//! - `going`: threads write to a pipe that is read, pass a lock around, wait for work, and start
//!   children and wait for them.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};

use gmr_tests::start_named;

static LOCK: Mutex<()> = Mutex::new(());

#[inline(never)]
fn write_all(mut pipe: PipeWriter, has_begun: &mpsc::Sender<()>) {
    let _held = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = has_begun.send(());
    let _ = pipe.write_all(&vec![0; 16 << 20]);
}

#[inline(never)]
fn take_lock() {
    drop(LOCK.lock().unwrap_or_else(PoisonError::into_inner));
}

#[inline(never)]
fn read_all(mut pipe: PipeReader) {
    let mut piece = [0; 4096];
    while pipe.read(&mut piece).is_ok_and(|length| length > 0) {}
}

/// A process that ends at once, or nothing if there is no such program.
fn child() -> Option<std::process::Child> {
    Command::new("true").stdin(Stdio::null()).spawn().ok()
}

#[gmr::main]
fn main() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    if std::env::args().nth(1).as_deref() == Some("standing") {
        let (has_begun, begun) = mpsc::channel();
        start_named("writer", move || write_all(writer, &has_begun));
        begun.recv().expect("it has the lock");
        start_named("locker", take_lock);
        let children: Vec<_> = (0..3).map(|_| child()).collect();
        gmr_tests::converse(|_| String::new());
        drop((children, reader));
    } else {
        start_named("reader", move || read_all(reader));
        for name in ["writer-1", "writer-2"] {
            let writer = writer.try_clone().expect("a descriptor");
            let ignored = mpsc::channel().0;
            start_named(name, move || {
                loop {
                    write_all(writer.try_clone().expect("a descriptor"), &ignored);
                }
            });
        }
        start_named("parent", || {
            while let Some(mut child) = child() {
                let _ = child.wait();
            }
        });
        let (_work, works) = mpsc::channel::<()>();
        start_named("pool", move || _ = works.recv());
        gmr_tests::converse(|_| String::new());
    }
}
