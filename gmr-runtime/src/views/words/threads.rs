//! The wording of threads, and of what they wait for.

use crate::sys::sort;
use std::borrow::Cow;
use std::cmp::Reverse;

use super::frames::omitted;
use super::waits::wait;
use crate::model::{Role, Taken, Thread, Waiting};
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Omitted;
use crate::views::grouping::PoolThread;

/// `Thread #42 (worker), main thread`, `31 threads with the same stack`
pub(in crate::views) fn threads_title(group: &[&Thread]) -> String {
    let [thread] = group else {
        let has_stack = group.iter().any(|thread| !thread.stack.frames.is_empty());
        let what = if has_stack { "with the same stack" } else { "without a stack" };
        return format!("{} {what}", counted(group.len(), "thread"));
    };
    let role = match thread.role {
        Role::Main => ", main thread",
        Role::Program => "",
        Role::Kernel => ", of the kernel",
        Role::Gmr => ", of gmr",
        Role::Reporter => ", makes this report",
    };
    format!("Thread {}{role}", label(thread))
}

/// The title of a group with the names of its threads: `160 threads: order-*, report-*`
#[cfg(feature = "html")]
pub(in crate::views) fn threads_summary(group: &[&Thread]) -> String {
    /// Of a pool whose threads all have other names, these are enough to recognize it.
    const MAX_NAMES: usize = 4;
    if group.len() < 2 {
        return threads_title(group);
    }
    let has_stack = group.iter().any(|thread| !thread.stack.frames.is_empty());
    let without = if has_stack { "" } else { " without a stack" };
    let mut names: Vec<(&str, &str)> = Vec::new();
    for name in group.iter().map(|thread| &*thread.name).filter(|name| !name.is_empty()) {
        let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
        match names.iter().position(|(other, _)| *other == stem) {
            // Several that differ in their numbers.
            Some(place) if names[place].1 != name => names[place].1 = "",
            Some(_) => {}
            None if names.len() > MAX_NAMES => break,
            None => names.push((stem, name)),
        }
    }
    let mut listed: Vec<String> = names
        .iter()
        .take(MAX_NAMES)
        .map(
            |(stem, whole)| {
                if whole.is_empty() { format!("{}*", clean(stem)) } else { clean(whole).into_owned() }
            },
        )
        .collect();
    if names.len() > MAX_NAMES {
        listed.push("...".to_owned());
    }
    let listed = if listed.is_empty() { listed.concat() } else { format!(": {}", listed.join(", ")) };
    format!("{}{without}{listed}", counted(group.len(), "thread"))
}

/// What a thread is doing: `waiting` if it is known what for, as for tasks, and otherwise the
/// kernel's word. What the kernel calls sleeping is both.
fn state(thread: &Thread) -> Option<Cow<'_, str>> {
    match thread.state.as_deref() {
        Some("sleeping") | None if thread.waiting.is_some() => Some("waiting".into()),
        state => state.map(clean),
    }
}

/// What the threads of a group are doing, each word once.
#[cfg(feature = "html")]
pub(in crate::views) fn thread_states(group: &[&Thread], is_idle: bool) -> Vec<String> {
    if is_idle {
        return vec!["idle".to_owned()];
    }
    let mut states: Vec<String> =
        group.iter().filter_map(|thread| state(thread)).map(Cow::into_owned).collect();
    sort::all(&mut states);
    states.dedup();
    states
}

