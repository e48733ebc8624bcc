//! Each method of the set does what tokio's does, and those that start a task track it.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

use ::tokio::sync::oneshot;
use ::tokio::task::{LocalSet, yield_now};

use super::JoinSet;
use crate::task::entry::Entry;
use crate::task::tests::{all_tasks, alone};
use crate::task::tokio::testing::{run, runtime, tracked_at};

#[test]
fn spawn_tracks() {
    run(async {
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn(async { 17 });
        assert_eq!((set.len(), tracked_at(file!(), line)), (1, 1));
        assert_eq!(set.join_next().await.unwrap().unwrap(), 17);
        assert_eq!((set.len(), tracked_at(file!(), line)), (0, 0));
    });
}

#[test]
fn spawn_on_tracks_on_that_runtime() {
    let _turn = alone();
    let (here, there) = (runtime(), runtime());
    let mut set = JoinSet::new();
    let line = line!() + 1;
    set.spawn_on(async { ::tokio::runtime::Handle::current().id() }, there.handle());
    assert_eq!(tracked_at(file!(), line), 1);
    there.block_on(yield_now());
    let joined = here.block_on(set.join_next());
    assert_eq!(joined.unwrap().unwrap(), there.handle().id());
}

#[test]
fn spawn_local_tracks() {
    run(LocalSet::new().run_until(async {
        let not_send = std::rc::Rc::new(17);
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn_local(async move { *not_send });
        assert_eq!(tracked_at(file!(), line), 1);
        assert_eq!(set.join_next().await.unwrap().unwrap(), 17);
    }));
}

#[test]
fn spawn_local_on_tracks_before_the_local_set_runs() {
    run(async {
        let (local, not_send) = (LocalSet::new(), std::rc::Rc::new(17));
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn_local_on(async move { *not_send }, &local);
        assert_eq!(tracked_at(file!(), line), 1);
        assert_eq!(local.run_until(set.join_next()).await.unwrap().unwrap(), 17);
    });
}

#[test]
fn spawn_blocking_tracks_until_the_closure_returns() {
    run(async {
        let (sender, receiver) = mpsc::channel();
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn_blocking(move || receiver.recv().unwrap());
        assert_eq!(tracked_at(file!(), line), 1);
        sender.send(17).unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 17);
        assert_eq!(tracked_at(file!(), line), 0);
    });
}

#[test]
fn spawn_blocking_on_tracks_on_that_runtime() {
    let _turn = alone();
    let (here, there) = (runtime(), runtime());
    let (sender, receiver) = mpsc::channel();
    let mut set = JoinSet::new();
    let line = line!() + 1;
    set.spawn_blocking_on(move || receiver.recv().unwrap(), there.handle());
    assert_eq!(tracked_at(file!(), line), 1);
    sender.send(17).unwrap();
    assert_eq!(here.block_on(set.join_next()).unwrap().unwrap(), 17);
}

#[test]
fn from_iter_and_extend_track() {
    run(async {
        let mut set: JoinSet<_> = (0..3).map(|number| async move { number }).collect();
        let by_extend = line!() + 1;
        set.extend((3..5).map(|number| async move { number }));
        // Named after this function, from whatever line `collect` spawned them.
        let named = |task: &&Arc<Entry>| task.name.contains("::from_iter_and_extend_track::");
        let tracked = all_tasks().tasks.iter().filter(named).count();
        assert_eq!((set.len(), tracked, tracked_at(file!(), by_extend)), (5, 5, 2));
        let mut numbers = set.join_all().await;
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn join_all_returns_the_outputs_in_the_order_of_completion() {
    run(async {
        let (open, opened) = oneshot::channel();
        let mut set = JoinSet::new();
        set.spawn(async {
            opened.await.unwrap();
            1
        });
        set.spawn(async {
            open.send(()).unwrap();
            2
        });
        assert_eq!(set.join_all().await, [2, 1]);
    });
}

#[test]
fn join_all_passes_a_panic_on_and_aborts_the_rest() {
    let mut line = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        run(async {
            let mut set = JoinSet::<()>::new();
            set.spawn(async { panic!("broken") });
            line = line!() + 1;
            set.spawn(pending());
            assert_eq!(tracked_at(file!(), line), 1);
            set.join_all().await
        })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"broken"));
    assert_eq!(tracked_at(file!(), line), 0);
}

#[test]
fn join_next_with_id_names_the_task() {
    run(async {
        let mut set = JoinSet::new();
        let id = set.spawn(async { 17 }).id();
        assert_eq!(set.join_next_with_id().await.unwrap().unwrap(), (id, 17));
        assert!(set.join_next_with_id().await.is_none());
    });
}

#[test]
fn try_join_next_does_not_wait() {
    run(async {
        let mut set = JoinSet::new();
        let id = set.spawn(async { 17 }).id();
        assert!(set.try_join_next().is_none() && set.try_join_next_with_id().is_none(), "not polled yet");
        yield_now().await;
        assert_eq!(set.try_join_next_with_id().unwrap().unwrap(), (id, 17));
        set.spawn(async { 18 });
        yield_now().await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 18);
        assert!(set.is_empty());
    });
}

