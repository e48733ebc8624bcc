//! Asynchronous tasks under several runtimes: each is found where it waits, with the lines of its
//! own source.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{LIMIT, Program, program, wait_until};
use crate::report::{Report, Stack, list, text};
use crate::text::{Text, has_names};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program!("tasks"));
    command.args(arguments);
    command
}

fn start(arguments: &[&str]) -> Program {
    Program::start_with(command(arguments))
}

/// Where in the program's source this text is.
fn line_of(text: &str) -> u64 {
    let source = include_str!("../programs/tasks.rs");
    let (before, _) = source.split_once(text).unwrap_or_else(|| panic!("`{text}` is not there"));
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    u64::try_from(line).expect("a short file")
}

/// One task of the Green Threads section.
#[derive(Clone, Copy)]
struct Task<'a> {
    report: &'a Report,
    fields: &'a Value,
}

impl<'a> Task<'a> {
    fn kind(self) -> &'a str {
        text(&self.fields["state"]["kind"])
    }

    fn stacks(self) -> Vec<Stack<'a>> {
        list(&self.fields["stacks"]).iter().map(|stack| self.report.stack(stack)).collect()
    }

    /// The only place it waits at.
    fn stack(self) -> Stack<'a> {
        let mut stacks = self.stacks();
        assert_eq!(stacks.len(), 1, "{}", self.fields);
        stacks.remove(0)
    }

    fn label(self, key: &str) -> Option<&'a str> {
        let found = list(&self.fields["labels"]).iter().find(|label| label["key"] == key);
        found.map(|label| text(&label["value"]))
    }
}

fn tasks_named<'a>(report: &'a Report, name: &str) -> Vec<Task<'a>> {
    let named = report.tasks().iter().filter(|task| task["name"] == name);
    named.map(|fields| Task { report, fields }).collect()
}

fn task<'a>(report: &'a Report, name: &str) -> Task<'a> {
    let tasks = tasks_named(report, name);
    *tasks.first().unwrap_or_else(|| panic!("no task {name} in\n{report}"))
}

/// How many tasks are in this state.
fn count(report: &Report, kind: &str) -> usize {
    report.tasks().iter().filter(|task| task["state"]["kind"] == kind).count()
}

/// The name of an `async fn`, without the closure that the compiler makes of its body.
fn plain(function: &str) -> &str {
    function.split_once("::{").map_or(function, |(name, _)| name)
}

/// The functions of the program itself in a stack and their lines, innermost first.
fn own(stack: &Stack<'_>) -> Vec<(String, u64)> {
    let frames = stack.frames.iter().filter(|frame| frame.file().ends_with("tests/programs/tasks.rs"));
    frames.map(|frame| (plain(frame.function()).to_owned(), frame.line().unwrap_or_default())).collect()
}

fn has(stack: &Stack<'_>, function: &str) -> bool {
    stack.functions().any(|name| plain(name) == function)
}

const AT_THE_LOCK: &str = "let _held = lock.lock().await;";

/// Reports until all tasks are where they wait, and the symbolizer knows all names.
fn settled(program: &mut Program, waiting: usize) -> Report {
    program.report_when(&format!("{waiting} tasks wait"), |report| {
        let has_all_names = list(&report.data("Green Threads", "green_threads")["notes"]).is_empty();
        let lock = tasks_named(report, "lock");
        let is_at = |stack: &Stack<'_>| own(stack).iter().any(|(_, line)| *line == line_of(AT_THE_LOCK));
        count(report, "waiting") == waiting
            && has_all_names
            && lock.iter().any(|task| task.stacks().iter().any(is_at))
    })
}

