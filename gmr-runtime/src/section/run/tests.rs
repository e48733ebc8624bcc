//! Tests of running generators: in their order, and under their deadlines.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::*;

const TOTAL: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);

fn generator(title: &str, make: impl Fn() -> Content + Send + Sync + 'static) -> Arc<Generator> {
    Arc::new(Generator::new(title, make).with_timeout(SHORT))
}

fn text(title: &str) -> Arc<Generator> {
    let content = Content::Text(title.to_owned());
    generator(title, move || content.clone())
}

fn run(generators: &[Arc<Generator>], total: Duration) -> Vec<Content> {
    let mut contents = Vec::new();
    Runner::new(generators, total, |_, _| NamedStack::missing("not taken"))
        .run(|update| contents.extend(outcome(update)));
    contents
}

fn outcome(update: Update) -> Option<Content> {
    match update {
        Update::Outcome(outcome) => Some(outcome.output.content),
        Update::Slow => None,
    }
}

/// A generator that waits for a message on its channel, and a count of its starts.
fn gated() -> (Arc<Generator>, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (open, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let starts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&starts);
    let generator = generator("Gated", move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let _ = gate.lock().unwrap().recv();
        Content::Text("open".into())
    });
    (generator, open, starts)
}

#[test]
fn all_run_and_are_shown_in_order() {
    let generators: Vec<_> = ["a", "b", "c"].map(text).into();
    let contents = run(&generators, TOTAL);
    assert_eq!(contents, ["a", "b", "c"].map(|title| Content::Text(title.into())));
}

#[test]
fn a_panic_does_not_affect_other_generators() {
    panics::set_hook();
    let generators = [text("a"), generator("b", || panic!("broken")), text("c")];
    let contents = run(&generators, TOTAL);
    assert_eq!(contents[0], Content::Text("a".into()));
    let Content::Panicked(panicked) = &contents[1] else { panic!("{contents:?}") };
    assert_eq!(panicked.message, "broken");
    assert_eq!(contents[2], Content::Text("c".into()));
    // The next report runs it again.
    assert!(matches!(run(&generators, TOTAL)[1], Content::Panicked(_)));
}

#[test]
fn a_stuck_generator_is_shown_as_such_and_not_started_again() {
    let (stuck, open, starts) = gated();
    let generators = [text("a"), stuck, text("c")];
    let contents = run(&generators, TOTAL);
    assert_eq!(contents[0], Content::Text("a".into()));
    assert!(matches!(&contents[1], Content::TimedOut(late) if late.deadline_ms == 50), "{contents:?}");
    assert_eq!(contents[2], Content::Text("c".into()));

    let contents = run(&generators, TOTAL);
    assert!(matches!(contents[1], Content::StillRunning(_)), "{contents:?}");
    assert_eq!(contents[2], Content::Text("c".into()));
    assert_eq!(starts.load(Ordering::Relaxed), 1);

    open.send(()).unwrap();
    while generators[1].current_run().is_some() {
        thread::yield_now();
    }
    open.send(()).unwrap();
    assert_eq!(run(&generators, TOTAL)[1], Content::Text("open".into()));
    assert_eq!(starts.load(Ordering::Relaxed), 2);
}

#[test]
fn others_run_while_the_stack_of_a_stuck_one_is_taken() {
    static RAN: AtomicBool = AtomicBool::new(false);
    let (stuck, _open, _) = gated();
    let other = generator("other", || {
        RAN.store(true, Ordering::Relaxed);
        Content::Text("ran".into())
    });
    let take_stack: TakeStack = |_, _| {
        while !RAN.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        NamedStack::missing("taken after the other ran")
    };
    let mut contents = Vec::new();
    Runner::new(&[stuck, other], TOTAL, take_stack).run(|update| contents.extend(outcome(update)));
    let Content::TimedOut(late) = &contents[0] else { panic!("{contents:?}") };
    assert_eq!(late.overdue.stack, NamedStack::missing("taken after the other ran").stack);
    assert_eq!(contents[1], Content::Text("ran".into()));
}

#[test]
fn a_slow_run_is_announced_once_before_it_ends() {
    let (stuck, _open, _) = gated();
    let stuck = Arc::new(Arc::into_inner(stuck).unwrap().with_timeout(SLOW * 2));
    let mut updates = Vec::new();
    Runner::new(&[text("a"), stuck], TOTAL, |_, _| NamedStack::missing("not taken"))
        .run(|update| updates.push(outcome(update).is_some()));
    assert_eq!(updates, [true, false, true]);
    let mut updates = Vec::new();
    Runner::new(&[text("a"), text("b")], TOTAL, |_, _| NamedStack::missing("not taken"))
        .run(|update| updates.push(outcome(update).is_some()));
    assert!(updates.iter().filter(|known| **known).count() == 2, "{updates:?}");
}

#[test]
fn generators_that_do_not_start_within_the_total_are_skipped() {
    let (stuck, _open, _) = gated();
    let stuck = Arc::new(Arc::into_inner(stuck).unwrap().with_timeout(TOTAL));
    let contents = run(&[stuck, text("b")], SHORT);
    assert!(matches!(&contents[0], Content::TimedOut(late) if late.deadline_ms == 50), "{contents:?}");
    assert!(matches!(&contents[1], Content::Skipped(reason) if reason.contains("0.05 s")), "{contents:?}");
}
