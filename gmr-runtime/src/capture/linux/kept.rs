//! The stacks that the last report has read of blocked threads.
//!
//! A thread that has not run since has the stack that it had. Nothing is kept of a thread that has
//! ended, and nothing once a module was loaded or unloaded: the reason why a stack ends may have
//! changed.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, TryLockError};

use crate::capture::{Address, Trace};
use crate::sys::Modules;
use crate::threads::linux::Rest;

static LAST: Mutex<Kept> = Mutex::new(Kept { modules: 0, stacks: Vec::new() });

/// How many stacks are kept. It takes some 200 bytes for each.
const MAX_STACKS: usize = 16 << 10;
/// How many addresses all stacks may have that are kept, those of equal stacks counted once: 2 MiB.
const MAX_ADDRESSES: usize = 128 << 10;

/// Stacks by thread.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// A hash of the modules that they were unwound with.
    modules: u64,
    /// In ascending order of the threads' ids.
    stacks: Vec<Stack>,
}

/// The stack of a thread at a moment.
#[derive(Debug)]
struct Stack {
    tid: u32,
    rest: Rest,
    trace: Trace,
}

impl Kept {
    /// What the last report has kept, for the exclusive use of the caller, if these are still the
    /// modules.
    pub(super) fn take(modules: &Modules) -> Self {
        let last = match LAST.try_lock() {
            Ok(mut last) => std::mem::take(&mut *last),
            Err(TryLockError::Poisoned(last)) => std::mem::take(&mut *last.into_inner()),
            // The process forked while another thread used it.
            Err(TryLockError::WouldBlock) => Self::default(),
        };
        last.for_modules(modules)
    }

    fn for_modules(self, modules: &Modules) -> Self {
        let modules = hash(modules);
        if self.modules == modules { self } else { Self { modules, stacks: Vec::new() } }
    }

    /// The stack of a thread that has not run since it was read.
    pub(super) fn get(&self, tid: u32, rest: &Rest) -> Option<&Trace> {
        let index = self.stacks.binary_search_by_key(&tid, |stack| stack.tid).ok()?;
        Some(&self.stacks[index]).filter(|stack| stack.rest == *rest).map(|stack| &stack.trace)
    }

    /// Keeps these stacks for the next report, and no others.
    pub(super) fn replace(self, stacks: impl Iterator<Item = (u32, Rest, Trace)>) {
        let kept = self.with(stacks);
        if let Ok(mut last) = LAST.try_lock() {
            *last = kept;
        }
    }

    fn with(self, stacks: impl Iterator<Item = (u32, Rest, Trace)>) -> Self {
        Self { stacks: within_limits(stacks), ..self }
    }
}

fn within_limits(stacks: impl Iterator<Item = (u32, Rest, Trace)>) -> Vec<Stack> {
    let mut counted: HashSet<*const [Address]> = HashSet::new();
    let mut addresses = 0;
    let mut kept: Vec<Stack> = Vec::new();
    for (tid, rest, trace) in stacks.take(MAX_STACKS) {
        let place = Arc::as_ptr(&trace.frames);
        let more = if counted.contains(&place) { 0 } else { trace.frames.len() };
        if addresses + more <= MAX_ADDRESSES {
            addresses += more;
            counted.insert(place);
            kept.push(Stack { tid, rest, trace });
        }
    }
    kept.sort_unstable_by_key(|stack| stack.tid);
    kept.shrink_to_fit();
    kept
}

/// Tells one set of modules from another.
fn hash(modules: &Modules) -> u64 {
    let mut hasher = DefaultHasher::new();
    modules.all().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::linux::rest_of_line;

    fn rest(cpu_time: u64) -> Rest {
        rest_of_line("202 0x5 0x7f01 0x1 0x0 0x0 0x0 0x7ffd 0x7f02\n", 7, cpu_time).unwrap()
    }

    fn of(length: usize) -> Trace {
        Trace { frames: vec![Address::Return(7); length].into(), ..Trace::default() }
    }

    #[test]
    fn a_stack_is_kept_while_its_thread_does_not_run_and_modules_stay() {
        let modules = Modules::default();
        let kept = Kept::default().for_modules(&modules);
        let kept = kept.with([(9, rest(1), of(3)), (4, rest(2), of(5))].into_iter()).for_modules(&modules);
        assert_eq!(kept.get(9, &rest(1)).unwrap().frames.len(), 3);
        assert_eq!(kept.get(4, &rest(2)).unwrap().frames.len(), 5);
        assert!(kept.get(4, &rest(3)).is_none(), "it has run");
        assert!(kept.get(5, &rest(2)).is_none(), "another thread");

        let kept = kept.with([(9, rest(1), of(3))].into_iter());
        assert!(kept.get(9, &rest(1)).is_some());
        assert!(kept.get(4, &rest(2)).is_none(), "it has ended");

        let kept = kept.for_modules(&Modules::load());
        assert!(kept.get(9, &rest(1)).is_none(), "other modules");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let half = of(MAX_ADDRESSES / 2);
        let many = (1..100).map(|tid| (tid, rest(1), half.clone()));
        let kept = within_limits(many.chain([(200, rest(1), of(MAX_ADDRESSES)), (201, rest(1), of(1))]));
        let tids: Vec<u32> = kept.iter().map(|stack| stack.tid).collect();
        // Equal stacks are counted once, and one that is too long is left out.
        assert_eq!(tids, (1..100).chain([201]).collect::<Vec<_>>());
        let short = of(1);
        let all = (0..).take(2 * MAX_STACKS).map(|tid| (tid, rest(1), short.clone()));
        assert_eq!(within_limits(all).len(), MAX_STACKS);
    }
}