/// What is the same under every runtime.
fn assert_common(report: &Report) {
    let deep = task(report, "deep").stack();
    let expected = [
        ("tasks::for_an_answer", "let _ = answer.await;"),
        ("tasks::through_one", "    for_an_answer().await;\n}"),
        ("tasks::through_two", "    through_one().await;\n}"),
    ];
    let expected = expected.map(|(function, line)| (function.to_owned(), line_of(line)));
    assert_eq!(own(&deep), expected, "from the leaf up to the root:\n{deep}");

    let lock = task(report, "lock").stack();
    assert_eq!(own(&lock), [("tasks::for_a_lock".to_owned(), line_of(AT_THE_LOCK))], "{lock}");
    let either = task(report, "either").stack();
    assert!(has(&either, "tasks::for_either"), "{either}");

    let both = task(report, "both").stacks();
    assert_eq!(both.len(), 2, "{report}");
    for stack in &both {
        assert!(has(stack, "tasks::for_both"), "{stack}");
    }

    let attribute = tasks_named(report, "tasks::by_attribute");
    let mut orders: Vec<_> = attribute.iter().map(|task| task.label("order")).collect();
    orders.sort_unstable();
    assert_eq!(orders, [Some("4711"), Some("4712")]);
    for task in attribute {
        assert_eq!(task.label("password"), Some("***"));
    }
    assert!(!report.to_string().contains("hunter2"), "{report}");
    // The outer task's stack goes through the inner one.
    let nested = task(report, "nested").stack();
    assert!(has(&nested, "tasks::by_attribute") && has(&nested, "tasks::tasks"), "{nested}");
}

#[test]
fn under_tokio() {
    let mut program = start(&["tokio"]);
    let report = settled(&mut program, 11);
    assert_common(&report);
    let runtimes = list(&report.data("Green Threads", "green_threads")["runtimes"]);
    let [runtime] = runtimes else { panic!("one runtime: {runtimes:?}") };
    let kind = text(&runtime["kind"]);
    assert!(kind.contains("tokio") && kind.contains("multi-thread"), "{kind}");
    assert_eq!(runtime["workers"], 2);
    assert_eq!(runtime["alive_tasks"], 10);
    assert_eq!(runtime["untracked_tasks"], 0);
    for (name, place) in [
        ("tasks::for_a_permit", "permits.acquire().await"),
        ("tasks::for_a_while", "tokio::time::sleep(Duration::from_hours(1)).await"),
        ("tasks::for_a_message", "receiver.recv().await"),
    ] {
        let stack = task(&report, name).stack();
        assert_eq!(own(&stack), [(name.to_owned(), line_of(place))], "{stack}");
    }
    let block = task(&report, "tasks::block");
    assert_eq!(block.kind(), "polling");
    assert!(block.fields["state"]["polling_ms"].is_u64(), "{}", block.fields);
}

#[test]
fn under_smol() {
    assert_common(&settled(&mut start(&["smol"]), 7));
}

#[test]
fn under_an_executor_of_futures() {
    assert_common(&settled(&mut start(&["futures"]), 7));
}

/// The Green Threads section of a report as text that fulfils the condition.
fn section_as_text(arguments: &[&str], holds: fn(&str) -> bool) -> String {
    let mut command = command(arguments);
    command.env("GMR_FORMAT", "text");
    let mut program = Program::start_with(command);
    let mut section = String::new();
    wait_until("the text shows all tasks where they wait", || {
        program.signal(Signal::USR2);
        let report = Text::parse(&Text::read(&mut program));
        report.section("Green Threads").clone_into(&mut section);
        holds(&section)
    });
    section
}

