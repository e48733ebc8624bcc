//! What a report says in words, the same in every view that a person reads. Whatever comes from data has passed [`clean`] here: it can neither move a cursor nor pretend to be another line.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::escape::clean;
use super::grouping::{lasting, rank};
use crate::model::{
    Content, Frame, Heading, Ids, Overdue, Package, Panicked, Process, Role, Runtime, Sender, Summary, Task,
    TaskState, Thread, Trigger, Value, Waiting,
};

/// How many tasks of a group are named, the oldest first.
const NAMED: usize = 8;

/// A key and what stands behind it.
pub(super) type Field = (&'static str, String);

pub(super) fn heading(heading: &Heading) -> Vec<Field> {
    let mut fields = vec![
        ("report", heading.number.to_string()),
        ("time", clean(&heading.made_at).into_owned()),
        ("pid", heading.pid.to_string()),
        ("trigger", trigger(&heading.trigger)),
    ];
    fields.extend(heading.notes.iter().map(|note| ("note", clean(note).into_owned())));
    fields
}

/// `end of report 3: 8 sections (1 failed), 12 threads, 17 ms`
pub(super) fn summary(summary: &Summary) -> String {
    let failed = if summary.failed == 0 { String::new() } else { format!(" ({} failed)", summary.failed) };
    format!(
        "end of report {}: {}{failed}, {}, {}",
        summary.number,
        counted(summary.sections, "section"),
        counted(summary.threads, "thread"),
        milliseconds(summary.took_us),
    )
}

pub(super) fn package(value: &Package) -> Vec<Field> {
    let uptime = value.uptime_ms.map(uptime);
    let fields = [
        ("product", &value.product),
        ("vendor", &value.vendor),
        ("version", &value.version),
        ("executable", &value.executable),
        ("build-id", &value.build_id),
        ("rustc", &value.rustc),
        ("target", &value.target),
        ("profile", &value.profile),
        ("started", &value.started_at),
        ("uptime", &uptime),
    ];
    fields.into_iter().filter_map(|(key, value)| Some((key, clean(value.as_ref()?).into_owned()))).collect()
}

pub(super) fn process(value: &Process) -> Vec<Field> {
    let command: Vec<_> = value.command.iter().map(|argument| quoted(argument)).collect();
    let mut fields = vec![
        ("process", format!("{} (parent {})", value.pid, value.parent_pid)),
        ("command", command.join(" ")),
    ];
    let text = |text: &Option<String>| text.as_ref().map(|text| clean(text).into_owned());
    let more = [
        ("state", text(&value.state)),
        ("user", text(&value.user)),
        ("uids", value.uids.map(ids)),
        ("gids", value.gids.map(ids)),
    ];
    fields.extend(more.into_iter().filter_map(|(key, value)| Some((key, value?))));
    fields
}

/// What became of a generator that has nothing to show, or not what it was asked for; its lines are not cleaned yet.
pub(super) fn failure(content: &Content) -> Option<String> {
    Some(match content {
        Content::Nothing => "(nothing to show)".to_owned(),
        Content::Error(message) => format!("error: {message}"),
        Content::Panicked(value) => panicked(value),
        Content::TimedOut(value) => {
            let after = milliseconds(value.deadline_ms * 1000);
            let after = after.strip_suffix("000 ms").map_or(after.clone(), |seconds| format!("{seconds} s"));
            format!("timed out after {after}; still running on thread {}", value.overdue.tid)
        }
        Content::StillRunning(Overdue { running_ms, tid, .. }) => {
            let seconds = running_ms / 1000;
            format!(
                "not started again: its run for an earlier report has not ended after {seconds} s; still running on thread {tid}"
            )
        }
        Content::Skipped(reason) => format!("skipped: {reason}"),
        _ => return None,
    })
}

/// `Thread #42 (worker), main thread`, `31 threads with the same stack`
pub(super) fn threads_title(group: &[&Thread]) -> String {
    let [thread] = group else { return format!("{} with the same stack", counted(group.len(), "thread")) };
    let role = match thread.role {
        Role::Main => ", main thread",
        Role::Program => "",
        Role::Gmr => ", gmr's own",
        Role::Reporter => ", makes this report",
    };
    format!("Thread {}{role}", label(thread))
}

/// What is known of a thread, or of a group together.
pub(super) fn threads_facts(group: &[&Thread]) -> Vec<String> {
    if let [thread] = group {
        return facts(thread).into_iter().chain(thread.waiting.as_ref().map(phrase)).collect();
    }
    let states = tally(group.iter().filter_map(|thread| thread.state.as_deref()));
    let total = |cpu: fn(&Thread) -> Option<u64>| group.iter().filter_map(|thread| cpu(thread)).sum();
    let (user, system) = (total(|thread| thread.cpu_user_ms), total(|thread| thread.cpu_system_ms));
    let mut lines = vec![format!("state = {states}, cpu = {}", cpu(user, system))];
    lines.extend(waits(group));
    lines
}

/// `Task #12 (orders::checkout)`, `17 tasks like this: orders::checkout`
pub(super) fn tasks_title(group: &[&Task]) -> String {
    let name = clean(&group[0].name);
    match group {
        [task] => format!("Task #{} ({name})", task.id),
        _ => format!("{} like this: {name}", counted(group.len(), "task")),
    }
}

/// Where a task was started, what it is doing and for how long; the group's longest and shortest.
pub(super) fn tasks_facts(group: &[&Task]) -> Vec<String> {
    let first = group[0];
    let mut lines = vec![format!("spawned at {}", clean(&first.spawned_at))];
    match &first.state {
        TaskState::Polling { tid, thread, polling_ms } => {
            let name = thread.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
            let time = duration(*polling_ms);
            lines.push(format!(
                "thread #{tid}{name} has been inside this task's poll for {time}: see Threads"
            ));
        }
        TaskState::Woken { woken_ms, .. } => lines.push(format!(
            "woken for this report {} ago and not polled since: its runtime has no thread free for it",
            duration(*woken_ms)
        )),
        TaskState::Waiting { .. } | TaskState::New => {}
    }
    let verb = match &first.state {
        TaskState::Waiting { .. } | TaskState::Woken { .. } => "waiting",
        TaskState::New => "never polled",
        TaskState::Polling { .. } => return lines,
    };
    let (longest, shortest) = (lasting(first), group.last().map_or(0, |task| lasting(task)));
    let range = match group {
        [_] => duration(longest),
        _ => format!("{} (the longest) to {}", duration(longest), duration(shortest)),
    };
    lines.push(format!("{verb} for {range}, {}", counted_polls(group)));
    lines
}

/// What a task is doing, in a word or two.
#[cfg(feature = "html")]
pub(super) fn task_state(state: &TaskState) -> &'static str {
    match state {
        TaskState::Polling { .. } => "being polled",
        TaskState::Woken { .. } => "woken",
        TaskState::Waiting { .. } => "waiting",
        TaskState::New => "not polled yet",
    }
}

