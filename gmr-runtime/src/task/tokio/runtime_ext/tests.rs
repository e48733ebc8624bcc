//! Each method does what tokio's does, and tracks.

use std::sync::mpsc;

use ::tokio::task::yield_now;

use super::RuntimeExt as _;
use crate::task::tests::{all_tasks, alone};
use crate::task::tokio::testing::{runtime, tracked_at};

#[test]
fn spawn_tracked_tracks() {
    let _turn = alone();
    let runtime = runtime();
    let line = line!() + 1;
    let by_runtime = runtime.spawn_tracked(async { 1 });
    let by_handle = runtime.handle().spawn_tracked(async { 2 });
    assert_eq!((tracked_at(file!(), line), tracked_at(file!(), line + 1)), (1, 1));
    assert_eq!(runtime.block_on(by_runtime).unwrap() + runtime.block_on(by_handle).unwrap(), 3);
}

#[test]
fn spawn_blocking_tracked_tracks_until_the_function_returns() {
    let _turn = alone();
    let runtime = runtime();
    let (sender, receiver) = mpsc::channel();
    let line = line!() + 1;
    let task = runtime.spawn_blocking_tracked(move || receiver.recv().unwrap());
    assert_eq!(tracked_at(file!(), line), 1);
    sender.send(17).unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 17);
    assert_eq!(tracked_at(file!(), line), 0);
}

#[test]
fn block_on_tracked_tracks_and_drives_the_runtime() {
    let _turn = alone();
    let runtime = runtime();
    let line = line!() + 1;
    let found = runtime.block_on_tracked(async move {
        yield_now().await;
        all_tasks().tasks.iter().filter(|task| task.spawned_at.line() == line).count()
    });
    assert_eq!(found, 1);
    // A handle drives no current-thread runtime, but polls.
    assert_eq!(runtime.handle().block_on_tracked(async { 17 }), 17);
}
