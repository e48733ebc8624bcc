//! Tests in which a model checker runs every interleaving, allowed by the memory model, of threads
//! that write to a slot and a report that reads it:
//! `RUSTFLAGS="--cfg gmr_loom" cargo test -p gmr-runtime --lib loom_tests::`.

use std::sync::Arc;

use super::callsites::Callsite;
use super::inside::{Entering, Inside};
use super::open_spans::{Number, OpenSpans, Opening};
use super::seqlock::{Version, WORD, Words};

struct Cell {
    version: Version,
    words: Words<2>,
}

impl Cell {
    fn new() -> Arc<Self> {
        Arc::new(Self { version: Version::new(), words: Words::new() })
    }

    /// Writes the same byte everywhere. False if another thread was writing.
    fn write(&self, byte: u8) -> bool {
        let Some(_change) = self.version.change() else { return false };
        self.words.store(0, &[byte; 2 * WORD]);
        true
    }

    fn read(&self) -> Option<Vec<u8>> {
        self.version.read(|| self.words.load(0, 2 * WORD))
    }
}

fn assert_whole(bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
}

#[test]
fn a_report_reads_what_one_thread_has_written() {
    loom::model(|| {
        let cell = Cell::new();
        let writer = Arc::clone(&cell);
        let writing = loom::thread::spawn(move || assert!(writer.write(1)));
        if let Some(bytes) = cell.read() {
            assert_whole(&bytes);
        }
        writing.join().unwrap();
        assert_eq!(cell.read(), Some(vec![1; 2 * WORD]));
    });
}

#[test]
fn of_two_threads_one_gives_up() {
    loom::model(|| {
        let cell = Cell::new();
        let writer = Arc::clone(&cell);
        let writing = loom::thread::spawn(move || writer.write(1));
        let written = cell.write(2);
        let others = writing.join().unwrap();
        assert!(written || others, "the first one never gives up");
        let bytes = cell.read().unwrap();
        assert_whole(&bytes);
        assert!(if bytes[0] == 1 { others } else { written });
    });
}

/// A thread leaves, and another one gets its place.
#[test]
fn a_report_sees_each_thread_inside_with_its_own_task() {
    loom::model(|| {
        let inside = Arc::new(Inside::new());
        let thread = |tid| Entering { now: 1 << 20, tid, task: 100 + tid };
        inside.enter(thread(1));
        let entering = Arc::clone(&inside);
        let changing = loom::thread::spawn(move || {
            entering.leave(thread(1));
            entering.enter(thread(2));
        });
        for seen in inside.see(1 << 20).threads {
            assert_eq!(seen.task, 100 + seen.tid);
        }
        changing.join().unwrap();
        let seen = inside.see(1 << 20);
        assert_eq!((seen.threads.len(), seen.threads[0].tid, seen.others), (1, 2, 0));
    });
}

#[test]
fn two_threads_inside_are_told_apart() {
    loom::model(|| {
        let inside = Arc::new(Inside::new());
        let thread = |tid| Entering { now: 1 << 20, tid, task: 100 + tid };
        let entering = Arc::clone(&inside);
        let changing = loom::thread::spawn(move || {
            entering.enter(thread(1));
            entering.leave(thread(1));
            entering.enter(thread(1));
        });
        inside.enter(thread(2));
        changing.join().unwrap();
        let seen = inside.see(1 << 20);
        assert_eq!(seen.threads.iter().map(|thread| thread.tid).collect::<Vec<_>>(), [1, 2]);
        inside.leave(thread(2));
        inside.leave(thread(1));
        let seen = inside.see(1 << 20);
        assert!(seen.threads.is_empty() && seen.others == 0);
    });
}

/// What is known of a span is its id.
fn opening(id: u32) -> Opening<'static> {
    const FIELDS: [[u8; WORD]; 3] = [[0; WORD], [1; WORD], [2; WORD]];
    let fields = &FIELDS[usize::try_from(id).unwrap()];
    let callsite = Callsite::from_bits(id).unwrap();
    Opening { callsite, parent: None, fields, now: id.into(), forks: id }
}

/// A table with the span 1, which is closed by a thread that then opens 2. That gets the same slot.
fn one_slot() -> (Arc<OpenSpans>, Number, loom::thread::JoinHandle<()>) {
    let spans = Arc::new(OpenSpans::new());
    let number = spans.open(1, &opening(1)).unwrap();
    let changing = Arc::clone(&spans);
    let changing = loom::thread::spawn(move || {
        changing.close(1);
        assert!(changing.open(2, &opening(2)).is_some());
    });
    (spans, number, changing)
}

#[test]
fn an_event_gets_the_fields_of_its_own_span() {
    loom::model(|| {
        let (spans, number, changing) = one_slot();
        let words = Words::<1>::new();
        if let Some((callsite, length, kept)) = spans.copy_fields(number, &words, 0) {
            assert_eq!((callsite, length, kept), (1, WORD, WORD));
            assert_eq!(words.load(0, WORD), opening(1).fields);
        }
        changing.join().unwrap();
        assert_eq!(spans.copy_fields(number, &words, 0), None);
    });
}
