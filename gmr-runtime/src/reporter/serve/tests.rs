//! Tests of how requests are batched and answered.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};

use super::*;
use crate::model::{Sender, Trigger};
use crate::reporter::parts::Parts;
use crate::reporter::pending::REPLIES_WITHIN;
use crate::sys::attach::Attach;
use crate::trigger::reply::{Answer, block_on, channel};
use crate::trigger::{Attached, Client, Event, Rendered};

fn rendered(format: Format) -> (Deferred, Answer<Rendered>) {
    let (reply, answer) = channel();
    (Deferred::Rendered(format, Client::default(), reply), answer)
}

#[cfg(feature = "json")]
#[test]
fn each_format_is_rendered_once_and_a_view_that_panics_fails_its_own_replies() {
    use std::cell::RefCell;

    let formats = [Format::Text, Format::Json, Format::Text, Format::JsonLines, Format::Json];
    let (deferred, answers): (Vec<_>, Vec<_>) = formats.map(rendered).into_iter().unzip();
    let calls = RefCell::new(Vec::new());
    let report = Arc::new(Report::capture());
    send_rendered(deferred, &report, |_, format| {
        calls.borrow_mut().push(format);
        assert_ne!(format, Format::Json, "the view panics");
        format.name().into()
    });
    assert_eq!(calls.into_inner(), [Format::Text, Format::Json, Format::JsonLines]);
    let answers: Vec<_> = answers.into_iter().map(|answer| block_on(answer).unwrap()).collect();
    let texts: Vec<_> = answers.iter().map(|bytes| bytes.as_ref().map(|bytes| &***bytes)).collect();
    assert_eq!(texts, [Some(&b"text"[..]), None, Some(b"text"), Some(b"json-lines"), None]);
}

#[test]
fn deferred_requests_wait_while_replies_are_sent_and_others_do_not() {
    let mut pending = Pending { replying: Some(Instant::now()), ..Pending::default() };
    let (deferred, _answer) = rendered(Format::Text);
    let (reply, _capture) = channel();
    pending.add(vec![Request::Deferred(deferred), Request::Capture(reply)]);
    let batch = pending.next_batch();
    assert_eq!((batch.captures.len(), batch.deferred.len()), (1, 0));
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), None, "no report until the replies are sent");
    pending.add(vec![Request::Replied]);
    let batch = pending.next_batch();
    assert_eq!((batch.trigger("SIGUSR2"), batch.deferred.len()), (Some(by_http(0)), 1));
}

fn by_http(coalesced: u64) -> Trigger {
    Trigger::Http { peer: None, path: String::new(), coalesced }
}

#[test]
fn a_report_says_which_http_request_it_is_for() {
    let mut pending = Pending::default();
    let (requests, answers): (Vec<_>, Vec<_>) = [Format::Text; 3].map(rendered).into_iter().unzip();
    pending.add(requests.into_iter().map(Request::Deferred).collect());
    let batch = pending.next_batch();
    assert_eq!(batch.trigger("SIGUSR2"), Some(by_http(2)));
    assert_eq!(batch.notes().count(), 0);
    let (reply, _capture) = channel();
    let client = Client { peer: Some("10.0.0.7:51234".into()), path: "/gmr".into() };
    let (rendered, _answer) = channel();
    let request = Request::Deferred(Deferred::Rendered(Format::Text, client, rendered));
    pending.add(vec![Request::Signals { count: 1, sender: None }, Request::Capture(reply), request]);
    let batch = pending.next_batch();
    assert!(matches!(batch.trigger("SIGUSR2"), Some(Trigger::Signal { .. })));
    let notes: Vec<String> = batch.notes().collect();
    assert_eq!(notes, ["an HTTP request for /gmr from 10.0.0.7:51234, too"]);
    drop(answers);
}

