//! Tests in which a model checker runs every interleaving, allowed by the memory model, of threads
//! that write to a slot and a report that reads it:
//! `RUSTFLAGS="--cfg gmr_loom" cargo test -p gmr-runtime --lib loom_tests::`.

use std::sync::Arc;

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
