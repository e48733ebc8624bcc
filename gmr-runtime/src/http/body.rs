//! The body of a response. A report is kept once for all who read it, in pieces, and not longer
//! than they need it. Readers that do not read cannot make the process keep any number of reports:
//! what is kept is bounded, and beyond that, who came first gets an error instead of the rest.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use ::bytes::Bytes;
use ::http_body::{Frame, SizeHint};

use crate::sys::Lasting;

/// How many bytes are handed to the connection at a time. hyper takes up to 16 pieces that the peer
/// has not read yet: a quarter of a megabyte for a connection that is stalled.
const CHUNK: usize = 16 << 10;

/// The most bytes of reports that are kept for their readers, besides the newest report: a dozen of
/// the largest pages.
const MAX_KEPT: usize = 64 << 20;

/// The reports that are being read, the oldest first.
static KEPT: Mutex<Vec<Weak<Kept>>> = Mutex::new(Vec::new());

/// The body of a response of [`Admin`](super::Admin). The error is that too many other reports were
/// requested before this one was read to its end.
pub struct Body(Content);

enum Content {
    /// What is not a report is short.
    Text(Bytes),
    Report {
        kept: Arc<Kept>,
        sent: usize,
    },
}

/// A rendered report, until it is no longer kept.
struct Kept {
    report: Mutex<Option<Lasting>>,
    length: usize,
}

impl Kept {
    fn is(&self, report: &Lasting) -> bool {
        self.get().is_some_and(|own| Arc::ptr_eq(&own, report))
    }

    fn get(&self) -> Option<Lasting> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn give_up(&self) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Keeps a report for one more reader, and gives up the oldest of the others beyond so many bytes.
fn keep(all: &mut Vec<Weak<Kept>>, report: Lasting, most: usize) -> Arc<Kept> {
    let mut others: Vec<Arc<Kept>> = all.iter().filter_map(Weak::upgrade).collect();
    // Those who waited for the same report share it.
    if let Some(kept) = others.iter().find(|kept| kept.is(&report)) {
        return Arc::clone(kept);
    }
    let mut left = others.iter().map(|kept| kept.length).sum::<usize>();
    others.retain(|oldest| {
        let is_kept = left <= most;
        if !is_kept {
            left -= oldest.length;
            oldest.give_up();
        }
        is_kept
    });
    let kept = Arc::new(Kept { length: report.len(), report: Mutex::new(Some(report)) });
    all.clear();
    all.extend(others.iter().chain([&kept]).map(Arc::downgrade));
    kept
}

impl Body {
    pub(super) fn text(text: String) -> Self {
        Self(Content::Text(text.into()))
    }

    pub(super) fn report(report: Lasting) -> Self {
        let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Content::Report { kept: keep(&mut all, report, MAX_KEPT), sent: 0 })
    }

    /// The bytes that are still to be sent.
    fn left(&self) -> usize {
        match &self.0 {
            Content::Text(text) => text.len(),
            Content::Report { kept, sent } => kept.length - sent,
        }
    }
}

impl fmt::Debug for Body {
    /// Without the report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.left())
    }
}

impl ::http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut self.0 {
            Content::Text(text) => std::mem::take(text),
            Content::Report { kept, sent } => {
                let Some(report) = kept.get() else {
                    let message = "too many other reports were requested before this one was read";
                    return Poll::Ready(Some(Err(io::Error::other(message))));
                };
                // A copy: the connection would keep the whole report for a piece of it.
                let rest = &report[*sent..];
                let piece = Bytes::copy_from_slice(&rest[..rest.len().min(CHUNK)]);
                *sent += piece.len();
                piece
            }
        };
        if self.left() == 0 {
            // The connection can have the body for longer than it needs it.
            self.0 = Content::Text(Bytes::new());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use ::http_body::Body as _;

    use super::*;

    /// The next piece; `None` at the end.
    fn next(body: &mut Body) -> Option<io::Result<Bytes>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => piece.map(|piece| piece.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("a body is there at once"),
        }
    }

    #[test]
    fn a_report_is_sent_in_pieces_and_freed_after_the_last() {
        let report: Vec<u8> = (0..2 * CHUNK + 3).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let shared: Lasting = Arc::new(report.clone());
        let mut body = Body::report(Arc::clone(&shared));
        assert_eq!(body.size_hint().exact(), Some(report.len() as u64));
        let pieces: Vec<Bytes> = (0..3).map(|_| next(&mut body).unwrap().unwrap()).collect();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [CHUNK, CHUNK, 3]);
        assert!(pieces.concat() == report, "another report");
        assert!(body.is_end_stream() && next(&mut body).is_none());
        assert_eq!(Arc::strong_count(&shared), 1, "the body is still there, and keeps nothing");
        let mut text = Body::text("no".to_owned());
        assert_eq!(next(&mut text).unwrap().unwrap(), "no");
        assert!(text.is_end_stream() && next(&mut text).is_none());
    }

    #[test]
    fn readers_of_one_report_share_it_and_the_oldest_is_given_up_first() {
        let mut all = Vec::new();
        let reports: Vec<Lasting> = (0..4).map(|_| Arc::new(vec![7_u8; 10]) as Lasting).collect();
        let mut keep = |index: usize| keep(&mut all, Arc::clone(&reports[index]), 20);
        let first = [keep(0), keep(0)];
        assert!(Arc::ptr_eq(&first[0], &first[1]));
        let second = keep(1);
        // It is read to its end, and no longer counts.
        drop(second);
        let (third, fourth) = (keep(2), keep(3));
        assert!(first[0].get().is_some() && third.get().is_some() && fourth.get().is_some());
        let fifth = keep(1);
        assert!(first[0].get().is_none() && third.get().is_some(), "20 bytes besides the newest");
        assert_eq!(Arc::strong_count(&reports[0]), 1);
        let mut body = Body(Content::Report { kept: Arc::clone(&first[0]), sent: 5 });
        assert!(next(&mut body).unwrap().unwrap_err().to_string().contains("too many"));
        drop((third, fourth, fifth));
        let sixth = keep(0);
        assert!(!Arc::ptr_eq(&sixth, &first[0]) && sixth.get().is_some(), "the same report, made again");
    }
}
