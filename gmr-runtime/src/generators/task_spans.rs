//! The innermost span of `tracing` that each task is in. Spans are read here, and tasks are not.

#[cfg(feature = "tracing")]
use std::sync::Arc;
use std::time::Duration;

use crate::model::TaskSpan;
#[cfg(feature = "tracing")]
use crate::sys::{
    hash::{NumberMap, address},
    sort,
};
#[cfg(feature = "tracing")]
use crate::tracing::{self, OpenSpan};

/// The spans of tasks with the task's number, ordered by it.
#[derive(Debug, Default)]
pub(super) struct TaskSpans(Vec<(u64, Visited)>);

/// An open span that a task is inside, or was the last one to leave.
#[derive(Debug, Clone)]
struct Visited {
    span: TaskSpan,
    /// How many open spans contain it.
    depth: usize,
    /// How long ago the task has left it. `None` while it is inside.
    left: Option<Duration>,
}

impl TaskSpans {
    /// Reads the open spans.
    #[cfg(not(feature = "tracing"))]
    pub(super) fn read() -> Self {
        Self::default()
    }

    /// The innermost span of a task that is being polled.
    pub(super) fn of_polled(&self, task: u64) -> Option<TaskSpan> {
        self.innermost(task, |visited| visited.left.is_none())
    }

    /// The innermost span of a task whose last poll ended so long ago: it has left the span at the
    /// end of that poll, as an instrumented future does. A span that was left in an earlier poll,
    /// or long before the end, is not one that the task waits in.
    pub(super) fn of_waiting(&self, task: u64, since: Duration) -> Option<TaskSpan> {
        /// Both times are exact to a tick of the kernel's clock, which has at most 10 ms.
        const TICKS: Duration = Duration::from_millis(20);
        self.innermost(task, |visited| visited.left.is_some_and(|left| left <= since + TICKS))
    }

    fn innermost(&self, task: u64, is_in: impl Fn(&&Visited) -> bool) -> Option<TaskSpan> {
        let first = self.0.partition_point(|(number, _)| *number < task);
        let own = self.0[first..].iter().take_while(|(number, _)| *number == task);
        let visited = own.map(|(_, visited)| visited).filter(is_in);
        visited.max_by_key(|visited| visited.depth).map(|visited| visited.span.clone())
    }
}

#[cfg(feature = "tracing")]
impl TaskSpans {
    /// Reads the open spans. None if their list is locked, which their own section says.
    pub(super) fn read() -> Self {
        tracing::spans().ok().flatten().map(|seen| Self::of(&seen.open)).unwrap_or_default()
    }

    fn of(open: &[OpenSpan]) -> Self {
        let places: NumberMap<&OpenSpan> = open.iter().map(|span| (span.id, span)).collect();
        let mut names: NumberMap<Arc<str>> = NumberMap::default();
        let mut all = Vec::new();
        for span in open {
            let depth = depth(span, &places);
            let mut add = |task, left| {
                let metadata = address(std::ptr::from_ref(span.metadata));
                let name = Arc::clone(names.entry(metadata, || span.metadata.name().into()));
                let span = TaskSpan { id: span.id, name };
                all.push((task, Visited { span, depth, left }));
            };
            span.threads.iter().filter_map(|thread| thread.task).for_each(|task| add(task, None));
            if let (false, Some((left, Some(task)))) = (span.is_entered(), span.left) {
                add(task, Some(left));
            }
        }
        sort::by_key(&mut all, |(task, _)| *task);
        Self(all)
    }
}

#[cfg(feature = "tracing")]
fn depth(span: &OpenSpan, places: &NumberMap<&OpenSpan>) -> usize {
    /// Further out, none are counted.
    const MOST: usize = 64;
    let outer = |span: &&OpenSpan| places.get(span.parent?).copied();
    std::iter::successors(Some(span), outer).take(MOST).count() - 1
}

#[cfg(all(test, not(gmr_loom), feature = "tracing"))]
mod tests {
    use ::tracing::info_span;

    use super::*;
    use crate::tracing::tests::Recording;

    fn visited(name: &str, depth: usize, left_ms: Option<u64>) -> Visited {
        let span = TaskSpan { id: depth as u64, name: name.into() };
        Visited { span, depth, left: left_ms.map(Duration::from_millis) }
    }

    fn spans(visited: &[Visited]) -> TaskSpans {
        let of = |task| visited.iter().map(move |visited| (task, visited.clone()));
        TaskSpans(of(6).chain(of(7)).collect())
    }

    #[test]
    fn a_task_waits_in_the_innermost_span_that_its_last_poll_ended_in() {
        let all = spans(&[
            visited("request", 0, Some(5_004)),
            visited("query", 1, Some(5_000)),
            visited("parse", 2, Some(9_000)),
        ]);
        let of = |task, seconds| all.of_waiting(task, Duration::from_secs(seconds));
        assert_eq!(of(7, 5).map(|span| span.name), Some("query".into()));
        assert_eq!((of(7, 4), of(8, 5)), (None, None));
        assert_eq!(all.of_polled(7), None, "its thread is inside none");
    }

    #[test]
    fn a_polled_task_is_in_the_innermost_span_that_its_thread_is_inside() {
        let all = spans(&[visited("request", 0, None), visited("query", 1, Some(1))]);
        assert_eq!(all.of_polled(7).map(|span| span.name), Some("request".into()));
        assert_eq!(all.of_polled(8), None);
    }

    #[test]
    fn spans_outside_of_tasks_are_of_none() {
        let recording = Recording::new();
        let all = recording.run(|| {
            let outer = info_span!("outer").entered();
            let left = info_span!("left");
            left.in_scope(|| ());
            let all = TaskSpans::of(&recording.spans().open);
            drop((outer, left));
            all
        });
        assert!(all.0.is_empty(), "{all:?}");
    }
}
