use super::*;
use crate::model::Trigger;

const SECOND: Duration = Duration::from_secs(1);

fn scope(timers: &mut Timers, now: Instant) -> u64 {
    let limit = 5 * SECOND;
    let matter = Matter::Scope { name: "it".into(), limit, tid: 7, thread: std::thread::current() };
    timers.add(matter, limit, now)
}

/// Looks whenever the list says so, until `end`. Returns after how many seconds there were events.
fn run(timers: &mut Timers, start: Instant, end: Duration) -> Vec<u64> {
    let mut reports = Vec::new();
    while let Some(now) = timers.next().filter(|now| *now <= start + end) {
        let events = timers.overdue(now, now);
        reports.extend(events.iter().map(|_| (now - start).as_secs()));
    }
    reports
}

#[test]
fn a_scope_that_does_not_end_makes_reports_that_become_rarer() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    scope(&mut timers, start);
    assert_eq!(run(&mut timers, start, 500 * SECOND), [5, 65, 185, 425]);
    // At last, one in an hour.
    let later = run(&mut timers, start, 100_000 * SECOND);
    assert_eq!(later[later.len() - 1] - later[later.len() - 2], 3_600);
}

#[test]
fn a_scope_that_ends_makes_none() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    let (first, second) = (scope(&mut timers, start), scope(&mut timers, start + SECOND));
    timers.remove(first);
    assert_eq!(timers.next(), Some(start + 6 * SECOND));
    timers.remove(second);
    timers.remove(second);
    assert_eq!(timers.next(), None);
    timers.add(Matter::Start { limit: Duration::MAX }, Duration::MAX, start);
    assert!(timers.next() > Some(start + 1_000_000 * SECOND), "it never ends");
}

#[test]
fn an_event_says_what_and_since_when_and_which_thread() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    scope(&mut timers, start);
    let now = start + 5 * SECOND;
    let [event] = &timers.overdue(now, now)[..] else { panic!("one event") };
    let Trigger::Automatic { name, cause, .. } = &event.trigger else { panic!("{event:?}") };
    let this = std::thread::current();
    let this = this.name().expect("tests have names");
    let expected = format!("it takes longer than 5s: thread #7 ({this}) has begun it 5.0 s ago");
    assert_eq!((name.as_str(), cause, event.thread), ("deadline", &expected, Some(7)));
}

fn beats(timers: &mut Timers, now: Instant) -> Arc<Last> {
    let last = Arc::new(Last::default());
    let matter = Matter::Beats { name: "loop".to_owned(), every: 5 * SECOND, last: Arc::clone(&last) };
    timers.add(matter, 10 * SECOND, now);
    last
}

/// Beats that come late by up to as much as is allowed, for a day.
#[test]
fn a_loop_that_beats_makes_no_report_in_a_day() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    let last = beats(&mut timers, start);
    let (mut at, mut count) = (0, 0_u64);
    while at < 86_400_000 {
        // Between 5 and 9.999 s: every beat takes up to twice as long as planned.
        at += 5_000 + count * 2_654_435_769 % 5_000;
        count += 1;
        assert_eq!(run(&mut timers, start, Duration::from_millis(at - 1)), [0; 0], "before beat {count}");
        last.at.store(at, Ordering::Relaxed);
    }
    assert!(count > 8_640);
}

#[test]
fn a_loop_that_stops_makes_reports_until_it_beats_again() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    let last = beats(&mut timers, start);
    last.at.store(3_000, Ordering::Relaxed);
    last.thread.store(9, Ordering::Relaxed);
    // 10 s after the beat, then no sooner than 60 s and 120 s later.
    assert_eq!(run(&mut timers, start, 200 * SECOND), [13, 73, 193]);
    last.at.store(205_000, Ordering::Relaxed);
    // It stops once more, and is noticed as soon as the first time.
    assert_eq!(run(&mut timers, start, 260 * SECOND), [215]);
}

/// By a debugger, SIGSTOP, or because the machine was asleep.
#[test]
fn after_a_process_was_stopped_what_is_overdue_gets_more_time() {
    let (mut timers, start) = (Timers::new(), Instant::now());
    let last = beats(&mut timers, start);
    scope(&mut timers, start);
    let (planned, now) = (start + 5 * SECOND, start + 65 * SECOND);
    assert_eq!(timers.overdue(planned, now).len(), 0);
    last.at.store(66_000, Ordering::Relaxed);
    // As much time as it was stopped for. Then it is overdue, whatever the reason.
    assert_eq!(run(&mut timers, start, 124 * SECOND), [0; 0]);
    assert_eq!(timers.overdue(start + 125 * SECOND, start + 190 * SECOND).len(), 1, "the scope");
}

#[test]
fn a_process_that_shuts_down_in_time_makes_no_report() {
    fn never() -> Option<Duration> {
        None
    }
    let (mut timers, start) = (Timers::new(), Instant::now());
    timers.add(Matter::End { limit: 20 * SECOND, since: never }, Duration::ZERO, start);
    assert_eq!(run(&mut timers, start, 3_600 * SECOND), [0; 0]);
}

#[test]
fn a_process_that_does_not_end_makes_one_report() {
    use std::sync::atomic::AtomicU64;
    static SINCE: AtomicU64 = AtomicU64::new(0);
    fn since() -> Option<Duration> {
        let since = SINCE.load(Ordering::Relaxed);
        (since > 0).then(|| Duration::from_secs(since))
    }
    let (mut timers, start) = (Timers::new(), Instant::now());
    timers.add(Matter::End { limit: 20 * SECOND, since }, Duration::ZERO, start);
    SINCE.store(3, Ordering::Relaxed);
    assert_eq!(timers.overdue(start, start).len(), 0);
    assert_eq!(timers.next(), Some(start + 17 * SECOND));
    SINCE.store(20, Ordering::Relaxed);
    assert_eq!(run(&mut timers, start, 3_600 * SECOND), [17]);
}
