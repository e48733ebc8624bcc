//! The way back from the reporter: a channel for one value, awaited by a task of any runtime or by
//! a thread.
//!
//! Its lock is held only briefly, and no code of the program runs meanwhile: a waker is cloned
//! before, and woken and dropped after.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A channel for one value.
pub(crate) fn channel<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Waiting(None))));
    (Reply(Arc::clone(&slot)), Answer(slot))
}

/// The end that sends the value. If it is dropped instead, the other end learns that no value will
/// come.
pub(crate) struct Reply<T>(Arc<Slot<T>>);

/// The end that waits. It resolves to `None` if the [`Reply`] is dropped. It may be dropped itself.
pub(crate) struct Answer<T>(Arc<Slot<T>>);

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    /// The value has not been sent. The waker is that of the task which polled last.
    Waiting(Option<Waker>),
    Sent(T),
    /// One end is gone, or the value has been taken.
    Closed,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters `next`, and returns the state before.
    fn replace(&self, next: State<T>) -> State<T> {
        std::mem::replace(&mut *self.lock(), next)
    }
}

impl<T> Reply<T> {
    /// Sends the value and wakes the other end.
    pub(crate) fn send(self, value: T) {
        self.end(State::Sent(value));
    }

    /// Whether the other end still waits.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(*self.0.lock(), State::Waiting(_))
    }

    fn end(&self, next: State<T>) {
        let mut state = self.0.lock();
        if !matches!(*state, State::Waiting(_)) {
            return;
        }
        let before = std::mem::replace(&mut *state, next);
        drop(state);
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.end(State::Closed);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        drop(self.0.replace(State::Closed));
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let waker = context.waker().clone();
        let mut state = self.0.lock();
        // Whatever is replaced is dropped without the lock.
        let (before, polled) = match std::mem::replace(&mut *state, State::Closed) {
            before @ State::Waiting(_) => {
                *state = State::Waiting(Some(waker));
                (before, Poll::Pending)
            }
            State::Sent(value) => (State::Closed, Poll::Ready(Some(value))),
            State::Closed => (State::Closed, Poll::Ready(None)),
        };
        drop(state);
        drop(before);
        polled
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// Runs a future on the calling thread, which sleeps while it waits.
///
/// It does not sleep in `thread::park`, whose token belongs to the program.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bell.wait(None);
    }
}

/// Waits for an answer, or until the other end is gone, but no longer than `within`.
pub(crate) fn wait_within(mut answer: Answer<()>, within: Duration) {
    let until = Instant::now() + within;
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    while Pin::new(&mut answer).poll(&mut Context::from_waker(&waker)).is_pending() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        bell.wait(Some(left));
    }
}

/// What a waiting thread sleeps on.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ringing.notify_one();
    }
}

impl Bell {
    /// Sleeps until it is rung, or for that long.
    fn wait(&self, timeout: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rung = match timeout {
            Some(timeout) => {
                let waited = self.ringing.wait_timeout_while(rung, timeout, |rung| !*rung);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.ringing.wait_while(rung, |rung| !*rung).unwrap_or_else(PoisonError::into_inner),
        };
        *rung = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once; every call has a waker of its own, counted in `woken`.
    fn poll<T>(answer: &mut Answer<T>, woken: &Arc<Count>) -> Poll<Option<T>> {
        Pin::new(answer).poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken))))
    }

    #[test]
    fn the_task_that_polled_last_is_woken_once() {
        let (reply, mut answer) = channel();
        let [first, last] = [(), ()].map(|()| Arc::new(Count::default()));
        assert_eq!(poll(&mut answer, &first), Poll::Pending);
        assert_eq!(poll(&mut answer, &last), Poll::Pending);
        assert_eq!(Arc::strong_count(&first), 1, "its waker is kept no longer");
        reply.send(7);
        assert_eq!([&first, &last].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
        assert_eq!(poll(&mut answer, &last), Poll::Ready(Some(7)));
    }

    #[test]
    fn a_dropped_reply_ends_the_wait() {
        let (reply, mut answer) = channel::<u32>();
        let woken = Arc::new(Count::default());
        assert_eq!(poll(&mut answer, &woken), Poll::Pending);
        drop(reply);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll(&mut answer, &woken), Poll::Ready(None));
    }

    #[test]
    fn a_dropped_answer_is_not_wanted_and_not_woken() {
        let (reply, mut answer) = channel();
        let woken = Arc::new(Count::default());
        assert_eq!(poll(&mut answer, &woken), Poll::Pending);
        assert!(reply.is_wanted());
        drop(answer);
        assert!(!reply.is_wanted());
        assert_eq!(Arc::strong_count(&woken), 1, "its waker is dropped with it");
        reply.send(7);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_thread_waits_for_a_value_that_another_sends() {
        let (reply, answer) = channel();
        let sender = thread::spawn(move || reply.send("sent"));
        assert_eq!(block_on(answer), Some("sent"));
        sender.join().unwrap();
    }

    #[test]
    fn a_wait_ends_with_the_answer_the_other_end_or_the_time() {
        let (reply, answer) = channel();
        let sender = thread::spawn(move || reply.send(()));
        wait_within(answer, Duration::from_mins(1));
        sender.join().unwrap();
        let (reply, answer) = channel();
        drop(reply);
        wait_within(answer, Duration::from_mins(1));
        let (_reply, answer) = channel();
        wait_within(answer, Duration::from_millis(1));
    }
}
