//! `thread.spinning`: threads that used a whole core between the report's first look and the
//! second.
//!
//! Those that were running at the first look are looked at again. Any other thread may have run by
//! then as well, and is not seen.

use std::collections::BTreeSet;

use super::facts::{Facts, MAX_EVIDENCE, count, fact, finding, ids, name, names, place};
use crate::model::{Evidence, Finding, Severity, Thread};
use crate::units::duration;

/// The threads whose second look tells whether they use a whole core.
pub(super) fn suspects(facts: &Facts<'_>) -> Vec<u32> {
    facts.running().map(|thread| thread.tid).collect()
}

/// Whether a thread used a whole core: nine tenths of the time. A thread that computes and does not
/// wait loses some of it to interrupts, and to other threads.
pub(super) fn is_spinning(facts: &Facts<'_>, tid: u32) -> bool {
    facts.second.used(tid).is_some_and(|(used, between)| !between.is_zero() && used * 10 >= between * 9)
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> = facts.running().filter(|thread| is_spinning(facts, thread.tid)).collect();
    let Some((_, between)) = threads.first().and_then(|first| facts.second.used(first.tid)) else {
        return Vec::new();
    };
    let used = count(threads.len(), "thread used a whole core", "threads used a whole core each");
    let time = duration(u64::try_from(between.as_millis()).unwrap_or(u64::MAX));
    let message = format!("{used} for {time}: {}", names(&threads));
    let next = "what the stacks of these threads have in common in further reports: the loop is there";
    vec![Finding {
        threads: ids(&threads),
        evidence: evidence(&threads, facts).into_iter().chain(in_kernel(&threads)).collect(),
        next: Some(next.to_owned()),
        ..finding("thread.spinning", Severity::Info, message)
    }]
}

/// Where the threads were when their stacks were taken, one fact for each place.
fn evidence(threads: &[&Thread], facts: &Facts<'_>) -> Vec<Evidence> {
    let places: BTreeSet<u32> = threads.iter().filter_map(|thread| place(thread, facts.frames)).collect();
    let at = |frame: u32| {
        let mut here = threads.iter().filter(|thread| place(thread, facts.frames) == Some(frame));
        let first = here.next()?;
        let message = match here.count() {
            0 => format!("{} was", name(first)),
            others => format!("{} threads were", others + 1),
        };
        Some(Evidence { message, thread: Some(first.tid), frame: Some(frame), ..Evidence::default() })
    };
    places.into_iter().take(MAX_EVIDENCE).filter_map(at).collect()
}

/// How much of their processor time the kernel has used for them, which tells threads that compute
/// from those that make system calls in a loop. The kernel counts it in ticks, so the pause before
/// the second look is too short to tell.
fn in_kernel(threads: &[&Thread]) -> Option<Evidence> {
    /// At least a hundred ticks.
    const ENOUGH_MS: u64 = 1_000;
    let sum = |of: fn(&Thread) -> Option<u64>| threads.iter().map(|thread| of(thread)).sum::<Option<u64>>();
    let (own, system) = (sum(|thread| thread.cpu_user_ms)?, sum(|thread| thread.cpu_system_ms)?);
    let used = own.saturating_add(system);
    let message = || {
        let since = if threads.len() == 1 {
            "it has used since it started"
        } else {
            "they have used since they started"
        };
        format!(
            "of the {} of processor time that {since}, {} were in the kernel",
            duration(used),
            duration(system)
        )
    };
    (used >= ENOUGH_MS).then(|| fact(message()))
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use std::time::Duration;

    use super::super::second_look::SecondLook;
    use super::super::tests::{find, section, thread};
    use super::*;
    use crate::model::{Content, Threads};

    /// What is said of threads that use a core each, with this processor time in the program and in
    /// the kernel.
    fn said_of(times: &[(u64, u64)]) -> Vec<String> {
        let running = |(tid, (user, system)): (u32, &(u64, u64))| Thread {
            state: Some("running".to_owned()),
            cpu_user_ms: Some(*user),
            cpu_system_ms: Some(*system),
            ..thread(tid, "worker")
        };
        let threads: Vec<Thread> = (1..).zip(times).map(running).collect();
        let between = Duration::from_millis(50);
        let used = threads.iter().map(|thread| (thread.tid, between)).collect();
        let threads = Content::Threads(Threads { threads, ..Threads::default() });
        let second = SecondLook::Taken { moved: None, between, used };
        let found = find(&[section("Threads", threads)], &[], &second);
        let spinning =
            found.into_iter().find(|finding| finding.code == "thread.spinning").expect("they spin");
        spinning.evidence.into_iter().map(|evidence| evidence.message).collect()
    }

    #[test]
    fn it_says_how_much_of_the_time_is_the_kernels() {
        let said =
            "of the 4.0 s of processor time that it has used since it started, 3.0 s were in the kernel";
        assert_eq!(said_of(&[(1_000, 3_000)]), [said]);
        let said = "of the 2.5 s of processor time that they have used since they started, 500 ms were in the kernel";
        assert_eq!(said_of(&[(1_000, 400), (1_000, 100)]), [said]);
        assert_eq!(said_of(&[(400, 500)]), Vec::<String>::new(), "a few ticks tell nothing");
    }
}