/// A value that holds no others.
pub(super) fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "none".into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Signed(value) => value.to_string().into(),
        Value::Unsigned(value) => value.to_string().into(),
        Value::Float(value) => format!("{value:?}").into(),
        // Empty text would look like something nested that is missing.
        Value::Text(value) if value.is_empty() => "''".into(),
        Value::Text(value) => clean(value),
        Value::List(_) => "[]".into(),
        Value::Map(_) => "{}".into(),
    }
}

/// The tasks of a group by number and labels; of one alone, its labels.
pub(super) fn tasks_named(group: &[&Task]) -> Vec<String> {
    match group {
        [task] if task.labels.is_empty() => Vec::new(),
        [task] => vec![labels(task)],
        _ => {
            let more = group.len().saturating_sub(NAMED);
            let tail = (more > 0).then(|| format!("and {more} more"));
            group.iter().take(NAMED).map(|task| labelled(task)).chain(tail).collect()
        }
    }
}

/// Of how many tasks of known runtimes nothing is shown.
pub(super) fn untracked(tasks: &[Task], runtimes: &[Runtime]) -> Option<String> {
    let alive: usize = runtimes.iter().map(|runtime| runtime.alive_tasks).sum();
    let hidden = alive.checked_sub(tasks.len()).filter(|hidden| *hidden > 0)?;
    Some(format!(
        "{hidden} of the runtime's tasks are not tracked and not shown; gmr::task::spawn tracks a task"
    ))
}

/// `#42 (worker)`
pub(super) fn label(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("#{}", thread.tid)
    } else {
        format!("#{} ({})", thread.tid, clean(&thread.name))
    }
}

