//! Looks made by hand.

use serde_json::{Value, json};

use super::*;

const PERIOD: Duration = Duration::from_millis(50);

/// A look at these threads, whose frames are `main`, `work` and `wait`.
fn look(threads: &[Value]) -> Report {
    let frame = |function: &str| {
        json!({
            "address": 1, "function": function, "file": "src/shop.rs", "line": 7, "source": null, "inlined": false,
            "module": null, "module_offset": null, "build_id": null,
        })
    };
    let document = json!({
        "schema_version": "1.3",
        "heading": {
            "number": 0, "made_at": "2026-01-02T03:04:05.678Z", "pid": 7, "trigger": { "kind": "api" }, "notes": [],
        },
        "findings": [],
        "sections": [{
            "title": "Threads", "took_us": 1,
            "content": { "kind": "threads", "data": { "threads": threads, "notes": [] } },
        }],
        "frames": [frame("shop::main"), frame("shop::work"), frame("shop::wait")],
        "summary": { "number": 0, "sections": 1, "failed": 0, "threads": threads.len(), "took_us": 1 },
    });
    Report::from_json(&document.to_string()).expect("a report")
}

fn thread(tid: u32, state: &str, cpu_us: Option<u64>, frames: &[u32], taken: &str) -> Value {
    let is_blocked = state != "running";
    let waiting = json!({ "call": "futex", "futex_others": 0 });
    json!({
        "tid": tid, "name": "worker", "role": "program", "state": state, "cpu_user_ms": 0, "cpu_system_ms": 0,
        "cpu_us": cpu_us, "started_at": null, "policy": null, "last_cpu": null,
        "waiting": if is_blocked { waiting } else { Value::Null },
        "stack": { "frames": frames, "incomplete": null, "taken": taken },
    })
}

fn running(tid: u32, cpu_us: u64) -> Value {
    thread(tid, "running", Some(cpu_us), &[1, 0], "by signal")
}

fn waiting(tid: u32, cpu_us: u64) -> Value {
    thread(tid, "sleeping", Some(cpu_us), &[2, 0], "at rest")
}

/// The profile of looks at these times, in milliseconds.
fn profile(looks: &[(u64, &[Value])]) -> Profile {
    let mut profile = Profile::default();
    for (at, threads) in looks {
        profile.add(&look(threads), Duration::from_millis(*at), PERIOD);
    }
    profile
}

/// Stacks with their times in milliseconds.
fn times(profile: &Profile, weights: &Weights) -> Vec<(String, u128)> {
    let name = |stack: usize| {
        let places = profile.stacks[stack].places.iter();
        places.map(|place| &*profile.places[*place].function).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<_> =
        weights.iter().map(|((stack, _), weight)| (name(*stack), weight.time.as_millis())).collect();
    all.sort();
    all
}

#[test]
fn processor_time_counts_where_the_thread_ran_at_the_look() {
    let all = profile(&[(0, &[running(1, 0)]), (50, &[running(1, 40_000)]), (100, &[running(1, 70_000)])]);
    assert_eq!(times(&all, &all.on_cpu), [("shop::main shop::work".to_owned(), 70)]);
    assert!(all.off_cpu.is_empty());
    let Totals { time, looks, seen, not_seen, .. } = all.totals;
    assert_eq!((time.as_millis(), looks, seen.as_millis(), not_seen.as_millis()), (100, 2, 70, 0));
}

#[test]
fn time_of_a_thread_that_is_blocked_again_is_not_that_of_where_it_waits() {
    let all = profile(&[(0, &[waiting(1, 0)]), (50, &[waiting(1, 30_000)]), (100, &[waiting(1, 30_000)])]);
    assert!(all.on_cpu.is_empty());
    assert_eq!(times(&all, &all.off_cpu), [("shop::main shop::wait [futex]".to_owned(), 70)]);
    let weight = all.off_cpu.values().next().expect("one");
    assert_eq!((weight.samples, weight.certain.as_millis()), (2, 50), "it has not run in the second one");
    assert_eq!((all.totals.seen.as_millis(), all.totals.not_seen.as_millis()), (0, 30));
    // It ran when it was listed, and was blocked when its stack was read.
    let blocked = thread(1, "running", Some(30_000), &[2, 0], "at rest");
    let all = profile(&[(0, &[waiting(1, 0)]), (50, &[blocked])]);
    assert!(all.on_cpu.is_empty() && all.off_cpu.is_empty());
    assert_eq!(all.totals.not_seen.as_millis(), 30);
}

#[test]
fn what_is_not_known_is_counted_apart() {
    let blank = thread(1, "running", Some(40_000), &[], "by signal");
    let all = profile(&[(0, &[running(1, 0)]), (50, &[blank])]);
    assert!(all.on_cpu.is_empty());
    assert_eq!((all.totals.without_stack.as_millis(), all.totals.missing), (40, 1));
    // After a look that is late, and of a thread that has run meanwhile.
    let all =
        profile(&[(0, &[running(1, 0), waiting(2, 0)]), (900, &[running(1, 800_000), waiting(2, 9_000)])]);
    assert!(all.on_cpu.is_empty() && all.off_cpu.is_empty());
    let Totals { late, before_late, not_seen, .. } = all.totals;
    assert_eq!((late, before_late.as_millis(), not_seen.as_millis()), (1, 800, 9));
    // One that has not run has waited there all the time.
    let all = profile(&[(0, &[waiting(2, 5)]), (900, &[waiting(2, 5)])]);
    assert_eq!(times(&all, &all.off_cpu), [("shop::main shop::wait [futex]".to_owned(), 900)]);
}

#[test]
fn threads_come_and_go() {
    // All that a new one has used, it has used since the look before.
    let all = profile(&[(0, &[]), (50, &[running(2, 20_000), waiting(3, 1_000)]), (100, &[])]);
    assert_eq!(times(&all, &all.on_cpu), [("shop::main shop::work".to_owned(), 20)]);
    assert!(all.off_cpu.is_empty(), "it is not known since when");
    assert_eq!(all.totals.not_seen.as_millis(), 1);
    // Another one with the same id, which has used less.
    let all = profile(&[(0, &[running(2, 50_000)]), (50, &[running(2, 10_000)])]);
    assert_eq!(all.totals.seen.as_millis(), 10);
}

#[test]
fn where_clocks_count_ticks_a_thread_that_runs_counts_with_the_time_between_the_looks() {
    let tick = || thread(1, "running", None, &[1, 0], "by signal");
    let all = profile(&[(0, &[tick()]), (50, &[tick()])]);
    assert!(all.totals.is_estimated);
    assert_eq!(all.totals.seen.as_millis(), 50);
}

#[test]
fn names_have_no_control_characters() {
    let mut named = running(1, 0);
    named["name"] = json!("\u{1b}[31mred");
    let mut later = running(1, 10_000);
    later["name"] = named["name"].clone();
    let all = profile(&[(0, &[named]), (50, &[later])]);
    assert_eq!(all.names, ["\\u{1b}[31mred"]);
}
