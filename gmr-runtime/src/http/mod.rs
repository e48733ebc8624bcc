//! Reports over HTTP. **Never expose this to the public**: a report shows the stacks, command lines
//! and configuration of the process to everyone who can reach it. Mount it on an admin port that
//! only operators can reach.
//!
//! [`Admin`] answers a request with a report, as an HTML page, or in the format given by `?format=`
//! or the `Accept` header. Nothing is served until you mount it. For [axum](https://docs.rs/axum),
//! the crate `gmr-axum` has a router. Elsewhere, mount it in what calls tower's services, or call
//! it yourself, as here with [hyper](https://docs.rs/hyper):
//!
//! ```
//! use gmr_runtime::http::{Admin, Peer};
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper_util::rt::TokioIo;
//!
//! # async fn serve() -> std::io::Result<()> {
//! let reports = Admin::new().path("/gmr");
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9901").await?;
//! loop {
//!     let (stream, peer) = listener.accept().await?;
//!     let reports = reports.clone();
//!     let service = service_fn(move |mut request| {
//!         request.extensions_mut().insert(Peer(peer)); // optional: the report's heading names it
//!         reports.answer(request)
//!     });
//!     tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
//! }
//! # }
//! ```
//!
//! Requests that arrive while a report is being made share the next one. Of reports that clients do
//! not read to their end, 64 MiB are kept; beyond that, those who came first get an error instead
//! of the rest.
//!
//! Reports are made and rendered on gmr's own threads, so no worker of the runtime is blocked. If
//! all workers of the runtime are blocked by something else, it can't answer any request; send the
//! report signal instead.
//!
//! The types here are those of `http`, `http-body` and `tower-service`, which servers agree on, and
//! none of a server's.

mod access;
mod body;
mod negotiation;
mod policy;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use self::access::{Access, Refusal};
pub use self::body::Body;
use self::negotiation::{OFFERS, accepted, queried};
use self::policy::POLICY;
use crate::request;
use crate::trigger::Client;
use crate::views::Format;

/// Answers requests with reports of this process. **Never expose it to the public.**
///
/// It is a [`Service`](tower_service::Service) of tower; [`answer`](Self::answer) is the same
/// without that trait. `?format=` selects the format, by the names that [`Format`] parses. Without
/// it, the `Accept` header does; without either, the report is an HTML page, or text for curl and
/// Wget.
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
/// # drop(reports);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Admin {
    access: Access,
    path: Option<String>,
}

impl Admin {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers at this path only, with and without a slash at its end; other paths get 404. For a
    /// server that has no router: without it, every path is answered.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<str>) -> Self {
        self.path = Some(path.as_ref().trim_end_matches('/').to_owned());
        self
    }

    /// Also serves this host, without a port: the name by which operators reach the admin port.
    #[must_use]
    pub fn host(mut self, name: impl AsRef<str>) -> Self {
        self.access.hosts.push(name.as_ref().trim_end_matches('.').to_ascii_lowercase());
        self
    }

    /// Needs `Authorization: Bearer TOKEN`; or `X-Gmr-Token: TOKEN`, through a proxy that keeps the
    /// first one to itself, such as that of Kubernetes' API server. The token is compared in constant
    /// time. An empty one refuses all requests.
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

    /// Answers a request. Its body is not read. The future works on any runtime, and it is
    /// cancel-safe.
    pub fn answer<B>(&self, request: Request<B>) -> ResponseFuture {
        let (parts, _) = request.into_parts();
        let admin = self.clone();
        ResponseFuture(Box::pin(async move { admin.respond(&parts).await }))
    }

    async fn respond(&self, parts: &Parts) -> Response<Body> {
        let answered = match self.admit(parts) {
            Ok(format) if parts.method == Method::HEAD => Ok(head(format)),
            Ok(format) => report(format, parts).await,
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

    /// The format of a request that is allowed. A report is counted, unless it is not made.
    ///
    /// # Errors
    /// The request gets no report.
    fn admit(&self, parts: &Parts) -> Result<Format, Refusal> {
        self.access.check(parts)?;
        if let Some(path) = &self.path
            && parts.uri.path().trim_end_matches('/') != path
        {
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("reports are served at `{path}/`")));
        }
        let format = format(parts)?;
        if parts.method != Method::HEAD {
            self.access.admit()?;
        }
        Ok(format)
    }
}

impl<B> tower_service::Service<Request<B>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.answer(request)
    }
}

/// The response of an [`Admin`], which never fails.
#[must_use = "futures do nothing unless they are polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// An extension of a request: the address that it comes from. A server that inserts it has it named
/// in the report's heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

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

fn refused(Refusal { status, text, header }: Refusal) -> Response<Body> {
    let mut response = Response::new(Body::text(text + "\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Format::Text.media_type()));
    if let Some((name, value)) = header
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        headers.insert(name, value);
    }
    response
}

/// What `HEAD` gets: a report is not made for it.
fn head(format: Format) -> Response<Body> {
    let mut response = Response::new(Body::text(String::new()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response
}

/// Makes a report.
///
/// # Errors
/// It could not be made.
async fn report(format: Format, parts: &Parts) -> Result<Response<Body>, Refusal> {
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.to_string());
    let client = Client { peer, path: parts.uri.path().to_owned() };
    let Some(bytes) = request::rendered(format, client).await else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "could not make a report"));
    };
    let mut response = head(format);
    if format == Format::Html
        && let Some(policy) = policy::of_page(&bytes)
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    *response.body_mut() = Body::report(bytes);
    Ok(response)
}
