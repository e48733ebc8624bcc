//! The body of a response: bytes that all receivers of a report share, in pieces.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::bytes::Bytes;
use ::http_body::{Frame, SizeHint};

use crate::sys::Lasting;

/// How many bytes are handed to the connection at a time, so that it buffers no more than it can send.
const CHUNK: usize = 64 << 10;

/// The body of a response of [`Admin`](super::Admin).
pub struct Body(Bytes);

impl Body {
    pub(super) fn empty() -> Self {
        Self(Bytes::new())
    }

    pub(super) fn text(text: String) -> Self {
        Self(text.into())
    }

    pub(super) fn shared(report: Lasting) -> Self {
        Self(Bytes::from_owner(Shared(report)))
    }
}

impl fmt::Debug for Body {
    /// Without the report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

impl ::http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// A rendered report.
struct Shared(Lasting);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use ::http_body::Body as _;

    use super::*;

    #[test]
    fn a_body_is_sent_in_pieces_to_its_end() {
        let report: Vec<u8> = (0..CHUNK + 3).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let mut body = Body::shared(Arc::new(report.clone()));
        assert_eq!(body.size_hint().exact(), Some(report.len() as u64));
        let mut received = Vec::new();
        let mut lengths = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            let data = frame.into_data().unwrap();
            lengths.push(data.len());
            received.extend_from_slice(&data);
        }
        assert_eq!((lengths, received == report), (vec![CHUNK, 3], true));
        assert!(body.is_end_stream() && Body::empty().is_end_stream());
    }
}