#[test]
fn replies_that_are_never_sent_do_not_hold_up_others_for_ever() {
    // Long after the machine was started there is such an instant.
    let Some(long_ago) = Instant::now().checked_sub(REPLIES_WITHIN) else { return };
    let mut pending = Pending { replying: Some(Instant::now()), ..Pending::default() };
    assert_eq!(pending.begins_at(), None, "nobody waits");
    let (deferred, _answer) = rendered(Format::Text);
    pending.add(vec![Request::Deferred(deferred)]);
    assert!(pending.begins_at() > Some(Instant::now()), "nothing else may wake the reporter");
    pending.replying = Some(long_ago);
    assert!(pending.can_begin());
    assert_eq!(pending.next_batch().deferred.len(), 1);
}

#[test]
fn a_report_without_deferred_requests_does_not_end_the_wait_for_earlier_replies() {
    /// A waker that says that it is called, and then waits.
    struct Stuck {
        called: mpsc::Sender<()>,
        go_on: std::sync::Mutex<mpsc::Receiver<()>>,
    }
    impl Wake for Stuck {
        fn wake(self: Arc<Self>) {
            self.called.send(()).unwrap();
            let _ = self.go_on.lock().unwrap().recv();
        }
    }
    let report = || {
        let (reply, answer) = channel();
        (Request::Deferred(Deferred::Report(reply)), answer)
    };
    let (outbox, inbox) = trigger::open(None).unwrap();
    let outbox = Arc::new(outbox);
    let capture = || {
        let (reply, answer) = channel();
        outbox.send(Request::Capture(reply));
        block_on(answer).unwrap().heading.number
    };
    let reporters = Arc::clone(&outbox);
    let reporter = std::thread::spawn(move || {
        let plan = Plan { of_report: Parts::none(), of_look: Parts::none(), second_look: Duration::ZERO };
        serve(inbox, &reporters, &plan, (Stderr::new(), Target::default()), "SIGUSR2", Style::default());
    });

    let (called, is_called) = mpsc::channel();
    let (go_on, receiver) = mpsc::channel();
    let stuck = Waker::from(Arc::new(Stuck { called, go_on: receiver.into() }));
    let (first, mut first_answer) = report();
    assert!(Pin::new(&mut first_answer).poll(&mut Context::from_waker(&stuck)).is_pending());
    outbox.send(first);
    is_called.recv().unwrap();
    let (second, second_answer) = report();
    outbox.send(second);
    // Two reports, of which the second must not answer the request either.
    let last = [(); 2].map(|()| capture())[1];
    drop(go_on);
    assert!(block_on(second_answer).unwrap().heading.number > last);
    outbox.send(Request::Stop);
    reporter.join().unwrap();
}

#[test]
fn a_request_that_was_given_up_is_not_answered() {
    let mut pending = Pending::default();
    let (deferred, answer) = rendered(Format::Text);
    drop(answer);
    pending.add(vec![Request::Deferred(deferred)]);
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), None);
}

#[test]
fn signals_wait_while_a_report_is_written_and_others_do_not() {
    let mut pending = Pending { is_writing: true, ..Pending::default() };
    let (reply, _answer) = channel();
    pending.add(vec![Request::Signals { count: 3, sender: None }, Request::Capture(reply)]);
    let batch = pending.next_batch();
    assert_eq!((batch.trigger("SIGUSR2"), batch.captures.len()), (Some(Trigger::Api), 1));
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), None);
    pending.add(vec![Request::Written]);
    pending.is_writing = false;
    assert_eq!(pending.next_batch().signals, 3);
}

/// The message that the report has been written may arrive during the next one, too.
#[test]
fn what_arrived_during_a_report_begins_without_another_request() {
    let signals = || Request::Signals { count: 1, sender: None };
    let mut pending = Pending { is_writing: true, ..Pending::default() };
    pending.add_meanwhile(vec![signals()], 1, None);
    assert!(!pending.can_begin(), "the report before it is being written");
    pending.is_writing = false;
    assert!(pending.can_begin());
    drop(pending.next_batch());
    assert!(!pending.can_begin());
    let (reply, _answer) = channel();
    pending.add_meanwhile(vec![Request::Capture(reply)], 2, None);
    pending.is_writing = true;
    assert!(pending.can_begin());
    drop(pending.next_batch());
    let (deferred, _answer) = rendered(Format::Text);
    pending.replying = Some(Instant::now());
    pending.add_meanwhile(vec![Request::Deferred(deferred), signals()], 3, None);
    assert!(!pending.can_begin());
    pending.add(vec![Request::Replied]);
    assert!(pending.can_begin());
}