/// The facts about a thread, or about a group as a whole.
pub(in crate::views) fn threads_facts(group: &[&Thread]) -> Vec<String> {
    if let [thread] = group {
        let waits = thread.waiting.as_deref().map(wait);
        return facts(thread).into_iter().chain(waits).chain(interrupted(group)).collect();
    }
    let states = tally(group.iter().filter_map(|thread| state(thread)));
    let total = |cpu: fn(&Thread) -> Option<u64>| {
        group.iter().filter_map(|thread| cpu(thread)).fold(0, u64::saturating_add)
    };
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

/// `idle; 9 frames of tokio, std omitted`
pub(in crate::views) fn pool_thread(thread: &PoolThread<'_>) -> String {
    let state = if thread.is_idle { "idle" } else { "running" };
    match &thread.omitted {
        Omitted { frames: 0, .. } => state.to_owned(),
        more => format!("{state}; {}", omitted(more)),
    }
}

/// The threads of a group, each alone or, where ids and names are consecutive, as a range. Each
/// label comes with its number of threads.
///
/// `#42 (worker)`, `#101–#152 (tokio-rt-worker)`, `#153–#160 (worker-0 to worker-7)`
pub(in crate::views) fn threads_named(group: &[&Thread]) -> Vec<(String, usize)> {
    /// Two are as short one by one.
    const MIN_RANGE: usize = 3;
    let mut named = Vec::new();
    let follows = |before: &&Thread, next: &&Thread| {
        next.tid == before.tid.wrapping_add(1) && name_follows(&before.name, &next.name)
    };
    for mut run in group.chunk_by(follows) {
        while let Some(thread) = run.first() {
            // Whether numbers count up or the names are the same, the second name decides.
            let is_same = run.get(1).is_some_and(|second| second.name == thread.name);
            let length =
                run.windows(2).take_while(|pair| (pair[0].name == pair[1].name) == is_same).count() + 1;
            let (range, rest) = run.split_at(if length < MIN_RANGE { 1 } else { length });
            named.push((range_label(range), range.len()));
            run = rest;
        }
    }
    named
}

/// Whether a name is the same as the one before, or has the next number at its end.
fn name_follows(before: &str, next: &str) -> bool {
    let number = |name: &str| {
        let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
        Some((stem.len(), name[stem.len()..].parse::<u32>().ok()?.checked_add(1)?))
    };
    let is_next = || {
        let (stem, number) = number(before)?;
        let after = next.strip_prefix(&before[..stem])?;
        Some(after.parse() == Ok(number))
    };
    before == next || is_next().unwrap_or(false)
}

fn range_label(range: &[&Thread]) -> String {
    let [first, .., last] = range else {
        return range.first().map(|thread| label(thread)).unwrap_or_default();
    };
    let ids = format!("#{}–#{}", first.tid, last.tid);
    match (clean(&first.name), clean(&last.name)) {
        (name, _) if name.is_empty() => ids,
        (first, last) if first == last => format!("{ids} ({first})"),
        (first, last) => format!("{ids} ({first} to {last})"),
    }
}

/// `#42 (worker)`
pub(in crate::views) fn label(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("#{}", thread.tid)
    } else {
        format!("#{} ({})", thread.tid, clean(&thread.name))
    }
}

