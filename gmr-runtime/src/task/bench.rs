//! For benchmarks only, compiled with the feature `__bench`: polls as a trace makes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use super::branch::Branch;
use super::trace::{self, Collector, Unwinding};
use super::tracked::traced;
use crate::capture::StackCopy;
use crate::sys::Modules;
use crate::sys::channel::Receiver;

/// A trace that takes no part in reports.
pub(crate) struct Tracing {
    collector: Arc<Collector>,
    copies: Receiver<(StackCopy, Branch)>,
    unwinding: Unwinding,
}

impl Tracing {
    pub(crate) fn begin() -> Self {
        let (collector, copies) = Collector::new(u64::MAX >> 2, trace::ROOM);
        Self { collector: Arc::new(collector), copies, unwinding: Unwinding::new(&Modules::load()) }
    }

    /// Polls the future as a trace does, and returns in how many places it waits. Copies that the
    /// poll makes are unwound afterwards.
    pub(crate) fn poll<F: Future>(&mut self, mut future: Pin<&mut F>, context: &Context<'_>) -> usize {
        let collector = Arc::clone(&self.collector);
        let mut poll = |context: &mut Context<'_>| future.as_mut().poll(context).is_ready();
        let traced = traced(&mut poll, context.waker(), &*collector);
        for (copy, leaf) in self.copies.try_iter() {
            self.unwinding.unwind(&collector, &copy, &leaf);
        }
        if traced.is_ready { 0 } else { traced.branches.map_or(0, |leaves| leaves.len()) }
    }
}
