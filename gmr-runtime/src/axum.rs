//! **This must never face the public**: a report shows the names, stacks, command lines and configuration of the process to whoever can reach it. Mount it on an admin port that only
//! operators reach.
//!
//! [`router`] is a router for [axum](https://docs.rs/axum): `GET /` answers with a report of the process, as a page for a browser, or as the `Accept` header or `?format=` asks. Nothing is served unless
//! it is mounted.
//!
//! ```
//! # async fn serve() -> std::io::Result<()> {
//! let admin = axum::Router::new().nest("/gmr", gmr_runtime::axum::router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9901").await?;
//! axum::serve(listener, admin).await
//! # }
//! ```
//!
//! However many ask at the same time, one report is made at a time: those who come while it is made share the next. It is made on a thread of gmr's own. But a runtime whose workers are all stuck answers
//! no request, this one included: then it takes the signal.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use ::axum::Router;
use ::axum::body::Body;
use ::axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::get;
use ::bytes::Bytes;
use futures_core::Stream;
use tokio::sync::oneshot;

use crate::model::Report;
use crate::sys::own_threads;
use crate::views::{Detail, Format, written};

/// How much is handed to the connection at a time.
const CHUNK: usize = 64 << 10;

/// What the page may do, should anything of the process's data get past the templates: nothing that loads or sends.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'";

/// `GET /`: a report of this process. **It must never face the public.**
///
/// `?format=text`, `json`, `json-lines`, `xml` (with that feature) and `html` choose the format; without it the `Accept` header does, and a page for a browser is the default.
///
/// ```
/// let admin: axum::Router = axum::Router::new().merge(gmr_runtime::axum::router());
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(answer))
}

async fn answer(uri: Uri, headers: HeaderMap) -> Response {
    let format = match asked_for(uri.query().unwrap_or_default()) {
        Some(name) => name.parse::<Format>().map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n"))),
        None => accepted(&headers).ok_or_else(|| {
            let known: Vec<_> = OFFERS.iter().map(|format| format.media_type()).collect();
            (StatusCode::NOT_ACCEPTABLE, format!("a report is one of: {}\n", known.join(", ")))
        }),
    };
    let format = match format {
        Ok(format) => format,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(bytes) = next_report(format).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no report could be made\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, Body::from_stream(Chunks(bytes))).into_response()
}

/// The value of `format` in a query. Names of formats have no letters that would be written otherwise there.
fn asked_for(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("format="))
}

/// What is offered, the likeliest first.
const OFFERS: &[Format] = &[
    Format::Html,
    Format::Text,
    Format::Json,
    Format::JsonLines,
    #[cfg(feature = "xml")]
    Format::Xml,
];

/// The offer that the `Accept` header likes best; the first of those that it likes alike.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    if accept.trim().is_empty() {
        return OFFERS.first().copied();
    }
    let mut best: Option<(u16, Format)> = None;
    for &offer in OFFERS {
        let liking = liking(&accept, offer.media_type());
        if liking > best.map_or(0, |(liking, _)| liking) {
            best = Some((liking, offer));
        }
    }
    best.map(|(_, format)| format)
}

/// How much a header likes a media type, in thousandths: what is said of the type itself outdoes what is said of all.
fn liking(accept: &str, media_type: &str) -> u16 {
    let essence = media_type.split(';').next().unwrap_or_default();
    let any_of_kind = essence.split_once('/').map_or(String::new(), |(kind, _)| format!("{kind}/*"));
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let exactness = [String::from("*/*"), any_of_kind.clone(), essence.to_owned()]
            .iter()
            .position(|known| *known == name)?;
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
        Some((exactness, quality.clamp(0.0, 1.0)))
    });
    let (_, quality) = ranges.max_by_key(|(exactness, _)| *exactness).unwrap_or((0, 0.0));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 1000")]
    let thousandths = (quality * 1000.0) as u16;
    thousandths
}

/// Who wants the next report, and whether one is being made.
static DESK: Mutex<Desk> = Mutex::new(Desk { waiting: Vec::new(), maker: None });

struct Desk {
    waiting: Vec<(Format, oneshot::Sender<Bytes>)>,
    /// The process that one is being made in: a child that was forked meanwhile has this memory, and not the thread.
    maker: Option<u32>,
}

fn desk() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next report in this format; none if there is no thread to make it on, or it failed.
async fn next_report(format: Format) -> Option<Bytes> {
    let (sender, bytes) = oneshot::channel();
    let starts = {
        let mut desk = desk();
        desk.waiting.push((format, sender));
        let this = Some(std::process::id());
        std::mem::replace(&mut desk.maker, this) != this
    };
    if starts && own_threads::spawn("gmr http", serve_all).is_err() {
        let mut desk = desk();
        desk.maker = None;
        desk.waiting.clear();
    }
    bytes.await.ok()
}

/// Makes reports for as long as somebody waits for one.
fn serve_all() {
    loop {
        let waiting = {
            let mut desk = desk();
            // Whoever has gone away meanwhile wants none.
            desk.waiting.retain(|(_, sender)| !sender.is_closed());
            if desk.waiting.is_empty() {
                desk.maker = None;
                return;
            }
            std::mem::take(&mut desk.waiting)
        };
        // Should a view panic, those who wait are told that there is no report, and the next are served.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| answer_all(waiting)));
    }
}

/// One report for all of these, written once in each format.
fn answer_all(waiting: Vec<(Format, oneshot::Sender<Bytes>)>) {
    let report = Report::capture();
    let mut known: Vec<(Format, Bytes)> = Vec::new();
    for (format, sender) in waiting {
        if !known.iter().any(|(of, _)| *of == format) {
            known.push((format, Bytes::from(written(&report, format, Detail::Short))));
        }
        let bytes = known.iter().find(|(of, _)| *of == format).map(|(_, bytes)| bytes.clone());
        let _ = sender.send(bytes.unwrap_or_default());
    }
}

/// Bytes in pieces, so that a connection takes no more than it can send.
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
    fn the_header_is_taken_at_its_word() {
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
    fn a_query_names_a_format() {
        assert_eq!(asked_for("format=json"), Some("json"));
        assert_eq!(asked_for("a=b&format=text&c"), Some("text"));
        assert_eq!(asked_for("informat=text"), None);
    }
}
