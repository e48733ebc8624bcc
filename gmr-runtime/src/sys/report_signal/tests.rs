//! The handler, with signals that these tests raise.

use super::*;

fn raise(signal: i32) {
    // SAFETY: it has a handler.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
#[cfg_attr(miri, ignore = "it handles a signal")]
fn signals_are_counted_and_their_sender_is_known() {
    let arrivals = Arc::new(Arrivals::new());
    let signal = libc::SIGRTMIN() + 3;
    let registration = register(signal, &arrivals).unwrap();
    let action = disposition::current(signal).unwrap();
    let flags = libc::SA_ONSTACK | libc::SA_RESTART;
    assert_eq!(action.sa_flags & flags, flags);
    // SAFETY: the set is initialised.
    let masks = |other| unsafe { libc::sigismember(&raw const action.sa_mask, other) } == 1;
    assert!(masks(libc::SIGALRM) && !masks(libc::SIGSEGV), "one signal frame at a time");
    for _ in 0..9 {
        raise(signal);
    }
    arrivals.record_sender(Some((1, 7)));
    arrivals.record_sender(None);
    let AllSignals { others, own } = arrivals.take();
    assert_eq!(own.count, 9);
    assert_eq!(own.sender.map(|(pid, _)| pid), Some(std::process::id()));
    assert_eq!((others.count, others.sender), (2, None));
    assert_eq!(arrivals.take().count(), 0);
    drop(registration);
    raise(signal);
    assert_eq!(arrivals.take().count(), 0, "it is ignored");
    assert_eq!(Arc::strong_count(&arrivals), 1);
}

#[test]
#[cfg_attr(miri, ignore = "it handles a signal")]
fn a_handler_of_the_programs_is_left_alone() {
    extern "C" fn programs(_: i32) {}
    let arrivals = Arc::new(Arrivals::new());
    let signal = libc::SIGRTMIN() + 4;
    drop(register(signal, &arrivals).unwrap());
    let mut action = disposition::current(signal).unwrap();
    action.sa_sigaction = programs as *const () as usize;
    action.sa_flags = 0;
    // SAFETY: the handler does nothing.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, null_mut()) }, 0);
    // signal-hook has this signal already, and does not install its handler again.
    let _registration = register(signal, &arrivals).unwrap();
    assert_eq!(disposition::current(signal).unwrap().sa_flags & libc::SA_ONSTACK, 0);
}

#[test]
#[cfg_attr(miri, ignore = "it waits in the kernel")]
fn an_event_before_the_wait_is_not_lost() {
    let arrivals = Arrivals::new();
    let seen = arrivals.seen();
    arrivals.announce();
    arrivals.wait(seen, None);
}
