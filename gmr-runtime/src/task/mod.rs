//! Asynchronous tasks: which there are, what each does, and, when a report is made, where each waits.
//!
//! A tracked future keeps a few numbers about itself up to date; that is all it costs. When a report wants to know more, every waiting task is woken and polled once with a waker that takes the
//! stack whenever it is cloned: whoever is about to wait clones it, at the very place where the task waits. No runtime is needed for that, and no attribute on the functions between.
//!
//! The unsafe code of this room is the waker's. It knows nothing of sections and text.

mod entry;
mod own;
mod registered;
mod registry;
#[cfg(feature = "tokio")]
pub(crate) mod runtimes;
mod sync;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod tracked;
mod waker;

pub(crate) use entry::{Condition, Entry};
pub use own::label;
pub(crate) use trace::{Branch, Branches, Survey, survey};
#[doc(hidden)]
pub use tracked::named;
pub use tracked::{TrackExt, Tracked, track};

/// The name of a future's type, as its author would write it: `orders::checkout` for `orders::checkout::{{closure}}`.
fn readable_type(name: &'static str) -> &'static str {
    let mut name = name;
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::{Condition, TrackExt, label, survey};

    /// A future that waits for ever, and clones its waker as those do that will be woken.
    async fn for_nobody() {
        std::future::poll_fn(|context| {
            drop(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    }

    #[test]
    fn what_is_known_of_a_task() {
        let mut task = pin!(
            async {
                label("order", 4711);
                label("order", 4712);
                for_nobody().await;
            }
            .tracked_as("a task that is looked at")
        );
        let find = || {
            let survey = survey(Duration::ZERO);
            let found = survey.tasks.into_iter().find(|task| task.name == "a task that is looked at");
            found.map(|task| (task.polls(), task.look(survey.trace).expect("nobody holds it")))
        };
        assert!(matches!(find(), Some((0, (Condition::New, _)))));
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let Some((1, (Condition::Waiting { .. } | Condition::Woken { .. }, labels))) = find() else {
            panic!("{:?}", find())
        };
        assert_eq!(labels, [("order", "4712".to_owned())]);
        label("order", "of nobody");
    }

    #[test]
    fn a_task_that_is_gone_is_not_shown() {
        let find = || survey(Duration::ZERO).tasks.iter().any(|task| task.name == "a task that goes");
        let mut task = Box::pin(async { 17 }.tracked_as("a task that goes"));
        assert!(find());
        assert_eq!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(17));
        assert!(!find(), "complete");
        drop(task);
        let dropped = for_nobody().tracked_as("a task that goes");
        assert!(find());
        drop(dropped);
        assert!(!find(), "dropped");
    }

    #[test]
    fn a_panic_in_a_poll_ends_it() {
        let mut task = Box::pin(async { panic!("broken") }.tracked_as("a task that panics"));
        let poll = || {
            let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).is_err());
        let survey = survey(Duration::ZERO);
        let entry = survey.tasks.iter().find(|task| task.name == "a task that panics").unwrap();
        assert!(!matches!(entry.look(survey.trace).unwrap().0, Condition::Polling { .. }));
    }

    #[test]
    fn a_future_is_called_what_its_function_is() {
        assert_eq!(super::readable_type("orders::checkout::{{closure}}"), "orders::checkout");
        assert_eq!(super::readable_type("orders::main::{{closure}}::{{closure}}"), "orders::main");
        assert_eq!(super::readable_type("orders::Poller"), "orders::Poller");
    }
}
