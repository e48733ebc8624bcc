//! Recorded stacks of threads, of builds that cargo's tests do not make: optimized, with and
//! without debug information, and with panics that abort. How they are folded in the text and in
//! the page.

use scraper::Html;

use super::super::folding::{self, Known, Part};
use super::super::room::{MAX_PAGE, Room};
use super::super::{Context, Detail, words};
use super::{all_threads, group_of, select, whole, within};
use crate::model::{Content, Frame, Report, Role, Stack, Thread};

/// For each thread, a line with what it is, and then its frames, innermost first: `*` if it is the
/// program's, the function, the file and the module, separated by tabs.
const STACKS: &str = include_str!("../../../testdata/stacks.txt");

struct Recorded {
    name: &'static str,
    frames: Vec<Frame>,
    /// Whether each frame is the program's.
    are_programs: Vec<bool>,
}

fn recorded() -> Vec<Recorded> {
    let stack = |block: &'static str| {
        let (name, lines) = block.split_once('\n').expect("it has frames");
        let (mut frames, mut are_programs) = (Vec::new(), Vec::new());
        for line in lines.lines() {
            let mut fields = line.split('\t').map(|field| Some(field).filter(|field| !field.is_empty()));
            are_programs.push(fields.next().flatten() == Some("*"));
            let mut field = || fields.next().flatten().map(str::to_owned);
            let (function, file, module) = (field(), field(), field());
            frames.push(Frame { function, file, module, ..Frame::default() });
        }
        Recorded { name: name.strip_prefix("# ").expect("a name"), frames, are_programs }
    };
    STACKS.split("\n\n").map(stack).collect()
}

/// A name without a path, shortened.
fn without_arguments(function: &str) -> String {
    match function.split_once('<') {
        Some((name, _)) if !name.is_empty() && !name.contains("::") => format!("{name}<..>"),
        _ => function.to_owned(),
    }
}

/// What is shown of a stack: the functions, and `-` and a number for those that are omitted.
fn shown(recorded: &Recorded) -> Vec<String> {
    let known = Known::all(&recorded.frames);
    let frames: Vec<&Known<'_>> = known.iter().collect();
    let line = |part: &Part<'_>| match part.frame() {
        Some(frame) => without_arguments(&words::function(frame, Detail::Short)),
        None => format!("-{}", part.frames()),
    };
    match folding::fold_pool_thread(&frames) {
        Some((frame, omitted)) => vec![words::function(frame, Detail::Short), format!("-{}", omitted.frames)],
        None => folding::fold_thread(&frames, true).map(|part| line(&part)).collect(),
    }
}

/// Without debug information, a crate of the program could have the names of smol's.
#[test]
fn stacks_of_other_builds_are_folded() {
    let expected: [(&str, &[&str]); 10] = [
        ("release with lines: a worker of tokio", &["tokio::runtime::io::driver::Driver::turn", "-51"]),
        (
            "release with lines: a blocking thread of tokio",
            &["std::thread::functions::park", "tasks::block", "-33"],
        ),
        (
            "release with lines: block_on of futures",
            &["{closure#0}<..>", "-8", "block_on<..>", "{closure#0}"],
        ),
        ("release with lines: a worker of smol", &["async_io::reactor::ReactorLock::react", "-33"]),
        (
            "without debug information: main",
            &[
                "<std::io::stdio::StdinLock as std::io::BufRead>::read_line",
                "gmr_tests::converse",
                "tasks::main",
                "std::sys::backtrace::__rust_begin_short_backtrace",
            ],
        ),
        (
            "without debug information: a worker of tokio",
            &["tokio::runtime::io::driver::Driver::turn", "-15"],
        ),
        (
            "without debug information: a blocking thread of tokio",
            &["std::thread::functions::park", "tasks::block", "-9"],
        ),
        ("without debug information: block_on of futures", &["futures_executor::local_pool::block_on", "-8"]),
        (
            "without debug information: a worker of smol",
            &[
                "polling::epoll::Poller::wait_deadline",
                "polling::Poller::wait_impl",
                "polling::Poller::wait",
                "async_io::reactor::ReactorLock::react",
            ],
        ),
        (
            "panic = abort: a thread of std",
            &[
                "<std::sync::poison::mutex::Mutex<u64>>::lock",
                "crossroads::at_a_lock",
                "crossroads::main::{closure#0}::{closure#0}",
            ],
        ),
    ];
    let all = recorded();
    let shown: Vec<(&str, Vec<String>)> = all.iter().map(|stack| (stack.name, shown(stack))).collect();
    assert_eq!(
        shown,
        expected.map(|(name, lines)| (name, lines.iter().map(|line| (*line).to_owned()).collect()))
    );
}

#[test]
fn no_frame_of_the_program_is_omitted() {
    for Recorded { name, frames, are_programs } in recorded() {
        let known = Known::all(&frames);
        let all: Vec<&Known<'_>> = known.iter().collect();
        let parts = folding::fold_thread(&all, true);
        let shown: Vec<&Frame> = parts.filter_map(|part| Some(part.frame()?.frame)).collect();
        let programs = frames.iter().zip(are_programs).filter(|(_, is_programs)| *is_programs);
        for (frame, _) in programs {
            assert!(shown.iter().any(|shown| std::ptr::eq(*shown, frame)), "{name}: {frame:?}");
        }
    }
}

#[test]
fn the_page_folds_them_like_the_text() {
    let mut report = Report::capture();
    report.findings.clear();
    report.sections.retain(|section| section.title == "Threads");
    let Content::Threads(threads) = &mut report.sections[0].content else { panic!("no threads") };
    let like = threads.threads[0].clone();
    threads.threads.clear();
    report.frames.clear();
    for (Recorded { frames, .. }, tid) in recorded().into_iter().zip(1..) {
        let first = u32::try_from(report.frames.len()).unwrap();
        let indices: Vec<u32> = (first..).take(frames.len()).collect();
        let stack = Stack { frames: indices.into(), incomplete: None, ..like.stack.clone() };
        report.frames.extend(frames);
        threads.threads.push(Thread { tid, role: Role::Program, stack, ..like.clone() });
    }
    let page = Html::parse_document(&report.to_html());
    let known = Known::all(&report.frames);
    let Content::Threads(threads) = &report.sections[0].content else { panic!("no threads") };
    let room = Room::new(MAX_PAGE);
    all_threads(&page, threads, Context { frames: &known, detail: Detail::Short, room: &room });
    // A thread of the program that a runtime has started.
    let notes = within(group_of(&page, "#thread-2"), ".stack > .note");
    let notes: Vec<String> = notes.into_iter().map(whole).collect();
    assert!(notes.iter().any(|note| note.contains("omitted") && note.contains("tokio")), "{notes:?}");
    assert_eq!(select(&page, ".stack").len(), recorded().len());
}
