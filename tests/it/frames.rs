//! Stacks that are hard to unwind: each is whole, or ends where there is no unwind rule and says
//! why. No frame is made up.

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
use crate::at_rest::switches;
use crate::gdb;
use crate::program::{Program, program};
use crate::report::{Report, Stack, list};

/// The functions of the test program and its assembly, innermost first.
fn own<'a>(stack: &Stack<'a>) -> Vec<&'a str> {
    const ASSEMBLY: [&str; 6] =
        ["without_rules", "realigned", "run_on_stack", "overwritten", "waits_in_frame", "calls_wait"];
    stack
        .functions()
        .filter(|function| function.starts_with("frames::") || ASSEMBLY.contains(function))
        .filter(|function| !function.contains('{') && !function.starts_with("frames::on_new_stack"))
        .collect()
}

/// What each thread of the program shows.
const EXPECTED: &[(&str, &[&str])] = &[
    ("handler", &["frames::wait_here", "frames::handle", "frames::interrupted"]),
    #[cfg(target_arch = "x86_64")]
    ("realigned", &["frames::wait_here", "realigned", "frames::call_realigned"]),
    #[cfg(target_arch = "x86_64")]
    (
        "other-stacks",
        &[
            "frames::wait_here",
            "run_on_stack",
            "frames::inner",
            "run_on_stack",
            "frames::middle",
            "run_on_stack",
            "frames::outer",
        ],
    ),
    // It does not wait, so it is signalled.
    #[cfg(target_arch = "x86_64")]
    (
        "computing",
        &[
            "frames::compute",
            "run_on_stack",
            "frames::computing_inner",
            "run_on_stack",
            "frames::computing_middle",
            "run_on_stack",
            "frames::computing_outer",
        ],
    ),
    #[cfg(target_arch = "x86_64")]
    ("own-restorer", &["frames::wait_here", "frames::handle", "frames::interrupted_with_restorer"]),
    #[cfg(target_arch = "x86_64")]
    ("overwritten", &["frames::wait_here", "overwritten"]),
    #[cfg(target_arch = "x86_64")]
    ("no-call", &["frames::wait_here", "overwritten"]),
    #[cfg(target_arch = "x86_64")]
    ("running-no-call", &["frames::compute", "overwritten"]),
    #[cfg(target_arch = "x86_64")]
    ("without-rules", &["without_rules"]),
    #[cfg(target_arch = "x86_64")]
    ("generated", &[]),
    #[cfg(target_arch = "x86_64")]
    ("pausing", &[]),
    #[cfg(target_arch = "x86_64")]
    ("below-generated", &["waits_in_frame", "calls_wait"]),
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    ("context", &["frames::wait_here"]),
];

/// Threads whose stacks are cut: the function of the last frame, if it has one, and the reason.
#[cfg(target_arch = "x86_64")]
const CUT: &[(&str, Option<&str>, &str)] = &[
    ("without-rules", Some("without_rules"), "no unwind information"),
    ("generated", None, "generated at run time"),
    ("pausing", None, "generated at run time"),
    ("below-generated", None, "generated at run time"),
    ("overwritten", Some("overwritten"), "where there is no code"),
    ("no-call", Some("overwritten"), "which follows no call"),
    ("running-no-call", Some("overwritten"), "which follows no call"),
];
#[cfg(not(target_arch = "x86_64"))]
const CUT: &[(&str, Option<&str>, &str)] = &[];

fn is_cut(name: &str) -> bool {
    CUT.iter().any(|(cut, ..)| *cut == name)
}

fn settled(program: &mut Program) -> Report {
    program.report_when("each thread is where it stays", |report| {
        // On a busy machine, the stack of a thread that runs may be missing, or end early.
        let is_there = |name: &str, expected: &[&str]| {
            let stack = report.thread(name).stack();
            own(&stack) == expected && !stack.is_missing() && stack.incomplete.is_some() == is_cut(name)
        };
        report.has_all_names() && EXPECTED.iter().all(|(name, expected)| is_there(name, expected))
    })
}