#[test]
fn text_shows_async_functions_by_their_names_and_common_frames_once() {
    let section = section_as_text(&["tokio"], |section| {
        ["lock", "deep", "both", "tasks::for_a_while", "tasks::for_a_message"]
            .iter()
            .all(|name| block(section, name).is_some_and(|block| block.contains(" in tasks::")))
            && has_names(section, "tasks")
    });
    let deep = block(&section, "deep").unwrap();
    let places = ["tasks::for_an_answer\n", "tasks::through_one\n", "tasks::through_two\n"];
    let places = places.map(|name| deep.find(name).unwrap_or_else(|| panic!("{name}: {deep}")));
    assert!(places.is_sorted(), "from the leaf up to the root: {deep}");
    assert!(!deep.contains("closure") && !deep.contains("async_fn"), "{deep}");

    let both = block(&section, "both").unwrap();
    assert_eq!(both.matches("tasks::for_both").count(), 1, "the common part is shown once: {both}");
    assert_eq!(both.matches("tasks::for_an_answer").count(), 2, "both places are shown: {both}");

    for name in ["tasks::for_a_permit", "tasks::for_a_while", "tasks::for_a_message"] {
        let block = block(&section, name).unwrap_or_else(|| panic!("no {name} in\n{section}"));
        assert!(!block.contains("catch_unwind") && !block.contains("__rust_try"), "{block}");
    }
}

/// What the text says about the task with this name.
fn block<'a>(section: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = section.split_once(&format!("({name})"))?;
    Some(rest.split_once("\n------").map_or(rest, |(block, _)| block))
}

#[test]
fn every_worker_is_blocked_and_the_culprits_are_named() {
    const CULPRIT: &str = "tasks::that_blocks_its_worker";
    let mut program = start(&["wedged"]);
    let report = program.report_when("a report without a failure, and with all stacks", |report| {
        report.failed() == 0 && report.is_complete()
    });
    assert_eq!(report.tasks().len(), 3, "{report}");
    assert_eq!((count(&report, "polling"), count(&report, "woken")), (2, 1), "{report}");
    for culprit in tasks_named(&report, CULPRIT) {
        let state = &culprit.fields["state"];
        assert!(culprit.kind() == "polling" && state["polling_ms"].is_u64(), "{state}");
        let threads = report.threads();
        let thread = threads.iter().find(|thread| state["tid"] == thread.tid());
        let stack = thread.unwrap_or_else(|| panic!("no thread for {state}")).stack();
        let place = (CULPRIT.to_owned(), line_of("    block();\n}"));
        assert!(own(&stack).contains(&place), "{stack}");
    }
}

#[test]
fn many_tasks_are_a_few_lines_of_text() {
    let section = section_as_text(&["many", "2000"], |section| {
        section.lines().any(|line| line.contains("2000") && line.contains("tasks::for_a_permit"))
    });
    assert!(section.lines().count() < 20, "{section}");
}

#[test]
fn a_report_is_not_what_tasks_have_waited_for() {
    let mut program = start(&["many", "2000"]);
    for _ in 0..2 {
        let report = program.report_when("all tasks wait", |report| count(report, "waiting") == 2000);
        assert_eq!(tasks_named(&report, "tasks::for_a_permit").len(), 2000);
        // Polls for a report are not counted.
        for task in report.tasks() {
            assert!(task["polls"].as_u64().is_some_and(|polls| polls <= 1), "{task}");
        }
    }
}

#[test]
fn requests_in_flight_are_tasks() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;

    let mut program = Program::start(program!("requests"));
    let address = program.ask("where?");
    let ask = |path: &str| {
        let mut connection = TcpStream::connect(&address).expect("it listens");
        write!(connection, "GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").expect("it reads");
        connection
    };
    let _stuck = [ask("/orders/42?token=hunter2"), ask("/orders/43")];
    let mut status = String::new();
    BufReader::new(ask("/health")).read_line(&mut status).expect("it answers");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");

    // Both have to arrive first.
    let waits = |task: &Task<'_>| task.stacks().iter().any(|stack| has(stack, "requests::reserve"));
    let report = program.report_when("both requests wait", |report| {
        tasks_named(report, "request").iter().filter(|task| waits(task)).count() == 2
    });
    let mut requests: Vec<_> =
        tasks_named(&report, "request").iter().map(|task| task.label("request")).collect();
    requests.sort_unstable();
    assert_eq!(requests, [Some("GET /orders/42"), Some("GET /orders/43")]);
    for task in tasks_named(&report, "request") {
        let stack = task.stack();
        let is_place = |function: &str| plain(function) == "requests::reserve";
        let frame = stack.frames.iter().find(|frame| is_place(frame.function())).expect("it waits there");
        assert!(frame.file().ends_with("tests/programs/requests.rs"), "{stack}");
        assert!(frame.source().contains("stock.acquire().await"), "{}", frame.source());
    }
    assert!(!report.to_string().contains("hunter2"), "{report}");
    let section = report.content("Green Threads").to_string();
    assert!(!section.contains("/health"), "{section}");
}

