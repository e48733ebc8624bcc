use std::future::{pending, ready};
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::task::TrackExt as _;

/// These tests share the list of kinds, and ids of tasks.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

const LIMIT_OF_TEST: Duration = Duration::from_secs(3_600);

fn poll(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

/// One of a kind that ends or not.
async fn order(ends: bool) {
    if ends { ready(()).await } else { pending().await }
}

fn spawn(ends: bool) -> crate::task::Tracked<impl Future> {
    order(ends).tracked_as("order")
}

/// At so many hours.
fn look(slow: &mut SlowTasks, start: Instant, hours: u32, late: Duration) -> Option<Problem> {
    slow.look_at(start + hours * LIMIT_OF_TEST, late)
}

#[test]
fn a_task_is_slow_once_another_one_of_its_kind_has_ended_in_time() {
    let _one = ONE_AT_A_TIME.lock();
    let (mut slow, start) = (SlowTasks::new(LIMIT_OF_TEST), Instant::now());
    let (hanging, permanent) = (spawn(false), pending::<()>().tracked_as("permanent"));
    let mut look = |hours| look(&mut slow, start, hours, Duration::ZERO);
    assert!(look(0).is_none());
    let problem = look(1);
    assert!(problem.is_none(), "no other has ended: {problem:?}");
    poll(spawn(true));
    let problem = look(2).expect("it is slow");
    assert!(
        problem.cause.contains("(order)") && problem.cause.contains("takes longer than 1h"),
        "{problem:?}"
    );
    assert_eq!(problem.thread, None);
    drop(hanging);
    let problem = look(3);
    assert!(problem.is_none(), "the other is the only one of its kind: {problem:?}");
    drop(permanent);
}

#[test]
fn tasks_get_as_much_time_again_as_the_process_did_not_run() {
    let _one = ONE_AT_A_TIME.lock();
    let (mut slow, start) = (SlowTasks::new(LIMIT_OF_TEST), Instant::now());
    poll(spawn(true));
    let hanging = spawn(false);
    assert!(look(&mut slow, start, 0, Duration::ZERO).is_none());
    assert!(look(&mut slow, start, 1, LIMIT_OF_TEST).is_none(), "it was stopped all the time");
    assert!(look(&mut slow, start, 2, Duration::ZERO).is_some());
    // In a forked child, it is the parent's.
    let mut slow = SlowTasks::new(LIMIT_OF_TEST);
    assert!((0..3).all(|hours| look(&mut slow, start, hours, Duration::ZERO).is_none()));
    drop(hanging);
}
