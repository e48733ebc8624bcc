//! The wording of threads, and of what they wait for.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::waits::wait;
use crate::model::{Role, Taken, Thread, Waiting};
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::grouping::PoolThread;

/// `Thread #42 (worker), main thread`, `31 threads with the same stack`
pub(in crate::views) fn threads_title(group: &[&Thread]) -> String {
    let [thread] = group else { return format!("{} with the same stack", counted(group.len(), "thread")) };
    let role = match thread.role {
        Role::Main => ", main thread",
        Role::Program => "",
        Role::Kernel => ", of the kernel",
        Role::Gmr => ", of gmr",
        Role::Reporter => ", makes this report",
    };
    format!("Thread {}{role}", label(thread))
}

/// The facts about a thread, or about a group as a whole.
pub(in crate::views) fn threads_facts(group: &[&Thread]) -> Vec<String> {
    if let [thread] = group {
        let waits = thread.waiting.as_ref().map(wait);
        return facts(thread).into_iter().chain(waits).chain(interrupted(group)).collect();
    }
    let states = tally(group.iter().filter_map(|thread| thread.state.as_deref()));
    let total = |cpu: fn(&Thread) -> Option<u64>| group.iter().filter_map(|thread| cpu(thread)).sum();
    let (user, system) = (total(|thread| thread.cpu_user_ms), total(|thread| thread.cpu_system_ms));
    let mut lines = vec![format!("state = {states}, cpu = {}", cpu(user, system))];
    lines.extend(waits(group));
    lines.extend(interrupted(group));
    lines
}

/// How many of these threads were signalled while they waited. That is the only case in which the
/// way that a stack was taken matters to the program: some system calls end early.
fn interrupted(group: &[&Thread]) -> Option<String> {
    const SIGNALLED: &str = "signalled while waiting, to take the stack";
    let is_interrupted = |thread: &&&Thread| {
        thread.role.is_program() && thread.waiting.is_some() && thread.stack.taken == Some(Taken::BySignal)
    };
    match group.iter().filter(is_interrupted).count() {
        0 => None,
        all if all == group.len() => Some(SIGNALLED.to_owned()),
        some => Some(format!("{some} x {SIGNALLED}")),
    }
}

/// `idle; 9 runtime frames omitted`
pub(in crate::views) fn pool_thread(thread: &PoolThread<'_>) -> String {
    let state = if thread.is_idle { "idle" } else { "running" };
    format!("{state}; {} omitted", counted(thread.others, "runtime frame"))
}

/// `#42 (worker)`
pub(in crate::views) fn label(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("#{}", thread.tid)
    } else {
        format!("#{} ({})", thread.tid, clean(&thread.name))
    }
}

/// What the threads of a group wait for, the most frequent first. A count precedes each, unless it
/// is the same for all.
fn waits(threads: &[&Thread]) -> Vec<String> {
    /// For a pool whose threads all wait on different things.
    const MAX_LINES: usize = 5;
    // Parked threads: each waits on its own futex, whose address is of no use.
    let alone = |waiting: &Waiting| {
        waiting.futex.is_some()
            && waiting.futex_others == 0
            && waiting.futex_owner.is_none()
            && waiting.kernel_function.is_none()
    };
    let waiting = || threads.iter().filter_map(|thread| thread.waiting.as_ref());
    let parked = waiting().filter(|waiting| alone(waiting)).count() > 1;
    let counted = count(waiting().map(|waiting| (!(parked && alone(waiting))).then_some(waiting)));
    if let [(waiting, count)] = counted[..]
        && count == threads.len()
    {
        return vec![waiting.map_or_else(|| "each waiting on its own futex".to_owned(), wait)];
    }
    let wait_of =
        |waiting: Option<&Waiting>| waiting.map_or_else(|| "waiting on a futex of its own".to_owned(), wait);
    let more = counted.len().saturating_sub(MAX_LINES);
    let more = (more > 0).then(|| format!("and {more} more"));
    let most =
        counted.into_iter().take(MAX_LINES).map(|(waiting, count)| format!("{count} x {}", wait_of(waiting)));
    most.chain(more).collect()
}

