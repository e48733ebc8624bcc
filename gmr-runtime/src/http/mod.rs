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
//! let admin = axum::Router::new().nest_service("/gmr", gmr_runtime::http::router::<()>());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9901").await?;
//! axum::serve(listener, admin).await
//! # }
//! ```
//!
//! Requests that arrive while a report is being made share the next one. Reports are made and
//! rendered on gmr's own threads, so no worker of the runtime is blocked. If all workers of the
//! runtime are blocked by something else, it can't answer any request; send the report signal
//! instead.

mod access;
mod negotiation;
mod policy;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::{ConnectInfo, OriginalUri, Request};
use ::axum::http::request::Parts;
use ::axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::any;
use ::bytes::Bytes;
use futures_core::Stream;

use self::access::{Access, Refusal};
use self::negotiation::{OFFERS, accepted, queried};
use self::policy::POLICY;
use crate::request;
use crate::trigger::Client;
use crate::views::Format;

/// How many bytes are handed to the connection at a time.
const CHUNK: usize = 64 << 10;

/// A router with one route, `/`: `GET` answers with a report of this process. **Never expose it to
/// the public.** It is that of [`Admin`] without options.
///
/// `?format=` selects the format, by the names that [`Format`] parses. Without it, the `Accept`
/// header does; without either, the report is an HTML page, or text for curl and Wget.
///
/// ```
/// let admin: axum::Router = axum::Router::new().merge(gmr_runtime::http::router());
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Admin::new().router()
}

/// What the route for reports asks of requests.
///
/// Requests of pages of another origin get no report (`Sec-Fetch-Site`, `Origin`), nor do those for
/// a host name that could be a page's own by DNS rebinding (`Host`): IP addresses, `localhost` and
/// the names given to [`host`](Self::host) are served. Each refusal says what to do.
///
/// ```
/// use std::time::Duration;
///
/// let reports = gmr_runtime::http::Admin::new()
///     .host("shop-admin.internal")
///     .bearer_token(std::env::var("ADMIN_TOKEN").unwrap_or_default())
///     .min_interval(Duration::from_secs(1))
///     .authorize(|request| request.headers.contains_key("x-operator"));
/// let admin: axum::Router = axum::Router::new().nest_service("/gmr", reports.router::<()>());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Admin {
    access: Access,
}

impl Admin {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also serves this host, without a port: the name by which operators reach the admin port.
    #[must_use]
    pub fn host(mut self, name: impl AsRef<str>) -> Self {
        self.access.hosts.push(name.as_ref().trim_end_matches('.').to_ascii_lowercase());
        self
    }

    /// Needs `Authorization: Bearer TOKEN`. The token is compared in constant time. An empty one
    /// refuses all requests.
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.access.token = Some(token.into());
        self
    }

    /// The least time between two requests that get a report. Those in between get 429, with the
    /// time to wait. Without it, requests that arrive while a report is made share the next one.
    #[must_use]
    pub fn min_interval(mut self, time: Duration) -> Self {
        self.access.min_interval = time;
        self
    }

    /// The service's own authorization: what it returns `false` for gets 403. It is called for
    /// requests that pass the other checks, and must not block.
    #[must_use]
    pub fn authorize(mut self, authorize: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.access.authorize = Some(Arc::new(authorize));
        self
    }

    /// A router with one route, `/`.
    ///
    /// Mounted with `nest_service("/gmr", ..)`, it answers `/gmr` and `/gmr/`; with `nest`, the
    /// first one only.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new().route("/", any(move |request: Request| answer(self.access.clone(), request)))
    }
}

async fn answer(access: Access, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let answered = match access.check(&parts).and_then(|()| format(&parts)) {
        Ok(format) if parts.method == Method::HEAD => Ok(head(format)),
        Ok(format) => match access.admit() {
            Ok(()) => report(format, &parts).await,
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    let mut response = answered.unwrap_or_else(refused);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept, user-agent"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    response
}

/// The format that is asked for.
///
/// # Errors
/// There is no such format, or none that the client accepts.
fn format(parts: &Parts) -> Result<Format, Refusal> {
    if let Some(name) = queried(parts.uri.query().unwrap_or_default()) {
        let parsed = name.parse::<Format>();
        return parsed.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()));
    }
    accepted(&parts.headers).ok_or_else(|| {
        let known: Vec<_> = OFFERS.iter().map(|format| format.media_type()).collect();
        let text = format!("no acceptable format; expected one of {}", known.join(", "));
        Refusal::new(StatusCode::NOT_ACCEPTABLE, text)
    })
}

fn refused(Refusal { status, text, header }: Refusal) -> Response {
    let mut response = (status, text + "\n").into_response();
    if let Some((name, value)) = header
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        response.headers_mut().insert(name, value);
    }
    response
}

/// What `HEAD` gets: a report is not made for it.
fn head(format: Format) -> Response {
    [(header::CONTENT_TYPE, format.media_type())].into_response()
}

/// Makes a report.
///
/// # Errors
/// It could not be made.
async fn report(format: Format, parts: &Parts) -> Result<Response, Refusal> {
    let path = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.0.path());
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let client = Client { peer: peer.map(|peer| peer.0.to_string()), path: path.to_owned() };
    let Some(bytes) = request::rendered(format, client).await else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "could not make a report"));
    };
    let policy = (format == Format::Html).then(|| policy::of_page(&bytes)).flatten();
    let bytes = Bytes::from_owner(Shared(bytes));
    let length = HeaderValue::from(bytes.len());
    let mut response = head(format);
    *response.body_mut() = Body::from_stream(Chunks(bytes));
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    if let Some(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
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
