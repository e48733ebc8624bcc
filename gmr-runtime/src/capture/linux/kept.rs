//! Keeps the stacks of blocked threads for the next report.
//!
//! A thread that has not run since still has the same stack. The stack of a thread that has ended
//! is dropped. When a module is loaded or unloaded, all stacks are dropped: the reason why a stack
//! ends may have changed.

use crate::sys::hash::{NumberMap, address};
use crate::sys::sort;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, TryLockError};

use crate::capture::Trace;
use crate::sys::Modules;
use crate::sys::linux::mapping::MappedList;
use crate::threads::linux::{Moment, Rest};

static LAST: Mutex<Kept> = Mutex::new(Kept { modules: 0, traces: Vec::new(), stacks: MappedList::empty() });

/// How many stacks are kept. It takes 40 bytes for each.
const MAX_STACKS: usize = 16 << 10;
/// How many addresses the kept stacks may have in all, equal stacks counted once: 2 MiB.
const MAX_ADDRESSES: usize = 128 << 10;

/// Stacks by thread.
#[derive(Debug)]
pub(super) struct Kept {
    /// A hash of the modules that they were unwound with.
    modules: u64,
    /// The distinct ones.
    traces: Vec<Trace>,
    /// In ascending order of the threads' ids.
    stacks: MappedList<Stack>,
}

/// The stack of a thread at a moment.
#[derive(Debug, Clone, Copy)]
struct Stack {
    tid: u32,
    /// Its index in the list of traces.
    trace: u32,
    moment: Moment,
}

impl Kept {
    const fn nothing(modules: u64) -> Self {
        Self { modules, traces: Vec::new(), stacks: MappedList::empty() }
    }

    /// What the last report has kept, for the exclusive use of the caller, if the modules are still
    /// the same.
    pub(super) fn take(modules: &Modules) -> Self {
        let nothing = Self::nothing(0);
        let last = match LAST.try_lock() {
            Ok(mut last) => std::mem::replace(&mut *last, nothing),
            Err(TryLockError::Poisoned(last)) => std::mem::replace(&mut *last.into_inner(), nothing),
            // The process forked while another thread used it.
            Err(TryLockError::WouldBlock) => nothing,
        };
        last.for_modules(modules)
    }

    fn for_modules(self, modules: &Modules) -> Self {
        let modules = hash(modules);
        if self.modules == modules { self } else { Self::nothing(modules) }
    }

    /// The stack of a thread that has not run since it was read.
    pub(super) fn get(&self, tid: u32, rest: &Rest) -> Option<&Trace> {
        let index = self.stacks.binary_search_by_key(&tid, |stack| stack.tid).ok()?;
        let stack = Some(&self.stacks[index]).filter(|stack| stack.moment == rest.moment())?;
        self.traces.get(usize::try_from(stack.trace).ok()?)
    }

    /// Keeps these stacks for the next report, and no others.
    pub(super) fn replace(self, stacks: impl Iterator<Item = (u32, Rest, Trace)>) {
        let kept = self.with(stacks);
        if let Ok(mut last) = LAST.try_lock() {
            *last = kept;
        }
    }

    fn with(self, stacks: impl Iterator<Item = (u32, Rest, Trace)>) -> Self {
        let mut indices: NumberMap<u32> = NumberMap::default();
        let (mut traces, mut kept) = (Vec::<Trace>::new(), Vec::new());
        let mut addresses = 0;
        for (tid, rest, trace) in stacks.take(MAX_STACKS) {
            let place = address(Arc::as_ptr(&trace.frames));
            let index = match indices.get(place) {
                Some(index) => *index,
                None if addresses + trace.frames.len() <= MAX_ADDRESSES => {
                    addresses += trace.frames.len();
                    traces.push(trace.clone());
                    let index = u32::try_from(traces.len() - 1).unwrap_or(u32::MAX);
                    indices.insert(place, index);
                    index
                }
                None => continue,
            };
            // The same frames end for the same reason.
            if traces.get(index as usize).is_some_and(|known| known.incomplete == trace.incomplete) {
                kept.push(Stack { tid, trace: index, moment: rest.moment() });
            }
        }
        sort::by_key(&mut kept, |stack| stack.tid);
        traces.shrink_to_fit();
        // Without memory for them, they are read again.
        let stacks = MappedList::new(kept.len(), kept.into_iter()).unwrap_or(MappedList::empty());
        Self { traces, stacks, ..self }
    }
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
    use crate::capture::Address;
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
        let kept = Kept::nothing(0).for_modules(&modules);
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
        let more = [(200, rest(1), of(MAX_ADDRESSES)), (201, rest(1), of(1))];
        let kept = Kept::nothing(0).with(many.chain(more));
        let tids: Vec<u32> = kept.stacks.iter().map(|stack| stack.tid).collect();
        // Equal stacks are counted once, and one that is too long is left out.
        assert_eq!(tids, (1..100).chain([201]).collect::<Vec<_>>());
        assert_eq!(kept.traces.len(), 2);
        let short = of(1);
        let all = (0..).take(2 * MAX_STACKS).map(|tid| (tid, rest(1), short.clone()));
        assert_eq!(Kept::nothing(0).with(all).stacks.len(), MAX_STACKS);
    }
}
