//! What the benchmarks measure and nobody else sees. Compiled with the feature `__bench` only; no part of the public interface.
//!
//! A feature, since the time in the signal handler can only be taken inside of it, and the default build must contain nothing of that. The functions are the
//! private ones under names that do not lead into private rooms.

use serde::Serialize;

use crate::capture::{self, bench};
use crate::model::{Stack, Value};
use crate::symbols;
use crate::sys::Modules;

/// The copy of one stack, and what is needed to unwind it.
pub struct Specimen(bench::Specimen);

impl Specimen {
    /// Takes the stack of a thread of this process, while no report is made.
    ///
    /// # Panics
    /// If no signal is free, or the thread has ended.
    pub fn of_thread(tid: u32) -> Self {
        Self(bench::Specimen::of_thread(tid))
    }

    /// Unwinds it, and returns how many frames it has.
    pub fn unwind(&mut self) -> usize {
        self.0.unwind().frames.len()
    }

    /// The stack with names.
    pub fn symbolize(&mut self) -> Stack {
        let trace = self.0.unwind();
        symbols::symbolize(&[trace], &self.0.modules, symbols::DEADLINE).0.remove(0)
    }
}

/// Makes the next symbolization a first one.
pub fn forget_symbols() {
    symbols::forget();
}

/// Of each thread that has answered since the last call: nanoseconds in the handler, of which nanoseconds of processor time, and bytes of stack.
pub fn take_handler_times() -> Vec<(u64, u64, usize)> {
    bench::take_times()
}

/// A configuration as the report shows it.
///
/// # Panics
/// If it cannot be shown.
pub fn mask(configuration: &impl Serialize) -> Value {
    crate::mask::to_value(configuration).expect("it can be shown")
}

/// Resolves addresses of this process, and returns how many functions and how many lines were found.
pub fn resolve(addresses: &[u64]) -> (usize, usize) {
    let frames = addresses.iter().map(|&address| capture::Address::Exact(address)).collect();
    let trace = capture::Trace { frames, incomplete: None };
    let (stacks, _) = symbols::symbolize(&[trace], &Modules::load(), symbols::DEADLINE);
    let frames = || stacks.iter().flat_map(|stack| &*stack.frames);
    (
        frames().filter(|frame| frame.function.is_some()).count(),
        frames().filter(|frame| frame.line.is_some()).count(),
    )
}
