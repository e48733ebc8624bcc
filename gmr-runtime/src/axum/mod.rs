//! Reports over HTTP. **Never expose this to the public**: a report shows the stacks, command lines
//! and configuration of the process to everyone who can reach it. Mount it on an admin port that
//! only operators can reach.
//!
//! [`router`] is a router for [axum](https://docs.rs/axum). `GET /` answers with a report, as an
//! HTML page, or in the format given by `?format=` or the `Accept` header. Nothing is served until
//! you mount it.
//!
//! ```
//! # async fn serve() -> std::io::Result<()> {
//! let admin = axum::Router::new().nest("/gmr", gmr_runtime::axum::router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9901").await?;
//! axum::serve(listener, admin).await
//! # }
//! ```
//!
//! Requests that arrive while a report is being made share the next one. Reports are made and
//! rendered on gmr's own threads, so no worker of the runtime is blocked. If all workers of the
//! runtime are blocked by something else, it can't answer any request; send the report signal
//! instead.

mod negotiation;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::axum::Router;
use ::axum::body::Body;
use ::axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::get;
use ::bytes::Bytes;
use futures_core::Stream;

use self::negotiation::{OFFERS, accepted, queried};
use crate::request;
use crate::views::Format;

/// How many bytes are handed to the connection at a time.
const CHUNK: usize = 64 << 10;

/// What the page may do: nothing that loads or sends, in case data of the process gets past the
/// template's escaping.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'";

/// A router with one route, `GET /`: a report of this process. **Never expose it to the public.**
///
/// `?format=` selects the format, by the names that [`Format`] parses. Without it, the `Accept`
/// header does; without either, the report is an HTML page.
///
/// ```
/// let admin: axum::Router = axum::Router::new().merge(gmr_runtime::axum::router());
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(answer))
}

async fn answer(uri: Uri, headers: HeaderMap) -> Response {
    let format = match queried(uri.query().unwrap_or_default()) {
        Some(name) => name.parse::<Format>().map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n"))),
        None => accepted(&headers).ok_or_else(|| {
            let known: Vec<_> = OFFERS.iter().map(|format| format.media_type()).collect();
            (
                StatusCode::NOT_ACCEPTABLE,
                format!("no acceptable format; expected one of {}\n", known.join(", ")),
            )
        }),
    };
    let format = match format {
        Ok(format) => format,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(bytes) = request::rendered(format).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "could not make a report\n").into_response();
    };
    let bytes = Bytes::from_owner(Shared(bytes));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, Body::from_stream(Chunks(bytes))).into_response()
}

/// A rendered report, which all its receivers share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes in pieces, so that a connection buffers no more than it can send.
struct Chunks(Bytes);

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.0.split_to(length))))
    }
}