/// What the threads of a group wait for: the most frequent first, each with its count where it is not that of all.
fn waits(threads: &[&Thread]) -> Vec<String> {
    /// A pool whose threads each wait on something of their own would fill the page.
    const MOST: usize = 5;
    // Parked threads: each on its own, and none of the addresses says anything.
    let alone = |waiting: &Waiting| {
        waiting.futex.is_some() && waiting.futex_others == 0 && waiting.kernel_function.is_none()
    };
    let waiting = || threads.iter().filter_map(|thread| thread.waiting.as_ref());
    let parked = waiting().filter(|waiting| alone(waiting)).count() > 1;
    let counted = count(waiting().map(|waiting| (!(parked && alone(waiting))).then_some(waiting)));
    let said = |waiting: Option<&Waiting>| match waiting {
        Some(waiting) => phrase(waiting),
        None => "waiting on a futex each".to_owned(),
    };
    if let [(waiting, count)] = counted[..]
        && count == threads.len()
    {
        return vec![said(waiting)];
    }
    let more = counted.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("and {more} more such lines"));
    let most = counted.into_iter().take(MOST).map(|(waiting, count)| format!("{count} x {}", said(waiting)));
    most.chain(more).collect()
}

/// `30 sleeping, 1 running`; the word alone where there is but one.
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    match &count(words)[..] {
        [(word, _)] => clean(word).into_owned(),
        several => {
            let parts = several.iter().map(|(word, count)| format!("{count} {}", clean(word)));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Each distinct one with how often it occurs, the most frequent first.
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
    // Nearly every thread has this one.
    let policy = thread.policy.as_ref().filter(|policy| *policy != "other");
    let policy = policy.map(|policy| format!("policy = {}", clean(policy)));
    let facts: Vec<String> = [state, times, last, policy].into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn cpu(user_ms: u64, system_ms: u64) -> String {
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    format!("{} user + {} system", seconds(user_ms), seconds(system_ms))
}

/// What a thread waits for, as one would say it.
pub(super) fn phrase(waiting: &Waiting) -> String {
    let call = clean(&waiting.call);
    let about = match (waiting.futex, waiting.descriptor) {
        (Some(address), _) => {
            let others = match waiting.futex_others {
                0 => String::new(),
                1 => " (with 1 other)".to_owned(),
                count => format!(" (with {count} others)"),
            };
            format!("on futex {address:#x}{others}")
        }
        (None, Some(descriptor)) => {
            let preposition = match &*call {
                "read" | "readv" | "pread" | "preadv" => "from",
                "write" | "writev" | "pwrite" | "pwritev" => "to",
                _ => "on",
            };
            let target =
                waiting.target.as_ref().map(|target| format!(": {}", clean(target))).unwrap_or_default();
            format!("in {call} {preposition} fd {descriptor}{target}")
        }
        (None, None) => format!("in {call}"),
    };
    match &waiting.kernel_function {
        Some(function) => format!("in uninterruptible sleep in {}, waiting {about}", clean(function)),
        None => format!("waiting {about}"),
    }
}

/// `120: 117 waiting, 2 being polled, 1 woken and not polled`
pub(super) fn totals(tasks: &[Task]) -> String {
    if tasks.is_empty() {
        return "none tracked; gmr::task::spawn tracks a task".to_owned();
    }
    let mut counts = [0_usize; 4];
    for task in tasks {
        counts[rank(&task.state)] += 1;
    }
    let names = ["being polled", "woken and not polled", "waiting", "not polled yet"];
    let parts = [2, 0, 1, 3].map(|kind: usize| (counts[kind], names[kind]));
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    format!("{}: {}", tasks.len(), parts.join(", "))
}

pub(super) fn described(runtime: &Runtime) -> String {
    format!(
        "{}, {}, {} alive, {} queued",
        clean(&runtime.kind),
        counted(runtime.workers, "worker"),
        counted(runtime.alive_tasks, "task"),
        runtime.queued_tasks
    )
}

fn counted_polls(group: &[&Task]) -> String {
    let polls = group.iter().map(|task| task.polls).max().unwrap_or(0);
    let noun = if polls == 1 { "poll" } else { "polls" };
    match group {
        [_] => format!("{polls} {noun}"),
        _ => format!("at most {polls} {noun}"),
    }
}

/// `#12 (request = GET /orders/42)`
pub(super) fn labelled(task: &Task) -> String {
    if task.labels.is_empty() { format!("#{}", task.id) } else { format!("#{} ({})", task.id, labels(task)) }
}

fn labels(task: &Task) -> String {
    let pairs = task.labels.iter().map(|label| format!("{} = {}", clean(&label.key), clean(&label.value)));
    pairs.collect::<Vec<_>>().join(", ")
}

pub(super) fn duration(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

pub(super) fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Signal { name, sender: from, coalesced } => {
            let from = from.as_ref().map_or_else(|| " from the kernel".to_owned(), sender);
            let more = match coalesced {
                0 => String::new(),
                1 => ", and 1 more signal since".to_owned(),
                count => format!(", and {count} more signals since"),
            };
            format!("{}{from}{more}", clean(name))
        }
        Trigger::Api => "the program itself".to_owned(),
    }
}

fn sender(sender: &Sender) -> String {
    // A sender outside of this process's namespace has no id in it.
    let process = match sender.pid {
        0 => "a process outside of this namespace".to_owned(),
        pid => format!("process {pid}"),
    };
    let command = sender.command.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    let user = sender.user.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    format!(" from {process}{command}, user {}{user}", sender.uid)
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100),
        10_000..10_000_000 => format!("{} ms", microseconds / 1000),
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}