/// What is wrong with a task of `awaits`, which waits at that many places.
fn mistake(report: &Report, name: &str, places: usize) -> Option<String> {
    let found = tasks_named(report, name);
    let [task] = &found[..] else { return Some(format!("{name}: {} tasks", found.len())) };
    let stacks = task.stacks();
    let function = format!("awaits::{name}");
    // In a release build, functions are inlined, and nothing names those.
    let is_there = |stack: &Stack<'_>| {
        !cfg!(debug_assertions) || stack.functions().any(|other| plain(other).ends_with(&function))
    };
    let is_right = match places {
        0 => stacks.len() == 1 && stacks[0].is_missing(),
        _ => stacks.len() == places && stacks.iter().all(is_there),
    };
    let shown = || stacks.iter().fold(String::new(), |text, stack| format!("{text}\n{stack}"));
    (!is_right || task.kind() != "waiting")
        .then(|| format!("{name}, {}: {} instead of {places} places{}", task.kind(), stacks.len(), shown()))
}

#[test]
fn each_kind_of_await_is_shown_at_its_places() {
    let mut program = Program::start(program!("awaits"));
    let answer = program.ask("places?");
    let places: Vec<(&str, usize)> = answer
        .split_whitespace()
        .map(|entry| entry.split_once('=').expect("a name and a number"))
        .map(|(name, places)| (name, places.parse().expect("a number")))
        .collect();
    assert!(places.len() >= 99);
    let mistakes = |report: &Report| -> Vec<String> {
        places.iter().filter_map(|(name, places)| mistake(report, name, *places)).collect()
    };
    // Some have to connect, to fill a buffer or to start a child before they wait.
    let until = std::time::Instant::now() + LIMIT;
    loop {
        let mistakes = mistakes(&program.report());
        if mistakes.is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < until, "{}", mistakes.join("\n"));
    }
    // From then on, each report is right in which the runtime has polled all tasks in time.
    for _ in 0..10 {
        let report = program.report_when("all tasks are polled in time", |report| {
            let late = |stack: &Stack<'_>| stack.incomplete.is_some_and(|reason| reason.contains("in time"));
            let is_late = |fields| Task { report, fields }.stacks().iter().any(late);
            !report.tasks().iter().any(is_late)
        });
        let mistakes = mistakes(&report);
        assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    }
}

#[test]
fn sets_say_that_their_futures_are_not_shown() {
    let mut program = Program::start(program!("awaits"));
    for name in [
        "futures_unordered",
        "futures_join_many",
        "buffer_unordered",
        "buffered",
        "for_each_concurrent",
        "join_set",
        "shared",
    ] {
        program.report_when(&format!("{name} says so"), |report| {
            let stacks = task(report, name).stacks();
            stacks.len() == 1 && stacks[0].incomplete.is_some_and(|reason| reason.contains("own"))
        });
    }
}

#[test]
fn tracked_futures_in_a_set_are_shown_where_they_wait() {
    let mut program = Program::start(program!("awaits"));
    let waits = |task: &Task<'_>| task.stacks().iter().any(|stack| has(stack, "awaits::sleep"));
    program.report_when("the futures wait", |report| {
        let futures = tasks_named(report, "in_a_set");
        futures.len() == 3 && futures.iter().all(waits)
    });
}

