//! Private functions for gmr's benchmarks, compiled with the feature `__bench` only. Not part of
//! the public interface.
//!
//! It is a feature because the time in the signal handler can only be measured inside the handler,
//! and the default build must not contain that.

use std::pin::Pin;
use std::task::Context;

use serde::Serialize;

use crate::capture::{self, bench};
use crate::model::{Frame, Value};
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
    crate::mask::to_value(configuration).expect("it can be serialized")
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
