//! The spans that the calling thread is inside, innermost last.
//!
//! Nothing here has to be dropped, so it works in a thread that is ending. A signal handler that
//! interrupts a change may enter spans, but leaves them again before the change continues.

use std::cell::Cell;
use std::sync::atomic::{Ordering, compiler_fence};

use super::inside::Entering;
use super::open_spans::Number;

/// Spans that are nested deeper are not kept: the parent of those inside is the deepest one that
/// is.
const DEPTH: usize = 32;

/// A span that the thread is inside.
#[derive(Debug, Clone, Copy)]
struct Entered {
    /// The number of the layer that knows it.
    layer: u32,
    id: u64,
    number: Number,
    entering: Entering,
}

/// The places from `depth` on are empty, except while a signal handler interrupts a change.
struct Stack {
    depth: Cell<usize>,
    spans: [Cell<Option<Entered>>; DEPTH],
}

thread_local! {
    static STACK: Stack = const { Stack { depth: Cell::new(0), spans: [const { Cell::new(None) }; DEPTH] } };
}

/// Makes sure that the thread's memory for this exists: a library allocates it at the first use.
pub(super) fn prepare() {
    let _ = STACK.try_with(|_| ());
}

/// Notes that the thread enters a span.
#[inline]
pub(super) fn enter(layer: u32, id: u64, number: Number, entering: Entering) {
    let _ = STACK.try_with(|stack| {
        let depth = stack.depth.get();
        if let Some(span) = stack.spans.get(depth) {
            stack.depth.set(depth + 1);
            // In this order: a signal handler that interrupts this uses the next place, and sees
            // that this one is empty.
            compiler_fence(Ordering::SeqCst);
            span.set(Some(Entered { layer, id, number, entering }));
        }
    });
}

/// Notes that the thread leaves a span, and returns the span's number. `None` if it is not kept.
#[inline]
pub(super) fn leave(layer: u32, id: u64) -> Option<Number> {
    STACK
        .try_with(|stack| {
            let depth = stack.depth.get();
            let spans = stack.spans.get(..depth)?;
            let is_it = |span: &Cell<Option<Entered>>| {
                span.get().is_some_and(|span| span.id == id && span.layer == layer)
            };
            // Usually the last one. Spans may be left in another order than they were entered.
            let index = spans.iter().rposition(is_it)?;
            let left = spans[index].get()?.number;
            for (to, from) in spans[index..].iter().zip(&spans[index + 1..]) {
                to.set(from.get());
            }
            spans[depth - 1].set(None);
            // In this order: until the place is empty, a signal handler does not use it.
            compiler_fence(Ordering::SeqCst);
            stack.depth.set(depth - 1);
            Some(left)
        })
        .ok()
        .flatten()
}

/// The innermost span of the layer that the thread is inside.
#[inline]
pub(super) fn innermost(layer: u32) -> Option<Number> {
    STACK
        .try_with(|stack| {
            let spans = stack.spans.get(..stack.depth.get())?;
            let mut spans = spans.iter().rev().filter_map(Cell::get);
            spans.find(|span| span.layer == layer).map(|span| span.number)
        })
        .ok()
        .flatten()
}

/// Calls the function with each span of the layer that the thread is inside, outermost first.
pub(super) fn for_each(layer: u32, mut function: impl FnMut(Number, Entering)) {
    let _ = STACK.try_with(|stack| {
        let spans = stack.spans.iter().filter_map(Cell::get);
        spans.filter(|span| span.layer == layer).for_each(|span| function(span.number, span.entering));
    });
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    fn number(of: u64) -> Number {
        Number::from_bits(of).unwrap()
    }

    fn enter(layer: u32, id: u64, number: Number) {
        super::enter(layer, id, number, Entering { now: 7, tid: 1, task: 3 });
    }

    /// The numbers of all spans.
    fn all(layer: u32) -> Vec<u64> {
        let mut all = Vec::new();
        for_each(layer, |number, entering| {
            assert_eq!((entering.now, entering.tid, entering.task), (7, 1, 3));
            all.push(number.get());
        });
        all
    }

    #[test]
    fn spans_are_left_in_any_order() {
        assert_eq!(innermost(1), None);
        for id in 1..=3 {
            enter(1, id, number(10 + id));
        }
        enter(2, 1, number(21));
        assert_eq!((innermost(1), innermost(2)), (Some(number(13)), Some(number(21))));
        assert_eq!((all(1), all(2), all(3)), (vec![11, 12, 13], vec![21], Vec::new()));
        assert_eq!(leave(1, 2), Some(number(12)));
        assert_eq!((leave(1, 2), leave(2, 3)), (None, None), "it is not inside these");
        assert_eq!((all(1), all(2)), (vec![11, 13], vec![21]));
        assert_eq!(leave(1, 3), Some(number(13)));
        assert_eq!(innermost(1), Some(number(11)));
        assert_eq!((leave(2, 1), leave(1, 1), leave(1, 1)), (Some(number(21)), Some(number(11)), None));
        assert_eq!((all(1), all(2)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_same_span_may_be_entered_twice() {
        enter(3, 7, number(7));
        enter(3, 7, number(7));
        assert_eq!((leave(3, 7), innermost(3)), (Some(number(7)), Some(number(7))));
        assert_eq!((leave(3, 7), innermost(3)), (Some(number(7)), None));
    }

    #[test]
    fn what_is_too_deep_is_not_kept() {
        let most = u64::try_from(DEPTH).unwrap();
        for id in 1..=most + 2 {
            enter(4, id, number(id));
        }
        assert_eq!(innermost(4), Some(number(most)));
        assert_eq!((leave(4, most + 2), leave(4, most + 1)), (None, None));
        for id in (1..=most).rev() {
            assert_eq!(leave(4, id), Some(number(id)));
        }
    }

    /// A signal handler that interrupts `enter` sees the place that it is about to fill.
    #[test]
    fn a_place_that_is_not_filled_yet_has_no_span() {
        enter(5, 1, number(1));
        enter(5, 2, number(2));
        leave(5, 2);
        STACK.with(|stack| {
            stack.depth.set(stack.depth.get() + 1);
            assert_eq!((innermost(5), all(5)), (Some(number(1)), vec![1]));
            stack.depth.set(stack.depth.get() - 1);
        });
        leave(5, 1);
    }
}