#[test]
fn a_section_that_sends_the_signal_gets_one_more_report() {
    let from =
        |pid| Request::Signals { count: 2, sender: Some(Sender { pid, uid: 0, user: None, command: None }) };
    let this = std::process::id();
    let mut pending = Pending::default();
    assert_eq!(pending.add_meanwhile(vec![from(this)], 7, None), 0);
    let batch = pending.next_batch();
    assert_eq!((batch.signals, batch.own_during), (2, Some(7)));
    assert_eq!(pending.add_meanwhile(vec![from(this)], 8, batch.own_during), 2);
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), None, "no report without end");
    // That of another process is answered.
    assert_eq!(pending.add_meanwhile(vec![from(this), from(this + 1)], 8, batch.own_during), 2);
    let batch = pending.next_batch();
    assert_eq!((batch.signals, batch.own_during), (2, None));
}

#[test]
fn a_signal_is_the_trigger_of_a_report_for_several() {
    let mut pending = Pending::default();
    let (reply, _answer) = channel();
    let signal = || Request::Signals { count: 1, sender: None };
    pending.add(vec![signal(), Request::Capture(reply), signal()]);
    let expected = Trigger::Signal { name: "SIGUSR2".into(), sender: None, coalesced: 1 };
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), Some(expected));
}

#[test]
fn an_event_is_the_trigger_unless_a_signal_is_and_then_it_is_noted() {
    let event = |name: &str, cause: &str| Request::Event(Event::automatic(name, cause.to_owned()));
    let automatic = |name: &str, cause: &str, coalesced| Trigger::Automatic {
        name: name.to_owned(),
        cause: cause.to_owned(),
        coalesced,
    };
    let mut pending = Pending::default();
    pending.add(vec![
        event("on_memory", "91 %"),
        event("on_panic", "it panicked"),
        event("on_memory", "92 %"),
    ]);
    assert!(pending.can_begin());
    let batch = pending.next_batch();
    assert!(batch.is_written());
    assert_eq!(batch.trigger("SIGUSR2"), Some(automatic("on_memory", "91 %", 1)));
    let notes: Vec<_> = batch.notes().collect();
    assert!(
        notes.len() == 1 && notes[0].contains("on_panic") && notes[0].contains("it panicked"),
        "{notes:?}"
    );
    pending.is_writing = true;
    pending.add(vec![event("on_memory", "93 %"), Request::Signals { count: 1, sender: None }]);
    assert!(!pending.can_begin());
    assert_eq!(pending.next_batch().trigger("SIGUSR2"), None, "a report is being written");
    pending.is_writing = false;
    let batch = pending.next_batch();
    assert!(matches!(batch.trigger("SIGUSR2"), Some(Trigger::Signal { .. })));
    assert!(batch.notes().eq(["automatic (on_memory), too: 93 %"]));
}

#[test]
fn those_who_wait_for_an_event_that_has_no_report_are_told() {
    let mut pending = Pending::default();
    let mut last = None;
    for _ in 0..7 {
        let (reply, answer) = channel();
        let event = Event { written: vec![reply], ..Event::automatic("on_memory", String::new()) };
        pending.add(vec![Request::Event(event)]);
        last = Some((pending.next_batch(), answer));
    }
    let (mut batch, answer) = last.expect("seven");
    assert_eq!((batch.trigger("SIGUSR2"), batch.waiting().len()), (None, 0), "six in an hour");
    assert_eq!(block_on(answer), None);
    assert_eq!(pending.rates.notes().count(), 1);
}

#[test]
fn signals_wait_for_the_end_of_the_interval_and_others_do_not() {
    let signals = |count| Request::Signals { count, sender: None };
    let interval = Duration::from_secs(60 * 60);
    let mut pending = Pending { interval, last: Some(Instant::now()), ..Pending::default() };
    assert_eq!(pending.begins_at(), None, "nobody waits");
    let (reply, _capture) = channel();
    pending.add(vec![signals(2), Request::Capture(reply)]);
    assert!(pending.begins_at() > Some(Instant::now()));
    let batch = pending.next_batch();
    assert_eq!((batch.signals, batch.captures.len()), (0, 1));
    pending.add(vec![signals(1)]);
    assert!(!pending.can_begin());
    pending.interval = Duration::ZERO;
    assert!(pending.can_begin());
    assert_eq!(pending.next_batch().signals, 3);
}