#[test]
fn polls_can_be_switched_off_for_the_program_and_for_a_task() {
    let mut command = command(&["tokio"]);
    command.env("GMR_POLL_TASKS", "off");
    let mut program = Program::start_with(command);
    let report = program.report_when("11 tasks wait", |report| count(report, "waiting") == 11);
    let waiting = report.tasks().iter().filter(|task| task["state"]["kind"] == "waiting");
    for fields in waiting {
        let reason = Task { report: &report, fields }.stack().incomplete.unwrap_or_default();
        assert!(reason.contains("GMR_POLL_TASKS"), "{reason}");
        assert!(fields["polls"].as_u64().is_some_and(|polls| polls > 0), "{fields}");
    }
    // So does a finding about all of them.
    let missing = |report: &Report| -> Option<Value> {
        report.findings().iter().find(|finding| finding["code"] == "report.task-stacks-missing").cloned()
    };
    let finding = missing(&report).expect("no task has a stack");
    assert!(
        finding["evidence"][0]["message"].as_str().is_some_and(|why| why.contains("GMR_POLL_TASKS")),
        "{finding}"
    );

    let mut program = start(&["unpolled"]);
    let report = program.report_when("both wait", |report| {
        count(report, "waiting") == 2 && !task(report, "tasks::for_an_answer").stack().is_missing()
    });
    let unpolled = task(&report, "tasks::unpolled").stack();
    assert!(unpolled.incomplete.is_some_and(|reason| reason.contains("poll = false")), "{unpolled}");
    assert_eq!(missing(&report), None);
}

#[test]
fn a_waker_that_panics_ends_neither_the_program_nor_the_report() {
    let mut program = start(&["full"]);
    for _ in 0..2 {
        let report = program.report();
        let reason = task(&report, "queued").stack().incomplete.unwrap_or_default();
        assert!(reason.contains("waking it panicked"), "{reason}");
        let notes = list(&report.data("Green Threads", "green_threads")["notes"]);
        let is_named = |note: &Value| text(note).ends_with("too many tasks are queued");
        assert!(notes.iter().any(is_named), "{notes:?}");
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}

#[test]
fn tasks_go_on_while_a_thread_holds_the_lock_of_backtraces() {
    let mut program = Program::start(program!("locked"));
    let done = |program: &mut Program| program.ask("done?").parse::<u64>().expect("a number");
    for _ in 0..3 {
        let report = program.report();
        assert_eq!(tasks_named(&report, "locked::work").len(), 50, "{report}");
        let before = done(&mut program);
        wait_until("the tasks work on", || done(&mut program) > before + 50);
    }
    program.report_when("stacks are taken all the same", |report| {
        let tasks = tasks_named(report, "locked::work");
        tasks.iter().filter(|task| task.stacks().iter().any(|stack| has(stack, "locked::work"))).count() > 0
    });
}

#[test]
fn a_task_whose_runtime_accepts_no_other_wakers_is_left_alone() {
    let mut program = Program::start(program!("embassy"));
    let beats = |program: &mut Program| program.ask("beats?").parse::<u64>().expect("a number");
    wait_until("the timer expires", || beats(&mut program) > 0);
    for _ in 0..5 {
        let before = beats(&mut program);
        let report = program.report();
        let heartbeat = task(&report, "heartbeat");
        if heartbeat.kind() == "waiting" {
            let reason = heartbeat.stack().incomplete.unwrap_or_default();
            assert!(reason.contains("embassy"), "{reason}");
        }
        wait_until("the timer expires after the report", || beats(&mut program) > before + 1);
    }
    // The other runtime's task is polled.
    program.report_when("it is where it waits", |report| {
        task(report, "embassy::on_tokio").stacks().iter().any(|stack| has(stack, "embassy::on_tokio"))
    });
}