fn panicked(value: &Panicked) -> String {
    let place = value.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", value.message)
}

/// `3 d 4 h 5 min 6 s`, from the first unit that is not zero.
fn uptime(ms: u64) -> String {
    let seconds = ms / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    parts[first..].iter().map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

fn ids(ids: Ids) -> String {
    format!("{} real, {} effective, {} saved", ids.real, ids.effective, ids.saved)
}

/// An argument, quoted where it would not be read as one.
fn quoted(argument: &str) -> String {
    let clean = clean(argument);
    if clean.is_empty() || clean.contains(char::is_whitespace) {
        format!("'{clean}'")
    } else {
        clean.into_owned()
    }
}

/// `module+0xoffset`, or the bare address where no module covers it.
pub(super) fn place(frame: &Frame) -> String {
    match (&frame.module, frame.module_offset) {
        (Some(module), Some(offset)) => format!("{}+{offset:#x}", clean(module)),
        _ => format!("{:#x}", frame.address),
    }
}

/// The path without what is the same for every crate and every build: where cargo keeps its sources, and the hash of the compiler's. The model has it whole.
pub(super) fn short_path(path: &str) -> Cow<'_, str> {
    let registry =
        path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
    let compiler = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    clean(registry.or(compiler).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(milliseconds(1_249), "1.2 ms");
        assert_eq!(milliseconds(34_999), "34 ms");
        assert_eq!(milliseconds(12_345_678), "12.3 s");
    }

    #[test]
    fn what_a_thread_waits_for_is_said_in_words() {
        let waiting = |call: &str| Waiting { call: call.into(), ..Waiting::default() };
        let futex = Waiting { futex: Some(0x7f01), futex_others: 3, ..waiting("futex") };
        assert_eq!(phrase(&futex), "waiting on futex 0x7f01 (with 3 others)");
        let read = Waiting { descriptor: Some(5), target: Some("pipe:[17]".into()), ..waiting("read") };
        assert_eq!(phrase(&read), "waiting in read from fd 5: pipe:[17]");
        let stuck = Waiting { kernel_function: Some("nfs_wait".into()), ..read };
        assert_eq!(
            phrase(&stuck),
            "in uninterruptible sleep in nfs_wait, waiting in read from fd 5: pipe:[17]"
        );
        assert_eq!(phrase(&waiting("nanosleep")), "waiting in nanosleep");
    }
    #[test]
    fn parked_threads_are_counted_together_also_where_one_of_them_is_awake() {
        let parked = |address| Waiting { call: "futex".into(), futex: Some(address), ..Waiting::default() };
        let told = |waiting: Vec<Option<Waiting>>| {
            let threads: Vec<Thread> = waiting.into_iter().map(thread).collect();
            waits(&threads.iter().collect::<Vec<_>>())
        };
        assert_eq!(told(vec![Some(parked(8)), Some(parked(16))]), ["waiting on a futex each"]);
        assert_eq!(told(vec![Some(parked(8)), None, Some(parked(16))]), ["2 x waiting on a futex each"]);
        assert_eq!(told(vec![Some(parked(8)), None]), ["1 x waiting on futex 0x8"]);
        let shared = Waiting { futex_others: 1, ..parked(32) };
        assert_eq!(told(vec![Some(shared.clone()); 2]), ["waiting on futex 0x20 (with 1 other)"]);
        let several =
            [Some(shared.clone()), Some(shared), Some(parked(8)), Some(parked(16)), Some(parked(24))];
        assert_eq!(
            told(several.to_vec()),
            ["3 x waiting on a futex each", "2 x waiting on futex 0x20 (with 1 other)"]
        );
    }

    #[test]
    fn of_many_different_waits_the_most_frequent_are_said() {
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
                "and 3 more such lines"
            ]
        );
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
