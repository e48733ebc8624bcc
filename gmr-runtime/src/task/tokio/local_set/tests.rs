//! Each method of the set does what tokio's does, and the one that starts a task tracks it.

use std::rc::Rc;

use ::tokio::task;

use super::LocalSet;
use crate::task::tests::alone;
use crate::task::tokio::testing::{run, runtime, tracked_at};

#[test]
fn spawn_local_tracks_before_the_set_runs() {
    let _turn = alone();
    let set = LocalSet::default();
    let not_send = Rc::new(17);
    let line = line!() + 1;
    let task = set.spawn_local(async move { *not_send });
    assert_eq!(tracked_at(file!(), line), 1);
    assert_eq!(set.block_on(&runtime(), task).unwrap(), 17);
    assert_eq!(tracked_at(file!(), line), 0);
}

#[test]
fn the_set_is_a_future_of_its_tasks() {
    run(async {
        let set = LocalSet::new();
        let task = set.spawn_local(async { task::spawn_local(async { 17 }).await.unwrap() });
        set.await;
        assert!(task.is_finished());
        assert_eq!(task.await.unwrap(), 17);
    });
}

#[test]
fn a_context_is_entered() {
    let set = LocalSet::new();
    let task = {
        let _inside = set.enter();
        task::spawn_local(async { 17 })
    };
    assert_eq!(runtime().block_on(set.run_until(task)).unwrap(), 17);
}

#[test]
fn the_set_is_tokios_where_that_is_asked_for() {
    fn id(set: &task::LocalSet) -> ::tokio::runtime::Id {
        set.id()
    }
    let set = LocalSet::new();
    let expected = set.id();
    assert_eq!(id(&set), expected);
    let tokios: task::LocalSet = set.into();
    assert_eq!(tokios.id(), expected);
    assert_eq!(format!("{:?}", LocalSet::from(tokios)), "LocalSet");
}
