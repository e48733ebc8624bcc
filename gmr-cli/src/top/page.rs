//! The profile as text: the functions that ran most, and where threads waited.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::samples::{Profile, Weight, Weights};
use crate::output::{Page, counted};

/// The most functions, and the most places of waits.
const TOP: usize = 15;

/// The most lines of the stack of a wait.
const LINES: usize = 3;

pub(super) fn page(profile: &Profile, title: &str, notes: &[String]) -> Page {
    let mut page = Page::new();
    page.heading(title);
    for note in notes {
        page.line(2, note);
    }
    if profile.totals.tasks > 0 {
        page.heading("Where tasks were");
        waits(&mut page, profile, &profile.of_tasks, "tasks");
        return page;
    }
    page.heading("Functions on the processor");
    functions(&mut page, profile);
    page.heading("Where threads waited");
    waits(&mut page, profile, &profile.off_cpu, "threads");
    page
}

/// What the processor time was, and where it was not seen.
pub(super) fn processor_time(profile: &Profile) -> Vec<String> {
    let totals = &profile.totals;
    let used = totals.used();
    let mut lines = vec![format!(
        "processor time: {} ({:.2} cores), of which {} seen",
        seconds(used),
        ratio(used, totals.time),
        share(totals.seen, used)
    )];
    let not_seen = [
        (totals.not_seen, "by threads that were blocked again at the next look: not seen where"),
        (totals.without_stack, "by threads without a stack"),
        (totals.before_late, "before looks that were late"),
    ];
    for (time, what) in not_seen.into_iter().filter(|(time, _)| !time.is_zero()) {
        lines.push(format!("{} {what}", share(time, used)));
    }
    if totals.is_estimated {
        lines.push(
            "clocks count ticks here: who ran at a look counts as running since the one before".to_owned(),
        );
    }
    for (count, what) in [(totals.missing, "that ran"), (totals.missing_waits, "that waited")] {
        if count > 0 {
            lines.push(format!("{} {what} had no stack", counted(count, "thread")));
        }
    }
    lines
}

fn functions(page: &mut Page, profile: &Profile) {
    let mut all: HashMap<&str, (Duration, Duration)> = HashMap::new();
    for ((stack, _), weight) in &profile.on_cpu {
        let places = &profile.stacks[*stack].places;
        let mut names = places.iter().map(|place| &*profile.places[*place].function);
        // A recursive function is on the stack once for each of its calls.
        for name in names.clone().collect::<HashSet<_>>() {
            all.entry(name).or_default().1 += weight.time;
        }
        if let Some(innermost) = names.next_back() {
            all.entry(innermost).or_default().0 += weight.time;
        }
    }
    let used = profile.totals.used();
    let mut all: Vec<_> = all.into_iter().filter(|(_, (own, _))| !own.is_zero()).collect();
    all.sort_unstable_by(|(name, times), (other, others)| others.cmp(times).then(name.cmp(other)));
    if all.is_empty() {
        return page.line(2, "none was seen");
    }
    let left_out = all.len().saturating_sub(TOP);
    all.truncate(TOP);
    let row = |(name, (own, total)): (&str, (Duration, Duration))| {
        [share(own, used), share(total, used), name.to_owned()]
    };
    page.table(&["  SELF", " TOTAL", "FUNCTION"], &all.into_iter().map(row).collect::<Vec<_>>());
    more(page, left_out, "function");
}

fn waits(page: &mut Page, profile: &Profile, weights: &Weights, whose: &str) {
    let mut all: HashMap<usize, Weight> = HashMap::new();
    for ((stack, _), weight) in weights {
        let sum = all.entry(*stack).or_default();
        sum.samples += weight.samples;
        sum.time += weight.time;
        sum.certain += weight.certain;
    }
    let mut all: Vec<(usize, Weight)> = all.into_iter().collect();
    all.sort_unstable_by_key(|(stack, weight)| (std::cmp::Reverse(weight.time), *stack));
    if all.is_empty() {
        return page.line(2, "none was seen");
    }
    let left_out = all.len().saturating_sub(TOP);
    for (stack, weight) in all.into_iter().take(TOP) {
        let stack = &profile.stacks[stack];
        let what = stack.places.last().map_or("", |place| &*profile.places[*place].function);
        let certain = match whose {
            "threads" => format!(", {} of it without running at all", share(weight.certain, weight.time)),
            _ => String::new(),
        };
        page.line(
            2,
            &format!(
                "{:.1} {whose} at a time in {what}: {} in all{certain}",
                ratio(weight.time, profile.totals.time),
                seconds(weight.time)
            ),
        );
        for line in stack.lines.iter().take(LINES) {
            page.line(6, line);
        }
    }
    more(page, left_out, "place");
}

fn more(page: &mut Page, left_out: usize, noun: &str) {
    if left_out > 0 {
        let count = counted(crate::output::as_u64(left_out), &format!("more {noun}"));
        page.line(2, &format!("... {count}; other formats have all"));
    }
}

/// ` 41.5 %`
fn share(part: Duration, all: Duration) -> String {
    format!("{:5.1} %", 100.0 * ratio(part, all)).trim_start().to_owned()
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn ratio(part: Duration, all: Duration) -> f64 {
    if all.is_zero() { 0.0 } else { part.as_secs_f64() / all.as_secs_f64() }
}
