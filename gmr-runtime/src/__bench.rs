//! Private functions for gmr's benchmarks, compiled with the feature `__bench` only. Not part of
//! the public interface.
//!
//! It is a feature because the time in the signal handler can only be measured inside the handler,
//! and the default build must not contain that.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use serde::Serialize;

use crate::capture::{self, bench};
use crate::findings::{self, SecondLook, Seen};
use crate::model::{
    Certainty, Content, Frame, Holder, Lock, LockKind, Report, Threads, Value, Waiter, Waiting,
};
use crate::sys::Modules;
use crate::{symbols, task};

/// A copy of one stack, and what is needed to unwind it.
pub struct Specimen(bench::Specimen);

impl Specimen {
    /// Captures the stack of a thread of this process. Must not run while a report is made.
    ///
    /// # Panics
    /// If no real-time signal is free, or the thread has ended.
    pub fn of_thread(tid: u32) -> Self {
        Self(bench::Specimen::of_thread(tid))
    }

    /// Unwinds it, and returns the number of frames.
    pub fn unwind(&mut self) -> usize {
        self.0.unwind().frames.len()
    }

    /// Unwinds it and symbolizes its frames.
    pub fn symbolize(&mut self) -> Vec<Frame> {
        let trace = self.0.unwind();
        symbols::symbolize(&[trace], &self.0.modules, symbols::DEADLINE).frames
    }
}

/// Polls as a report causes them: with the waker that takes stacks.
pub struct Tracing(task::bench::Tracing);

impl Tracing {
    /// Prepares to unwind the stacks of this process.
    pub fn begin() -> Self {
        Self(task::bench::Tracing::begin())
    }

    /// Polls the future, and returns in how many places it waits.
    pub fn poll<F: Future>(&mut self, future: Pin<&mut F>, context: &Context<'_>) -> usize {
        self.0.poll(future, context)
    }
}

/// Clears the symbol cache, so that the next symbolization is a first one.
pub fn forget_symbols() {
    symbols::forget();
}

/// For each thread that has answered since the last call: nanoseconds in the handler, nanoseconds
/// of CPU time of these, and bytes of stack.
pub fn take_handler_times() -> Vec<(u64, u64, usize)> {
    bench::take_times()
}

/// A configuration with secrets masked, as the report shows it.
///
/// # Panics
/// If it cannot be serialized.
pub fn mask(configuration: &impl Serialize) -> Value {
    gmr_mask::to_value(configuration).expect("it can be serialized")
}

/// Has all threads of a report wait for so many locks, each of which one of them holds: in a row,
/// or in a circle.
///
/// # Panics
/// If the report has no Threads section, or not more threads than locks.
pub fn wait_for_locks(report: &mut Report, locks: usize, in_circle: bool) {
    let sections = report.sections.iter_mut();
    let threads = sections.map(|section| &mut section.content).find_map(|content| match content {
        Content::Threads(threads) => Some(threads),
        _ => None,
    });
    let Threads { threads, locks: listed, .. } = threads.expect("it has the section");
    threads.retain(|thread| thread.role.is_program());
    assert!(threads.len() > locks, "there are not enough threads");
    let lock_contended = "std::sys::sync::mutex::futex::Mutex::lock_contended".to_owned();
    let frame = u32::try_from(report.frames.len()).expect("there are not that many");
    report.frames.push(Frame { function: Some(lock_contended), ..Frame::default() });
    let address = |number: usize| 0x1000 + 16 * number as u64;
    *listed = (0..locks)
        .map(|number| Lock {
            address: address(number),
            kind: LockKind::Mutex,
            waiters: Vec::new(),
            holders: vec![Holder {
                tid: threads[number].tid,
                frame: Some(frame),
                certainty: Certainty::Certain,
            }],
        })
        .collect();
    for (number, thread) in threads.iter_mut().enumerate() {
        if number == 0 && !in_circle {
            continue;
        }
        // A thread that holds a lock waits for the next one.
        let lock = if number < locks && in_circle { (number + 1) % locks } else { (number - 1) % locks };
        listed[lock].waiters.push(Waiter { tid: thread.tid, frame: Some(frame) });
        let futex = Some(address(lock));
        thread.waiting = Some(Waiting { call: "futex".to_owned(), futex, ..Waiting::default() }.into());
        thread.stack.frames = std::iter::once(frame).chain(thread.stack.frames.iter().copied()).collect();
    }
}

/// Looks for findings in a report, as if no thread had run until the second look, and returns how
/// many threads are suspected and how many findings there are.
pub fn find(report: &Report) -> (usize, usize) {
    let suspects = findings::suspects(&report.sections, &report.frames);
    let count = suspects.at_rest.len();
    let second = match count {
        0 => SecondLook::NotTaken,
        _ => SecondLook::Taken {
            moved: Some(Vec::new()),
            between: Duration::from_millis(50),
            used: Vec::new(),
        },
    };
    let seen = Seen { second, peers: Vec::new() };
    (count, findings::find(&report.sections, &report.frames, &seen, &[]).len())
}

/// Resolves addresses of this process, and returns the number of functions and of lines that were
/// found.
pub fn resolve(addresses: &[u64]) -> (usize, usize) {
    let frames = addresses.iter().map(|&address| capture::Address::Exact(address)).collect();
    let trace = capture::Trace { frames, ..capture::Trace::default() };
    let frames = symbols::symbolize(&[trace], &Modules::load(), symbols::DEADLINE).frames;
    (
        frames.iter().filter(|frame| frame.function.is_some()).count(),
        frames.iter().filter(|frame| frame.line.is_some()).count(),
    )
}
