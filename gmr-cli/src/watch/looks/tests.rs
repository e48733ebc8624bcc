//! Looks at this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;

#[inline(never)]
fn wait_here(receiver: &Receiver<()>, has_arrived: &Sender<()>) {
    let _ = has_arrived.send(());
    let _ = receiver.recv();
    std::hint::black_box(1);
}

/// A thread that waits there until the sender is dropped.
fn waiting() -> (Sender<()>, thread::JoinHandle<()>) {
    let ((sender, receiver), (arrived, has_arrived)) = (channel(), channel());
    let thread = thread::spawn(move || wait_here(&receiver, &arrived));
    has_arrived.recv().expect("it starts");
    (sender, thread)
}

fn here(look: &Look) -> Option<&Group> {
    look.groups.iter().find(|group| group.stack.iter().any(|line| line.contains("wait_here")))
}

#[test]
fn a_look_says_what_has_changed_since_the_one_before() {
    let between = Duration::from_secs(1);
    let one = waiting();
    let reports = [Report::capture(), Report::capture()];
    let first = Look::of(&reports[0], None);
    let group = here(&first).expect("the thread");
    assert_eq!((group.count, group.before, group.cpu, group.has_changed()), (1, None, None, false));
    let look = |report, (earlier, look)| Look::of(report, Some(Earlier { report: earlier, look, between }));
    let second = look(&reports[1], (&reports[0], &first));
    let group = here(&second).expect("the thread");
    assert_eq!((group.count, group.before, group.cpu, group.has_changed()), (1, Some(1), Some(0.0), false));
    assert_eq!((&*group.state, group.members.len()), ("sleeping", 1));
    let two = waiting();
    let more = Report::capture();
    let third = look(&more, (&reports[1], &second));
    let group = here(&third).expect("the threads");
    assert_eq!((group.count, group.before, group.has_changed()), (2, Some(1), true));
    for (sender, thread) in [one, two] {
        drop(sender);
        thread.join().expect("it ends");
    }
    let none = Report::capture();
    let fourth = look(&none, (&more, &third));
    let group = here(&fourth).expect("they are shown once more");
    assert_eq!((group.count, group.before, &*group.state), (0, Some(2), "gone"));
    let fifth = look(&none, (&none, &fourth));
    assert!(here(&fifth).is_none());
    assert!(total(&fifth.groups, Kind::Thread) > 0);
}
