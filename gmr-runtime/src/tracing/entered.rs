//! The spans that the calling thread is inside, innermost last.
//!
//! Nothing here has to be dropped, so it works in a thread that is ending. A signal handler that
//! interrupts a change may enter spans, but leaves them again before the change continues.

use std::cell::Cell;
use std::sync::atomic::{Ordering, compiler_fence};

use super::open_spans::Number;

/// Deeper spans are not kept: the parent of those inside is the deepest one that is.
const DEPTH: usize = 32;

/// A span that the thread is inside of.
#[derive(Debug, Clone, Copy)]
struct Entered {
    /// The number of the layer that knows it.
    layer: u32,
    id: u64,
    number: Number,
}

struct Stack {
    depth: Cell<usize>,
    spans: [Cell<Option<Entered>>; DEPTH],
}

thread_local! {
    static STACK: Stack = const { Stack { depth: Cell::new(0), spans: [const { Cell::new(None) }; DEPTH] } };
}

/// Notes that the thread enters a span.
pub(super) fn enter(layer: u32, id: u64, number: Number) {
    let _ = STACK.try_with(|stack| {
        let depth = stack.depth.get();
        if let Some(span) = stack.spans.get(depth) {
            stack.depth.set(depth + 1);
            // In this order, so that a signal handler uses the next place.
            compiler_fence(Ordering::SeqCst);
            span.set(Some(Entered { layer, id, number }));
        }
    });
}

/// Notes that the thread leaves a span, and returns the span's number. `None` if it is not kept.
pub(super) fn leave(layer: u32, id: u64) -> Option<Number> {
    STACK
        .try_with(|stack| {
            let depth = stack.depth.get();
            let spans = stack.spans.get(..depth)?;
            let is_it = |span: &Cell<Option<Entered>>| {
                span.get().is_some_and(|span| span.id == id && span.layer == layer)
            };
            let index = spans.iter().rposition(is_it)?;
            let left = spans[index].get()?.number;
            // Usually the last one. Spans may be left in another order than they were entered.
            for (to, from) in spans[index..].iter().zip(&spans[index + 1..]) {
                to.set(from.get());
            }
            stack.depth.set(depth - 1);
            Some(left)
        })
        .ok()
        .flatten()
}

/// The innermost span of the layer that the thread is inside of.
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

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    fn number(of: u64) -> Number {
        Number::from_bits(of).unwrap()
    }

    #[test]
    fn spans_are_left_in_any_order() {
        assert_eq!(innermost(1), None);
        for id in 1..=3 {
            enter(1, id, number(10 + id));
        }
        enter(2, 1, number(21));
        assert_eq!((innermost(1), innermost(2)), (Some(number(13)), Some(number(21))));
        assert_eq!(leave(1, 2), Some(number(12)));
        assert_eq!((leave(1, 2), leave(2, 3)), (None, None), "it is not inside of these");
        assert_eq!(leave(1, 3), Some(number(13)));
        assert_eq!(innermost(1), Some(number(11)));
        assert_eq!((leave(2, 1), leave(1, 1), leave(1, 1)), (Some(number(21)), Some(number(11)), None));
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
}