fn attached(token: u32, without_tasks: bool) -> Attached {
    let sender = Sender { pid: 7, uid: 0, user: None, command: Some("gmr".into()) };
    Attached { attach: Attach { is_json: false, without_tasks, is_look: false, token }, sender: Some(sender) }
}

#[test]
fn a_request_of_the_command_waits_for_nothing() {
    let interval = Duration::from_secs(60 * 60);
    let mut pending =
        Pending { interval, last: Some(Instant::now()), is_writing: true, ..Pending::default() };
    pending.add(vec![
        Request::Attached(attached(1, true)),
        Request::Signals { count: 1, sender: None },
        Request::Attached(attached(2, true)),
    ]);
    assert!(pending.can_begin());
    let batch = pending.next_batch();
    assert!(!batch.is_written() && batch.leaves_tasks_alone());
    let sender = attached(2, true).sender;
    assert_eq!(batch.trigger("USR2"), Some(Trigger::Signal { name: "USR2".into(), sender, coalesced: 1 }));
    assert!(batch.notes().eq(["requested by `gmr report`"]));
    assert!(!pending.can_begin(), "the signal waits");
}

#[test]
fn a_request_of_the_command_shares_the_report_of_others_and_their_tasks() {
    let mut pending = Pending::default();
    pending.add(vec![Request::Attached(attached(1, true)), Request::Attached(attached(2, false))]);
    assert!(!pending.next_batch().leaves_tasks_alone());
    let (reply, _capture) = channel();
    pending.add(vec![
        Request::Signals { count: 1, sender: None },
        Request::Attached(attached(3, true)),
        Request::Capture(reply),
    ]);
    let batch = pending.next_batch();
    assert!(!batch.leaves_tasks_alone());
    let expected = Trigger::Signal { name: "USR2".into(), sender: None, coalesced: 0 };
    assert_eq!(batch.trigger("USR2"), Some(expected));
    assert!(batch.notes().eq(["requested by `gmr report`, too"]));
}

#[test]
fn a_look_is_made_unless_somebody_wants_a_report() {
    let look = |token| {
        let Attached { attach, sender } = attached(token, true);
        Request::Attached(Attached { attach: Attach { is_json: true, is_look: true, ..attach }, sender })
    };
    let mut pending = Pending::default();
    assert!(!pending.next_batch().is_look(), "nobody wants anything");
    pending.add(vec![look(1), look(2)]);
    assert!(pending.next_batch().is_look());
    let (reply, _capture) = channel();
    let others = [
        Request::Attached(attached(4, true)),
        Request::Signals { count: 1, sender: None },
        Request::Capture(reply),
    ];
    for other in others {
        pending.add(vec![look(3), other]);
        assert!(!pending.next_batch().is_look());
    }
    pending.add(vec![look(5), Request::Signals { count: 1, sender: None }]);
    assert_eq!(pending.next_batch().notes().count(), 0, "a look is no reason for the report");
}

#[test]
fn a_request_of_the_command_without_a_file_is_answered_like_a_signal() {
    let mut pending = Pending { is_writing: true, ..Pending::default() };
    pending.answer_on_stderr(attached(1, false), "no memory".to_owned());
    assert!(!pending.can_begin(), "it is one of those that wait");
    assert_eq!(pending.next_batch().trigger("USR2"), None);
    pending.is_writing = false;
    let batch = pending.next_batch();
    let sender = attached(1, false).sender;
    assert_eq!(batch.trigger("USR2"), Some(Trigger::Signal { name: "USR2".into(), sender, coalesced: 0 }));
    let notes: Vec<_> = batch.notes().collect();
    assert!(notes.len() == 1 && notes[0].ends_with(": no memory"), "{notes:?}");
}
