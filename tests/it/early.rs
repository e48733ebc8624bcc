//! The report signal before gmr is installed: it does not end a program that has `#[gmr::main]`,
//! and its report follows.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::builds;
use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};

/// A program that is in its initializers, after gmr's.
fn initializing(path: &str, how: &str, variables: &[(&str, &str)]) -> Program {
    let mut command = Command::new(path);
    command.env("EARLY", how).envs(variables.iter().copied());
    wait_for_initializer(command)
}

fn wait_for_initializer(command: Command) -> Program {
    let mut program = Program::spawn(command).expect("it starts");
    assert_eq!(program.hear(), "initializing");
    program
}

/// Whether a signal is in one of the sets of `/proc/PID/status`; `None` if the process has ended.
fn is_in(set: &str, pid: u32, signal: Signal) -> Option<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let set = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"))?;
    let set = u64::from_str_radix(set, 16).expect("it is hexadecimal");
    Some(set >> (signal.as_raw() - 1) & 1 == 1)
}

fn is_caught(program: &Program, signal: Signal) -> bool {
    is_in("SigCgt", program.pid(), signal).expect("it lives")
}

fn notes(report: &Report) -> Vec<&str> {
    list(&report.package()["notes"]).iter().map(text).collect()
}

/// It was signalled before `main`, and the report follows once `main` runs.
fn expect_report(mut program: Program, signal: Signal, name: &str) {
    assert!(is_caught(&program, signal));
    program.signal(signal);
    // The next one finds nothing to do: both are noted, and there is one report.
    program.signal(signal);
    assert_eq!(program.ask("go on"), "ready");
    let report = program.next_report();
    let trigger = &report.heading()["trigger"];
    assert_eq!((&trigger["name"], &trigger["sender"]["pid"]), (&name.into(), &std::process::id().into()));
    assert_eq!(report.heading()["pid"], program.pid());
    assert_eq!((notes(&report).as_slice(), report.number()), (&[""; 0][..], 1), "{report}");
    // From now on as ever.
    program.signal(signal);
    assert_eq!(program.next_report().number(), 2);
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn a_signal_before_main_gets_its_report_once_main_runs() {
    expect_report(initializing(program!("early"), "wait", &[]), Signal::USR2, "SIGUSR2");
    // gmr is installed once the runtime runs `main`.
    expect_report(initializing(program!("early_async"), "wait", &[]), Signal::USR2, "SIGUSR2");
}

#[test]
fn without_a_signal_before_main_there_is_no_report() {
    let mut program = initializing(program!("early"), "wait", &[]);
    assert_eq!(program.ask("go on"), "ready");
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn without_the_attribute_the_signal_is_left_alone() {
    let program = initializing(program!("unarmed"), "wait", &[]);
    assert!(!is_caught(&program, Signal::USR2));
    program.signal(Signal::USR2);
    assert_eq!(program.end().0.signal(), Some(Signal::USR2.as_raw()));
}

#[test]
fn the_operators_signal_is_noted_in_place_of_the_programs() {
    for chosen in ["USR1", "10"] {
        let program = initializing(program!("early"), "wait", &[("GMR_SIGNAL", chosen)]);
        assert!(!is_caught(&program, Signal::USR2));
        expect_report(program, Signal::USR1, "SIGUSR1");
    }
    let program = initializing(program!("early"), "wait", &[("GMR_SIGNAL", "none")]);
    assert!(!is_caught(&program, Signal::USR2));
    // With these, the program's signal is used: one is unknown, and the C library reserves the
    // other one. The warning comes with the installation.
    for chosen in ["SIGNONSENSE", "32"] {
        let mut program = initializing(program!("early"), "wait", &[("GMR_SIGNAL", chosen)]);
        assert!(is_caught(&program, Signal::USR2), "{chosen}");
        program.signal(Signal::USR2);
        assert_eq!(program.ask("go on"), "ready");
        let warning = program.next_error_line();
        assert!(warning.contains("GMR_SIGNAL"), "{warning}");
        assert_eq!(program.next_report().number(), 1);
    }
}

#[test]
fn a_signal_that_was_noted_in_vain_has_its_default_action_again() {
    let mut program = initializing(program!("early"), "choose", &[]);
    assert!(is_caught(&program, Signal::USR2));
    program.signal(Signal::USR2);
    assert_eq!(program.ask("go on"), "ready");
    let warning = program.next_error_line();
    assert!(warning.contains("a report was requested with another signal"), "{warning}");
    wait_until("it is given back", || !is_caught(&program, Signal::USR2));
    assert!(is_caught(&program, Signal::USR1));
    program.signal(Signal::USR1);
    assert_eq!(program.next_report().heading()["trigger"]["name"], "SIGUSR1");
    program.signal(Signal::USR2);
    assert_eq!(program.end().0.signal(), Some(Signal::USR2.as_raw()));
}

#[test]
fn where_gmr_cannot_be_installed_the_signal_has_its_default_action_again() {
    for is_signalled in [true, false] {
        let mut program = initializing(program!("early"), "take all", &[]);
        if is_signalled {
            program.signal(Signal::USR2);
        }
        // The first one does not end it, since nobody was told that it would.
        assert_eq!(program.ask("go on"), "ready");
        let warning = program.next_error_line();
        assert!(warning.contains("could not install gmr"), "{warning}");
        if is_signalled {
            let warning = program.next_error_line();
            assert!(warning.contains("a report was requested before"), "{warning}");
        }
        assert!(!is_caught(&program, Signal::USR2));
        program.signal(Signal::USR2);
        let (status, rest) = program.end();
        assert_eq!((status.signal(), rest.as_str()), (Some(Signal::USR2.as_raw()), ""));
    }
}

/// The handler that was set stays, since the default action would end the process.
#[test]
fn where_the_reporter_cannot_start_the_warnings_say_what_the_signal_does() {
    let mut program = initializing(program!("early"), "limit memory", &[]);
    program.signal(Signal::USR2);
    assert_eq!(program.ask("go on"), "ready");
    let warning = program.next_error_line();
    assert!(warning.contains("could not install gmr"), "{warning}");
    assert!(warning.trim_end().ends_with("SIGUSR2 requests no reports"), "{warning}");
    let warning = program.next_error_line();
    assert!(warning.contains("a report was requested before; it is not made"), "{warning}");
    program.signal(Signal::USR2);
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

/// Its handler would be gone with the library.
#[test]
fn a_library_with_the_attribute_leaves_the_signal_alone() {
    let tests = std::env::current_exe().expect("it has a path");
    let library = tests.with_file_name("libgmr_test_plugin.so");
    let mut program = Program::start(program!("host"));
    assert_eq!(program.ask(library.to_str().expect("it is UTF-8")), "true");
    assert!(!is_caught(&program, Signal::USR2));
    assert_eq!(program.ask("unload"), "0");
    program.signal(Signal::USR2);
    assert_eq!(program.end().0.signal(), Some(Signal::USR2.as_raw()));
}

#[test]
fn a_handler_from_before_is_said() {
    let mut program = initializing(program!("early"), "handle", &[]);
    assert_eq!(program.ask("go on"), "ready");
    let report = program.report();
    let [note] = notes(&report)[..] else { panic!("{report}") };
    assert!(note.starts_with("SIGUSR2 had a handler when gmr was installed"), "{note}");
    assert!(program.end().0.success());
}

/// A shell has it ignored, and programs inherit that.
#[test]
fn an_ignored_signal_stays_ignored_until_gmr_is_installed() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' USR2; exec \"$0\"", program!("early")]).env("EARLY", "wait");
    let mut program = wait_for_initializer(command);
    assert_eq!(is_in("SigIgn", program.pid(), Signal::USR2), Some(true));
    program.signal(Signal::USR2);
    assert_eq!(program.ask("go on"), "ready");
    assert_eq!(program.report().number(), 1);
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn other_builds_note_the_signal_before_main() {
    for build in ["aborting", "musl"] {
        expect_report_of_build(build);
    }
}

/// The optimizer sees the whole program in one of them, and that nothing calls the initializer. In
/// the other, which is linked statically, there is no loader that calls it.
#[test]
#[ignore = "it builds everything twice more, optimized; `cargo xtask release-check` runs it"]
fn link_time_optimization_and_static_linking_keep_the_initializer() {
    for build in ["lto", "static"] {
        expect_report_of_build(build);
    }
}

fn expect_report_of_build(build: &str) {
    let Some(path) = builds::single_program_of(build, "early") else { return };
    let path = path.to_str().expect("it is ASCII");
    expect_report(initializing(path, "wait", &[("GMR_SIGNAL", "USR1")]), Signal::USR1, "SIGUSR1");
}

/// How programs fared that were signalled at a random time after their start.
#[derive(Debug, Default)]
struct Outcome {
    lived: usize,
    /// Killed, and not one of them had its handler when it was signalled.
    killed: usize,
    /// The longest time after the start at which a program had no handler yet.
    longest: Duration,
}

/// Signals programs that have just been started, each after a random time of up to 20 ms.
fn signal_at_random(path: &str, programs: usize) -> Outcome {
    let mut outcome = Outcome::default();
    // Weyl's sequence: equally distributed.
    let delays = (1_u32..).map(|number| number.wrapping_mul(2_654_435_769) >> 8);
    for delay in delays.take(programs) {
        let delay = Duration::from_nanos((20_000_000 * u64::from(delay)) >> 24);
        let program = Program::spawn(Command::new(path)).expect("it starts");
        // The parent returns from `spawn` once the child has executed the program.
        let started = Instant::now();
        while started.elapsed() < delay {
            std::hint::spin_loop();
        }
        let was_armed = is_caught(&program, Signal::USR2);
        let after = started.elapsed();
        program.signal(Signal::USR2);
        let (status, _) = program.end();
        if status.success() {
            outcome.lived += 1;
            continue;
        }
        assert_eq!(status.signal(), Some(Signal::USR2.as_raw()), "nothing else ends it");
        assert!(!was_armed, "killed {after:?} after its start, with a handler");
        outcome.killed += 1;
        outcome.longest = outcome.longest.max(after);
    }
    outcome
}

#[test]
fn a_program_that_notes_the_signal_is_never_killed() {
    let outcome = signal_at_random(program!("early"), crate::program::scaled(50));
    assert!(outcome.lived > 0, "{outcome:?}");
}

/// `cargo test -p gmr-tests --test it -- --ignored --nocapture 10_000`
#[test]
#[ignore = "a campaign: it takes minutes, and prints figures"]
fn campaign_of_10_000_programs() {
    println!("with the attribute: {:?}", signal_at_random(program!("early"), 10_000));
    println!("without: {:?}", signal_at_random(program!("unarmed"), 1_000));
}
