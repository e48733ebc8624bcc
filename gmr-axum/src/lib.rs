//! Reports of [gmr](https://docs.rs/gmr) over HTTP, as a router for axum. **Never expose this to
//! the public**: a report shows the stacks, command lines and configuration of the process to
//! everyone who can reach it. Mount it on an admin port that only operators can reach.
//!
//! ```
//! # async fn serve() -> std::io::Result<()> {
//! let admin = axum::Router::new().nest_service("/gmr", gmr_axum::router::<()>());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9901").await?;
//! axum::serve(listener, admin).await
//! # }
//! ```
//!
//! `GET /gmr` answers with a report, as an HTML page, or in the format given by `?format=` or the
//! `Accept` header. What it does with a request is [`Admin`]'s; this crate only translates what
//! axum knows of the request: the path before it was nested, and the peer's address, if the service
//! passes it on (`into_make_service_with_connect_info::<SocketAddr>()`).
//!
//! The crate is one of its own so that a new axum is no breaking release of gmr.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, OriginalUri, Request};
use axum::routing::any;
pub use gmr::http::Admin;
use gmr::http::{Peer, ResponseFuture};

/// A router with one route, `/`: `GET` answers with a report of this process. **Never expose it to
/// the public.** It is that of an [`Admin`] without options.
///
/// Mounted with `nest_service("/gmr", ..)`, it answers `/gmr` and `/gmr/`; with `nest`, the first
/// one only.
///
/// ```
/// let admin: axum::Router = axum::Router::new().merge(gmr_axum::router());
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    router_with(Admin::new())
}

/// The router of [`router`], with options.
///
/// ```
/// use std::time::Duration;
///
/// let reports = gmr_axum::Admin::new()
///     .host("shop-admin.internal")
///     .bearer_token(std::env::var("ADMIN_TOKEN").unwrap_or_default())
///     .min_interval(Duration::from_secs(1))
///     .authorize(|request| request.headers.contains_key("x-operator"));
/// let admin: axum::Router =
///     axum::Router::new().nest_service("/gmr", gmr_axum::router_with::<()>(reports));
/// ```
pub fn router_with<S: Clone + Send + Sync + 'static>(admin: Admin) -> Router<S> {
    Router::new().route("/", any(move |request: Request| answer(&admin, request)))
}

fn answer(admin: &Admin, mut request: Request) -> ResponseFuture {
    if let Some(OriginalUri(uri)) = request.extensions().get::<OriginalUri>().cloned() {
        *request.uri_mut() = uri;
    }
    if let Some(&ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        request.extensions_mut().insert(Peer(peer));
    }
    admin.answer(request)
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