#[test]
fn poll_join_next_is_join_next_by_hand() {
    run(async {
        let mut set = JoinSet::new();
        assert!(set.poll_join_next(&mut Context::from_waker(Waker::noop())).is_ready(), "it is empty");
        set.spawn(async { 17 });
        assert!(set.poll_join_next(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(poll_fn(|context| set.poll_join_next(context)).await.unwrap().unwrap(), 17);
        let id = set.spawn(async { 18 }).id();
        let joined = poll_fn(|context| set.poll_join_next_with_id(context)).await;
        assert_eq!(joined.unwrap().unwrap(), (id, 18));
    });
}

#[test]
fn shutdown_aborts_and_empties() {
    run(async {
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn(pending::<()>());
        set.shutdown().await;
        assert_eq!((set.len(), tracked_at(file!(), line)), (0, 0));
    });
}

#[test]
fn abort_all_leaves_the_tasks_to_be_joined() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        set.abort_all();
        assert_eq!(set.len(), 1);
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn detach_all_leaves_the_tasks_running_and_tracked() {
    run(async {
        let (open, opened) = oneshot::channel::<()>();
        let (close, closed) = oneshot::channel();
        let mut set = JoinSet::new();
        let line = line!() + 1;
        set.spawn(async {
            opened.await.unwrap();
            close.send(17).unwrap();
        });
        set.detach_all();
        assert!(set.is_empty());
        drop(set);
        assert_eq!(tracked_at(file!(), line), 1);
        open.send(()).unwrap();
        assert_eq!(closed.await.unwrap(), 17);
    });
}

#[test]
fn dropping_the_set_aborts_its_tasks() {
    run(async {
        let mut set = JoinSet::default();
        let line = line!() + 1;
        set.spawn(pending::<()>());
        yield_now().await;
        assert_eq!(tracked_at(file!(), line), 1);
        drop(set);
        yield_now().await;
        assert_eq!(tracked_at(file!(), line), 0);
    });
}

#[test]
fn it_is_shown_as_tokios_is() {
    struct NotDebug;
    let mut set = JoinSet::<NotDebug>::new();
    assert_eq!(format!("{set:?}"), "JoinSet { len: 0 }");
    let mut next = pin!(set.join_next());
    let polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(None)));
}

#[test]
fn spawning_outside_of_a_runtime_panics_and_tracks_nothing() {
    let _turn = alone();
    let mut set = JoinSet::new();
    let line = line!() + 1;
    let spawned = catch_unwind(AssertUnwindSafe(|| set.spawn(async {})));
    assert!(spawned.is_err() && set.is_empty());
    assert_eq!(tracked_at(file!(), line), 0);
}

#[test]
fn the_set_is_tokios_where_that_is_asked_for() {
    async fn join(set: &mut ::tokio::task::JoinSet<u8>) -> u8 {
        set.join_next().await.unwrap().unwrap()
    }
    run(async {
        let mut set = JoinSet::new();
        set.spawn(async { 17 });
        assert_eq!(join(&mut set).await, 17);
        set.spawn(async { 18 });
        let tokios: ::tokio::task::JoinSet<u8> = set.into();
        assert_eq!(JoinSet::from(tokios).join_all().await, [18]);
    });
}