#[test]
fn no_frame_is_made_up() {
    let mut program = Program::start(program!("frames"));
    let report = settled(&mut program);
    for (name, expected) in EXPECTED {
        let stack = report.thread(name).stack();
        assert!(is_cut(name) || stack.incomplete.is_none(), "{name}:\n{stack}");
        let never = ["never_called", "never_returned_to"];
        assert!(!never.iter().any(|function| stack.mentions(function)), "{name}:\n{stack}");
        // Generated code, or nothing else.
        assert!(!expected.is_empty() || stack.frames.len() == 1, "{name}:\n{stack}");
    }
    for (name, function, reason) in CUT {
        let stack = report.thread(name).stack();
        assert!(stack.incomplete.is_some_and(|incomplete| incomplete.contains(reason)), "{name}:\n{stack}");
        // Nothing follows; in particular, no function with the name of the data.
        let last = stack.frames.last().expect("a frame").fields();
        assert_eq!(last["function"].as_str(), *function, "{name}:\n{stack}");
        assert_eq!(last["module"].is_null(), function.is_none(), "{name}:\n{stack}");
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn no_thread_is_signalled_because_code_has_no_rules() {
    let mut program = Program::start(program!("frames"));
    let names = ["pausing", "below-generated", "context"];
    let are_at_rest = |report: &Report| {
        let is_at_rest = |name: &&str| report.thread(name).stack().taken == Some("at rest");
        names.iter().all(is_at_rest)
    };
    settled(&mut program);
    program.report_when("they are read at rest", are_at_rest);
    let before = switches(program.pid());
    for _ in 0..3 {
        let report = program.report();
        let after = switches(program.pid());
        assert!(are_at_rest(&report), "{report}");
        for name in names {
            let (tid, stack) = (report.thread(name).tid(), report.thread(name).stack());
            assert_eq!(before[&tid], after[&tid], "{name} has run");
            assert_eq!(stack.incomplete.is_some(), is_cut(name), "{name}:\n{stack}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_running_thread_is_followed_over_its_stacks_up_to_a_number() {
    // Each of the eight stacks that are copied has one call of each of the two functions. The
    // thread answers as many times, and must be scheduled each time.
    const KNOWN: usize = 1 + 2 * 7 + 1;
    let mut program = Program::start(program!("frames"));
    settled(&mut program);
    let report = program.report_when("as many stacks are copied as can be", |report| {
        own(&report.thread("many-stacks").stack()).len() >= KNOWN
            && report.thread("computing").stack().is_whole()
    });
    assert_eq!(report.thread("computing").stack().taken, Some("by signal"));
    // The part that is shown is correct, and the rest is reported as missing.
    let many = report.thread("many-stacks").stack();
    assert!(many.incomplete.unwrap_or_default().contains("could not read stack memory"), "{many}");
    let own = own(&many);
    assert_eq!((own.len(), &own[..2]), (KNOWN, &["frames::compute", "run_on_stack"][..]));
    assert!(own[1..].chunks_exact(2).all(|pair| pair == ["run_on_stack", "frames::descend"]), "{own:?}");
}

#[test]
fn stacks_that_are_cut_are_counted_and_found() {
    let mut program = Program::start(program!("frames"));
    let report = settled(&mut program);
    let coverage = &report.data("Threads", "threads")["coverage"];
    let cut = coverage["cut"].as_array().expect("a list");
    let stacks: u64 = cut.iter().map(|cut| cut["stacks"].as_u64().expect("a number")).sum();
    assert_eq!(coverage["whole"].as_u64().unwrap() + stacks, report.threads().len() as u64, "{coverage}");
    let frames = report.threads().iter().map(|thread| thread.stack().frames.len() as u64).sum();
    // Inlined functions have no frame of their own.
    assert!((1..=frames).contains(&coverage["frames"].as_u64().unwrap()), "{coverage}");
    for (name, ..) in CUT {
        let reason = report.thread(name).stack().incomplete.expect("it is cut");
        assert!(cut.iter().any(|cut| cut["reason"] == reason), "{coverage}");
        let tid = report.thread(name).tid();
        let is_found = |finding: &serde_json::Value| {
            finding["code"] == "thread.cut-stack" && list(&finding["threads"]).contains(&tid.into())
        };
        assert!(report.findings().iter().any(is_found), "{name}");
    }
}

#[test]
fn gdb_finds_the_same_frames() {
    let mut program = Program::start(program!("frames"));
    let report = settled(&mut program);
    let Some(by_gdb) = gdb::backtraces(program.pid()) else { return };
    // gdb recognizes only the C library's code that a signal handler returns to.
    let is_compared = |name: &str| !is_cut(name) && name != "own-restorer";
    for (name, expected) in EXPECTED.iter().filter(|(name, _)| is_compared(name)) {
        let frames = &by_gdb[&report.thread(name).tid()];
        let theirs: Vec<&str> = frames
            .iter()
            .map(|frame| frame.function.split('<').next().unwrap_or_default())
            .filter(|function| expected.contains(function))
            .collect();
        // gdb stops at a stack that lies below the one before; where the stacks lie is random. On
        // aarch64, it also stops at the kernel's code that a signal handler returns to.
        let can_stop = ["other-stacks", "computing"].contains(name)
            || cfg!(target_arch = "aarch64") && *name == "handler";
        if can_stop {
            assert!(!theirs.is_empty() && expected.starts_with(&theirs), "{name}: {theirs:?}");
        } else {
            assert_eq!(theirs, *expected, "{name}");
        }
    }
}
