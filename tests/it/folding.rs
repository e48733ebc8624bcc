//! Text leaves out frames of the runtime, and none of the program.

use std::process::Command;

use rustix::process::Signal;

use crate::program::{Program, program, wait_until};
use crate::text::{Text, has_names};

#[test]
fn a_trait_of_the_program_is_shown_for_any_type() {
    let mut command = Command::new(program!("folding"));
    command.env("GMR_FORMAT", "text");
    let mut program = Program::start_with(command);
    let mut text = String::new();
    wait_until("all threads wait, and have names", || {
        program.signal(Signal::USR2);
        text = Text::read(&mut program);
        // A thread names itself after it has started.
        let are_named = ["(of-option)", "(of-notify)", "(of-tokio"].iter().all(|name| text.contains(name));
        are_named
            && Text::parse(&text).block("Threads", "(of-tokio").contains("(idle; ")
            && has_names(&text, "folding")
            && text.matches("::wait_parked").count() >= 2
    });
    let report = Text::parse(&text);
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
    let worker = report.block("Threads", "(of-tokio");
    let frames = worker.lines().filter(|line| line.contains(" in tokio::")).count();
    assert_eq!(frames, 1, "{worker}");
}
