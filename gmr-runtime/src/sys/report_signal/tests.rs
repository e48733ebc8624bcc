//! The handler, with signals that these tests raise.

use super::*;

fn raise(signal: i32) {
    // SAFETY: it has a handler.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Calls it on a thread with an alternate stack of this size.
fn with_alternate_stack<T: Send + 'static>(size: usize, call: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        // It may be in use as long as the thread lives.
        let memory = vec![0_u8; size].leak();
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: size };
        // SAFETY: the memory is never freed.
        assert_eq!(unsafe { libc::sigaltstack(&raw const stack, null_mut()) }, 0);
        call()
    });
    thread.join().unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "it handles a signal")]
fn the_handler_uses_an_alternate_stack_that_is_large_enough() {
    // Each signal is registered once: signal-hook's handler stays.
    let needed = stack_for_handler() - unused_in_frame();
    for (offset, size, is_used) in [(7, needed, true), (8, needed - 1, false)] {
        let signal = libc::SIGRTMIN() + offset;
        let action = with_alternate_stack(size, move || {
            let _registration = register(signal, &Arc::new(Arrivals::new())).unwrap();
            disposition::current(signal).unwrap()
        });
        assert_eq!(action.sa_flags & libc::SA_ONSTACK != 0, is_used, "{size}");
        // SAFETY: the set is initialised.
        let masks = |other| unsafe { libc::sigismember(&raw const action.sa_mask, other) } == 1;
        assert!(!is_used || masks(libc::SIGALRM), "one signal frame at a time");
        assert!(!masks(libc::SIGSEGV));
    }
    // std's own are.
    let signal = libc::SIGRTMIN() + 9;
    let _registration = register(signal, &Arc::new(Arrivals::new())).unwrap();
    assert_ne!(disposition::current(signal).unwrap().sa_flags & libc::SA_ONSTACK, 0);
}

#[test]
#[cfg_attr(miri, ignore = "it handles a signal")]
fn signals_are_counted_and_their_sender_is_known() {
    let arrivals = Arc::new(Arrivals::new());
    let signal = libc::SIGRTMIN() + 3;
    let registration = register(signal, &arrivals).unwrap();
    assert_ne!(disposition::current(signal).unwrap().sa_flags & libc::SA_RESTART, 0);
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