/// `#42 (worker): waiting on futex 0x7f01`
pub(in crate::views) fn in_one_line(thread: &Thread) -> String {
    let doing = thread.waiting.as_deref().map(wait).or_else(|| state(thread).map(Cow::into_owned));
    let missing = thread.stack.incomplete.as_deref().filter(|_| thread.stack.frames.is_empty());
    let missing = missing.map(|reason| format!("no stack: {}", clean(reason)));
    let facts: Vec<String> = doing.into_iter().chain(missing).collect();
    let colon = if facts.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", label(thread), facts.join("; "))
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
            && waiting.joins.is_none()
            && waiting.kernel_function.is_none()
    };
    let waiting = || threads.iter().filter_map(|thread| thread.waiting.as_deref());
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
fn tally<'a>(words: impl Iterator<Item = Cow<'a, str>>) -> String {
    match &count(words)[..] {
        [(word, _)] => word.to_string(),
        several => {
            let parts = several.iter().map(|(word, count)| format!("{count} {word}"));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Each distinct item and its count, the most frequent first.
fn count<T: Ord>(all: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    // Most of a large group are the same, so equal neighbours are counted before they are sorted.
    let mut runs = merged(all.map(|one| (one, 1)));
    sort::all(&mut runs);
    let mut counts = merged(runs.into_iter());
    sort::by_key(&mut counts, |(_, count)| Reverse(*count));
    counts
}

/// With one entry for equal neighbours.
fn merged<T: Eq>(all: impl Iterator<Item = (T, usize)>) -> Vec<(T, usize)> {
    let mut merged: Vec<(T, usize)> = Vec::new();
    for (one, count) in all {
        match merged.last_mut() {
            Some((last, sum)) if *last == one => *sum += count,
            _ => merged.push((one, count)),
        }
    }
    merged
}

/// `state = sleeping, cpu = 1.50 s user + 0.25 s system, last on CPU 1`
fn facts(thread: &Thread) -> Option<String> {
    let state = state(thread).map(|state| format!("state = {state}"));
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

#[cfg(all(test, not(gmr_units)))]
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
    fn threads_whose_ids_and_names_follow_one_another_are_a_range() {
        let named = |threads: &[(u32, &str)]| -> Vec<String> {
            let threads: Vec<Thread> = threads
                .iter()
                .map(|(tid, name)| Thread { tid: *tid, name: (*name).into(), ..thread(None) })
                .collect();
            let named = threads_named(&threads.iter().collect::<Vec<_>>());
            assert_eq!(named.iter().map(|(_, count)| count).sum::<usize>(), threads.len());
            named.into_iter().map(|(label, _)| label).collect()
        };
        let same: Vec<_> = (101..=152).map(|tid| (tid, "shop")).collect();
        assert_eq!(named(&same), ["#101–#152 (shop)"]);
        assert_eq!(named(&[(1, ""), (2, ""), (3, ""), (5, "")]), ["#1–#3", "#5"]);
        assert_eq!(named(&[(1, "a"), (2, "a"), (4, "a")]), ["#1 (a)", "#2 (a)", "#4 (a)"]);
        let numbered =
            [(1, "io"), (2, "w-8"), (3, "w-9"), (4, "w-10"), (5, "w-12"), (6, "w-12"), (7, "w-12")];
        assert_eq!(named(&numbered), ["#1 (io)", "#2–#4 (w-8 to w-10)", "#5–#7 (w-12)"]);
        // The last of those with the same name also has the first number.
        let mixed = [(1, "w-1"), (2, "w-1"), (3, "w-1"), (4, "w-2"), (5, "w-3"), (6, "w-4")];
        assert_eq!(named(&mixed), ["#1–#3 (w-1)", "#4–#6 (w-2 to w-4)"]);
        assert_eq!(named(&[(1, "w"), (2, "w1"), (3, "w4294967295"), (u32::MAX, "w"), (0, "w")]).len(), 5);
    }

    #[cfg(feature = "html")]
    #[test]
    fn a_group_is_summed_up_by_the_names_of_its_threads() {
        let summary = |names: &[&str]| {
            let threads: Vec<Thread> =
                names.iter().map(|name| Thread { name: (*name).into(), ..thread(None) }).collect();
            threads_summary(&threads.iter().collect::<Vec<_>>())
        };
        let without = "threads without a stack";
        assert_eq!(summary(&["order-1", "order-9", "order-9"]), format!("3 {without}: order-*"));
        assert_eq!(summary(&["w", "w", "io-7", ""]), format!("4 {without}: w, io-7"));
        assert_eq!(summary(&["", ""]), format!("2 {without}"));
        assert_eq!(
            summary(&["a", "b", "c\u{1b}", "d", "e", "a1"]),
            format!("6 {without}: a*, b, c\\u{{1b}}, d, ...")
        );
        assert_eq!(summary(&["a"]), "Thread #1 (a)");
    }

    #[cfg(feature = "html")]
    #[test]
    fn a_thread_waits_as_a_task_does_if_it_is_known_what_for() {
        let waits = Some(Waiting { call: "pause".into(), ..Waiting::default() });
        let in_state = |waiting: &Option<Waiting>, state: &str| Thread {
            state: Some(state.into()),
            ..thread(waiting.clone())
        };
        let [waits, sleeps, runs] = [(&waits, "sleeping"), (&None, "sleeping"), (&None, "run\u{1b}")]
            .map(|(waiting, state)| in_state(waiting, state));
        assert_eq!(thread_states(&[&waits, &waits], false), ["waiting"]);
        assert_eq!(thread_states(&[&waits, &sleeps, &runs], false), ["run\\u{1b}", "sleeping", "waiting"]);
        assert_eq!(thread_states(&[&waits], true), ["idle"]);
        // The fact below it has the same word.
        assert_eq!(threads_facts(&[&waits])[0], "state = waiting");
        let on_disk = in_state(&Some(Waiting::default()), "disk sleep");
        assert_eq!(thread_states(&[&on_disk], false), ["disk sleep"]);
        let mixed = [&waits, &on_disk, &waits];
        assert!(threads_facts(&mixed)[0].starts_with("state = 2 waiting, 1 disk sleep, "));
        assert_eq!(thread_states(&[&thread(None)], false), Vec::<String>::new());
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
            cpu_us: None,
            started_at: None,
            policy: None,
            last_cpu: None,
            waiting: waiting.map(Box::new),
            at_rest_ms: None,
            stack: crate::model::Stack::default(),
        }
    }
}
