//! HTTP requests as tasks: a layer for any tower service that handles them, such as axum's and
//! tonic's. It does not change requests or responses.

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::tracked::{Tracked, named};

/// Tracks each request in flight as a task named `request`, labelled with its method and path.
///
/// The label leaves out the query, which often contains secrets. The connection's task polls the
/// request, so if that task is tracked, its stack contains the request's.
///
/// ```
/// use gmr_runtime::task::tower::RequestLayer;
/// use tower_layer::Layer;
///
/// # struct Router;
/// // axum: `Router::new().route(..).layer(gmr::task::RequestLayer::new())`
/// let service = RequestLayer::new().layer(Router);
/// # drop(service);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestLayer(());

impl RequestLayer {
    /// Creates the layer.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner }
    }
}

/// A service whose requests are tracked as tasks. Created by [`RequestLayer`].
#[derive(Debug, Clone)]
pub struct RequestService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for RequestService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Tracked<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let what = format!("{} {}", request.method(), request.uri().path());
        named("request", self.inner.call(request)).labelled("request", what)
    }
}
