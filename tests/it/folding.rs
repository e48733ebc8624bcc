//! Text leaves out frames of the runtime, and none of the program.

use std::process::Command;

use rustix::process::Signal;

use crate::program::{Program, program, wait_until};
use crate::text::{Text, has_names};

/// The threads that wait in a runtime for a future, and a worker that runs a task.
const IN_RUNTIMES: [(&str, &str); 5] = [
    ("(in-multi)", "folding::in_multi_thread"),
    ("(in-current)", "folding::in_current_thread"),
    ("(in-smol)", "folding::in_smol"),
    ("(in-futures)", "folding::in_futures"),
    ("(busy)", "folding::compute"),
];

/// The most lines that a runtime takes above the program's functions.
const MOST_LINES: usize = 6;

/// A report in which all threads are where they wait.
fn settled(backtrace: &str) -> Text {
    let mut command = Command::new(program!("folding"));
    command.env("GMR_FORMAT", "text").env("GMR_BACKTRACE", backtrace);
    let mut program = Program::start_with(command);
    let mut settled = None;
    wait_until("all threads wait, and have names", || {
        program.signal(Signal::USR2);
        let text = Text::read(&mut program);
        // A thread names itself after it has started.
        let mut names = ["(of-option)", "(of-notify)", "(of-tokio)"]
            .iter()
            .chain(IN_RUNTIMES.iter().map(|(name, _)| name));
        let are_named = names.all(|name| text.contains(name));
        let is_settled =
            are_named && has_names(&text, "folding") && text.matches("::wait_parked").count() >= 2;
        let report = Text::parse(&text);
        let is_there = |(name, function): &(&str, &str)| {
            let block = report.block("Threads", name);
            block.contains(function) && (block.contains("waiting ") || *name == "(busy)")
        };
        if is_settled
            && IN_RUNTIMES.iter().all(is_there)
            && report.block("Threads", "(of-tokio)").contains("waiting ")
        {
            settled = Some(report);
        }
        settled.is_some()
    });
    settled.expect("there was a report")
}

/// The lines of a thread's stack.
fn stack<'a>(report: &'a Text, name: &str) -> Vec<&'a str> {
    let (_, stack) = report.block("Threads", name).split_once("\n\n").expect("a stack follows the facts");
    stack.lines().take_while(|line| !line.is_empty()).collect()
}

#[test]
fn text_leaves_out_frames_of_runtimes_and_none_of_the_program() {
    let report = settled("short");
    traits_of_the_program_are_shown(&report);
    for (name, function) in IN_RUNTIMES {
        let stack = stack(&report, name);
        let first = stack.iter().position(|line| line.contains(" in folding::")).expect("it has been found");
        assert!(first <= MOST_LINES, "{stack:#?}");
        assert!(stack[first].ends_with(&format!(" in {function}")), "{stack:#?}");
        assert!(stack.iter().any(|line| line.starts_with('(') && line.ends_with(" omitted)")), "{stack:#?}");
    }
    let worker = stack(&report, "(of-tokio)");
    let is_frame = |line: &&&str| line.contains(" in ");
    assert_eq!(worker.iter().filter(is_frame).count(), 1, "{worker:#?}");
    assert!(worker.iter().any(|line| line.starts_with("(idle; ") && line.contains("tokio")), "{worker:#?}");

    let full = settled("full");
    for name in IN_RUNTIMES.iter().map(|(name, _)| *name).chain(["(of-tokio)"]) {
        let stack = stack(&full, name);
        assert!(stack.iter().filter(is_frame).count() > 10, "{stack:#?}");
        assert!(!stack.iter().any(|line| line.ends_with(" omitted)")), "{stack:#?}");
    }
}

fn traits_of_the_program_are_shown(report: &Text) {
    for (thread, of_type) in [("(of-option)", "core::option::Option<u32>"), ("(of-notify)", "Notify")] {
        let block = report.block("Threads", thread);
        for function in ["start", "deeper"] {
            let name = format!("{of_type} as folding::Job>::{function}\n");
            assert!(block.contains(&name), "{name} in\n{block}");
        }
        assert!(block.contains(" in folding::wait_parked"), "{block}");
        let mut functions = block.lines().filter_map(|line| line.rsplit_once(" in "));
        let others = ["__rust_begin_short_backtrace", "start_thread", "clone"];
        let is_other = |function: &str| others.iter().any(|name| function.contains(name));
        assert!(!functions.any(|(_, function)| is_other(function)), "{block}");
        assert!(!block.contains("idle;"), "{block}");
    }
}