/// `30 sleeping, 1 running`, or `sleeping` if all are.
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    match &count(words)[..] {
        [(word, _)] => clean(word).into_owned(),
        several => {
            let parts = several.iter().map(|(word, count)| format!("{count} {}", clean(word)));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Each distinct item and its count, the most frequent first.
fn count<T: Ord>(all: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

/// `state = sleeping, cpu = 1.50 s user + 0.25 s system, last on CPU 1`
fn facts(thread: &Thread) -> Option<String> {
    let state = thread.state.as_ref().map(|state| format!("state = {}", clean(state)));
    let times = thread.cpu_user_ms.zip(thread.cpu_system_ms);
    let times = times.map(|(user, system)| format!("cpu = {}", cpu(user, system)));
    let last = thread.last_cpu.map(|cpu| format!("last on CPU {cpu}"));
    // `other` is the default.
    let policy = thread.policy.as_ref().filter(|policy| *policy != "other");
    let policy = policy.map(|policy| format!("policy = {}", clean(policy)));
    let facts: Vec<String> = [state, times, last, policy].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn cpu(user_ms: u64, system_ms: u64) -> String {
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    format!("{} user + {} system", seconds(user_ms), seconds(system_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parked_threads_are_counted_together_also_where_one_of_them_is_awake() {
        let parked = |address| Waiting { call: "futex".into(), futex: Some(address), ..Waiting::default() };
        let waits_of = |waiting: Vec<Option<Waiting>>| {
            let threads: Vec<Thread> = waiting.into_iter().map(thread).collect();
            waits(&threads.iter().collect::<Vec<_>>())
        };
        assert_eq!(waits_of(vec![Some(parked(8)), Some(parked(16))]), ["each waiting on its own futex"]);
        assert_eq!(
            waits_of(vec![Some(parked(8)), None, Some(parked(16))]),
            ["2 x waiting on a futex of its own"]
        );
        assert_eq!(waits_of(vec![Some(parked(8)), None]), ["1 x waiting on futex 0x8"]);
        let shared = Waiting { futex_others: 1, ..parked(32) };
        assert_eq!(waits_of(vec![Some(shared.clone()); 2]), ["waiting on futex 0x20 (with 1 other)"]);
        let several =
            [Some(shared.clone()), Some(shared), Some(parked(8)), Some(parked(16)), Some(parked(24))];
        assert_eq!(
            waits_of(several.to_vec()),
            ["3 x waiting on a futex of its own", "2 x waiting on futex 0x20 (with 1 other)"]
        );
    }

    #[test]
    fn of_many_different_waits_the_most_frequent_are_listed() {
        let read =
            |descriptor| Waiting { call: "read".into(), descriptor: Some(descriptor), ..Waiting::default() };
        let threads: Vec<Thread> = (0..8).chain([7]).map(|fd| thread(Some(read(fd)))).collect();
        assert_eq!(
            waits(&threads.iter().collect::<Vec<_>>()),
            [
                "2 x waiting in read from fd 7",
                "1 x waiting in read from fd 0",
                "1 x waiting in read from fd 1",
                "1 x waiting in read from fd 2",
                "1 x waiting in read from fd 3",
                "and 3 more"
            ]
        );
    }

    #[test]
    fn a_wait_that_was_interrupted_is_mentioned() {
        let taken = |waiting: Option<Waiting>, taken| {
            let mut thread = thread(waiting);
            thread.stack.taken = Some(taken);
            thread
        };
        let wait = || Some(Waiting { call: "pause".into(), ..Waiting::default() });
        let threads = [
            taken(wait(), Taken::BySignal),
            taken(wait(), Taken::AtRest),
            // It was running.
            taken(None, Taken::BySignal),
            Thread { role: Role::Gmr, ..taken(wait(), Taken::BySignal) },
        ];
        let of = |threads: &[Thread]| interrupted(&threads.iter().collect::<Vec<_>>());
        assert_eq!(of(&threads).unwrap(), "1 x signalled while waiting, to take the stack");
        assert_eq!(of(&threads[..1]).unwrap(), "signalled while waiting, to take the stack");
        assert_eq!(of(&threads[1..]), None);
        assert!(threads_facts(&[&threads[0]]).contains(&of(&threads[..1]).unwrap()));
    }

    fn thread(waiting: Option<Waiting>) -> Thread {
        Thread {
            tid: 1,
            name: String::new(),
            role: Role::Program,
            state: None,
            cpu_user_ms: None,
            cpu_system_ms: None,
            started_at: None,
            policy: None,
            last_cpu: None,
            waiting,
            stack: crate::model::Stack::default(),
        }
    }
}
