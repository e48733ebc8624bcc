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

/// The value of `format` in a query. The names of formats need no percent-encoding.
fn queried(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("format="))
}

/// The formats on offer, the default first.
const OFFERS: &[Format] = &[
    Format::Html,
    Format::Text,
    Format::Json,
    Format::JsonLines,
    #[cfg(feature = "xml")]
    Format::Xml,
];

/// The offer of the highest quality in the `Accept` header; the first of several.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    if accept.trim().is_empty() {
        return OFFERS.first().copied();
    }
    let mut best: Option<(u16, Format)> = None;
    for &offer in OFFERS {
        let quality = quality(&accept, offer.media_type());
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, format)| format)
}

/// The quality that the header gives a media type, in thousandths. The most specific range that
/// matches decides (RFC 9110, 12.5.1).
fn quality(accept: &str, media_type: &str) -> u16 {
    let essence = media_type.split(';').next().unwrap_or_default();
    let any_of_kind = essence.split_once('/').map_or(String::new(), |(kind, _)| format!("{kind}/*"));
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let specificity = [String::from("*/*"), any_of_kind.clone(), essence.to_owned()]
            .iter()
            .position(|known| *known == name)?;
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
        Some((specificity, quality.clamp(0.0, 1.0)))
    });
    let (_, quality) = ranges.max_by_key(|(specificity, _)| *specificity).unwrap_or((0, 0.0));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 1000")]
    let thousandths = (quality * 1000.0) as u16;
    thousandths
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        accepted(&headers)
    }

    #[test]
    fn the_accept_header_decides() {
        assert_eq!(chosen(""), Some(Format::Html));
        assert_eq!(chosen("*/*"), Some(Format::Html));
        assert_eq!(chosen("application/json"), Some(Format::Json));
        assert_eq!(chosen("text/plain, */*;q=0.1"), Some(Format::Text));
        assert_eq!(
            chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            Some(Format::Html)
        );
        assert_eq!(chosen("text/html;q=0, text/*"), Some(Format::Text));
        assert_eq!(chosen("application/jsonl"), Some(Format::JsonLines));
        assert_eq!(chosen("image/png"), None);
        assert_eq!(chosen("application/json;q=0"), None);
    }

    #[test]
    fn the_query_names_a_format() {
        assert_eq!(queried("format=json"), Some("json"));
        assert_eq!(queried("a=b&format=text&c"), Some("text"));
        assert_eq!(queried("informat=text"), None);
    }
}
