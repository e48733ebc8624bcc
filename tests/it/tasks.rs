//! Asynchronous tasks under several runtimes: each is found where it waits, with the lines of its own source.

use std::process::Command;

use crate::program::{Program, program};

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(program!("tasks"));
    command.args(arguments);
    Program::start_with(command)
}

/// The line of a program's source that has this text.
fn line_of(text: &str) -> String {
    let source = include_str!("../programs/tasks.rs");
    let (before, _) = source.split_once(text).unwrap_or_else(|| panic!("`{text}` is not there"));
    format!(
        "tests/programs/tasks.rs:{} in ",
        before.lines().count().max(1) + usize::from(before.ends_with('\n'))
    )
}

/// The part of the section that is about the task of this name.
fn task<'a>(section: &'a str, name: &str) -> &'a str {
    let start = section.find(&format!("({name})")).or_else(|| section.find(&format!(": {name} ")));
    let start = start.unwrap_or_else(|| panic!("no task {name} in\n{section}"));
    let rest = &section[start..];
    rest.find("\n------").map_or(rest, |end| &rest[..end])
}

/// Reports until all tasks are where they wait: they have to get there first.
fn settled(program: &mut Program, waiting: usize) -> String {
    loop {
        let report = program.report();
        let section = report.section("Green Threads").to_owned();
        let Some(totals) = section.lines().find(|line| line.starts_with("tasks = ")) else {
            panic!("no totals in\n{section}")
        };
        if totals.contains(&format!(" {waiting} waiting"))
            && section.contains(&line_of("let _held = lock.lock().await;"))
        {
            return section;
        }
    }
}

/// What is the same under every runtime.
fn assert_common(section: &str) {
    let deep = task(section, "deep");
    let lines = ["let _ = answer.await;", "    for_an_answer().await;\n}", "    through_one().await;\n}"];
    assert!(deep.contains(&format!("{}tasks::for_an_answer", line_of(lines[0]))), "{deep}");
    let names = ["tasks::for_an_answer\n", "tasks::through_one\n", "tasks::through_two"];
    let places: Vec<_> =
        names.iter().map(|name| deep.find(name).unwrap_or_else(|| panic!("{name}: {deep}"))).collect();
    assert!(places.is_sorted(), "from the leaf up to the root: {deep}");
    assert!(!deep.contains("closure") && !deep.contains("async_fn"), "{deep}");

    assert!(task(section, "lock").contains(&line_of("let _held = lock.lock().await;")), "{section}");
    assert!(task(section, "either").contains("tasks::for_either"), "{section}");

    let both = task(section, "both");
    assert!(both.contains("waiting at 1 of 2:") && both.contains("waiting at 2 of 2:"), "{both}");
    assert_eq!(both.matches("tasks::for_both").count(), 1, "the common part stands once: {both}");

    let attribute = task(section, "tasks::by_attribute");
    assert!(attribute.contains("order = 4711") && attribute.contains("order = 4712"), "{attribute}");
    assert!(attribute.contains("password = ***") && !section.contains("hunter2"), "{attribute}");
    // The outer task's stack goes through the inner one.
    let nested = task(section, "nested");
    assert!(nested.contains("tasks::by_attribute") && nested.contains("tasks::tasks"), "{nested}");
}

#[test]
fn under_tokio() {
    let mut program = start(&["tokio"]);
    let section = settled(&mut program, 11);
    assert_common(&section);
    assert!(section.contains("runtime = tokio, multi-thread, 2 workers, 10 tasks alive"), "{section}");
    for (name, place) in [
        ("tasks::for_a_permit", "permits.acquire().await"),
        ("tasks::for_a_while", "tokio::time::sleep(Duration::from_hours(1)).await"),
        ("tasks::for_a_message", "receiver.recv().await"),
    ] {
        let task = task(&section, name);
        assert!(task.contains(&line_of(place)), "{name}: {task}");
        assert!(!task.contains("catch_unwind") && !task.contains("__rust_try"), "{name}: {task}");
    }
    assert!(task(&section, "tasks::block").contains("has been inside this task's poll for"), "{section}");
}

#[test]
fn under_smol() {
    assert_common(&settled(&mut start(&["smol"]), 7));
}

#[test]
fn under_an_executor_of_futures() {
    assert_common(&settled(&mut start(&["futures"]), 7));
}

#[test]
fn every_worker_is_blocked_and_the_culprits_are_named() {
    let mut program = start(&["wedged"]);
    let report = program.report();
    assert!(!report.summary.contains("failed"), "{report:?}");
    let section = report.section("Green Threads");
    assert!(section.starts_with("tasks = 3: 2 being polled, 1 woken and not polled\n"), "{section}");
    let culprit = task(section, "tasks::that_blocks_its_worker");
    assert!(culprit.contains("has been inside this task's poll for"), "{culprit}");
    let tid = culprit.split("thread #").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let thread = report.threads().into_iter().find(|thread| thread.tid.to_string() == tid).unwrap();
    assert!(thread.body.contains("tasks::that_blocks_its_worker"), "{}", thread.body);
    assert!(thread.body.contains(&line_of("    block();\n}")), "{}", thread.body);
    assert!(section.contains("its runtime has no thread free for it"), "{section}");
}

#[test]
fn many_tasks_are_a_few_lines() {
    let mut program = start(&["many", "2000"]);
    let report = program.report();
    let section = report.section("Green Threads");
    assert!(section.contains("2000 tasks like this: tasks::for_a_permit"), "{section}");
    assert!(section.lines().count() < 20, "{section}");
    // Asked again, they still wait for as long as they have: a report is not what they waited for.
    let again = program.report();
    assert!(again.section("Green Threads").contains("at most 1 poll\n"), "{again:?}");
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
    let section = loop {
        let report = program.report();
        let section = report.section("Green Threads");
        if section.contains("2 tasks like this: request") && section.contains("requests::reserve") {
            break section.to_owned();
        }
    };
    assert!(
        section.contains("request = GET /orders/42") && section.contains("request = GET /orders/43"),
        "{section}"
    );
    assert!(
        section.contains("tests/programs/requests.rs") && section.contains("stock.acquire().await"),
        "{section}"
    );
    assert!(!section.contains("hunter2") && !section.contains("/health"), "{section}");
}
