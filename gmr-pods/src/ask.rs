//! One request for a report, through the API server's proxy for pods: within its time, and no more
//! than so many bytes.
//!
//! The API server passes the request on to the pod as it is, but for its own credentials. So a token
//! of the pod is in a header of gmr's own, and the pod sees the API server's name as the host. gmr's
//! router answers to addresses and to `localhost`, and refuses names that it was not told (421): then
//! `localhost` is what is said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gmr_collect::{Ask, Options, cut};
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use kube::client::Body;

use crate::args::Args;
use crate::cluster::{Cluster, chain};
use crate::pods::Endpoint;
use crate::refusal::refusal;

/// A path can redirect to the one with a slash at its end, and that to another.
const MAX_REDIRECTS: u32 = 3;

/// Where gmr's router looks for a token, beside `Authorization`.
const TOKEN: &str = "x-gmr-token";

/// What is read of an answer that is no report.
const MAX_REFUSAL: u64 = 64 << 10;

pub(crate) struct Asker {
    cluster: Cluster,
    path: String,
    /// The token of the pods.
    token: Option<HeaderValue>,
    options: Options,
    /// Whether pods do not answer to the API server's name.
    says_localhost: AtomicBool,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Asker {
    pub(crate) fn new(cluster: Cluster, token: Option<HeaderValue>, args: &Args) -> Self {
        Self {
            cluster,
            path: args.path.clone(),
            token,
            options: args.options.clone(),
            says_localhost: AtomicBool::new(false),
        }
    }

    async fn report(&self, endpoint: &Endpoint) -> Result<Vec<u8>, String> {
        let proxy = proxy(endpoint);
        let mut path = format!("{proxy}{}", self.path);
        for _ in 0..=MAX_REDIRECTS {
            let says_localhost = self.says_localhost.load(Ordering::Relaxed);
            let mut answer = self.get(&path, says_localhost).await?;
            if answer.status == StatusCode::MISDIRECTED_REQUEST && !says_localhost {
                self.says_localhost.store(true, Ordering::Relaxed);
                answer = self.get(&path, true).await?;
            }
            if answer.status.is_redirection() {
                path = redirected(&proxy, &self.cluster.authority, &answer)?;
            } else if answer.status == StatusCode::OK {
                return Ok(answer.body);
            } else {
                return Err(refusal(answer.status, &answer.body, self.token.is_some()));
            }
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }

    async fn get(&self, path: &str, says_localhost: bool) -> Result<Answer, String> {
        let mut request = Request::get(path)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("gmr/", env!("CARGO_PKG_VERSION")));
        if says_localhost {
            request = request.header(HOST, "localhost");
        }
        if let Some(token) = &self.token {
            request = request.header(TOKEN, token);
        }
        let request = request.body(Body::empty()).map_err(|error| error.to_string())?;
        let sent = self.cluster.client.send(request).await;
        let (parts, mut body) = sent.map_err(|error| chain(&error))?.into_parts();
        let is_report = parts.status == StatusCode::OK;
        let most = if is_report { self.options.max_bytes() } else { MAX_REFUSAL };
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                // Of a refusal, its beginning is enough.
                Err(_) if !is_report => break,
                Err(error) => return Err(format!("its answer is not complete: {}", chain(&error))),
            };
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
                if is_report {
                    return Err(self.options.too_long());
                }
                break;
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
    }
}

impl Ask for Asker {
    type Endpoint = Endpoint;

    fn ask(&self, endpoint: &Endpoint, timeout: Duration) -> Result<Vec<u8>, String> {
        self.cluster.within(timeout, self.report(endpoint)).unwrap_or_else(|| {
            let time = humantime::format_duration(timeout);
            Err(format!("no complete answer within {time}"))
        })
    }

    fn name(endpoint: &Endpoint) -> String {
        endpoint.to_string()
    }
}

/// The token as a header, which no log of the client shows.
pub(crate) fn header(token: &str) -> Result<HeaderValue, String> {
    let header = HeaderValue::from_str(token);
    let mut header = header.map_err(|_| "the token can't be sent in a header".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

/// Where the API server has the pod's port.
fn proxy(endpoint: &Endpoint) -> String {
    let Endpoint { namespace, name, port, .. } = endpoint;
    format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy")
}

/// Where the answer redirects to, if that is the same port of the same pod. The API server has put its own
/// path before that of the pod.
fn redirected(proxy: &str, authority: &str, answer: &Answer) -> Result<String, String> {
    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else {
        return Err(format!("HTTP {}, without saying where to", answer.status.as_u16()));
    };
    let uri: Option<Uri> = location.parse().ok();
    let same = uri.filter(|uri| uri.authority().is_none_or(|other| other.as_str() == authority));
    let path = same.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    let is_of_pod = |path: &String| {
        path.strip_prefix(proxy).is_some_and(|rest| rest.starts_with('/'))
            && !path.split(['/', '?']).any(|part| part == ".." || part.contains('%'))
    };
    path.filter(is_of_pod)
        .ok_or_else(|| format!("it redirects to `{}`, and is not followed there", cut(location)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_within_the_pod_only() {
        let endpoint = Endpoint {
            namespace: "prod".to_owned(),
            name: "shop-1".to_owned(),
            port: 9_901,
            image: String::new(),
        };
        let proxy = proxy(&endpoint);
        assert_eq!(proxy, "/api/v1/namespaces/prod/pods/shop-1:9901/proxy");
        let to = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(location).expect("a header"));
            let answer = Answer { status: StatusCode::PERMANENT_REDIRECT, headers, body: Vec::new() };
            redirected(&proxy, "10.0.0.1:6443", &answer)
        };
        for same in [format!("{proxy}/gmr/"), format!("https://10.0.0.1:6443{proxy}/gmr/")] {
            assert_eq!(to(&same), Ok(format!("{proxy}/gmr/")));
        }
        for other in [
            "/gmr/",
            "/api/v1/namespaces/prod/secrets",
            "/api/v1/namespaces/prod/pods/shop-1:9901/proxyx",
            "/api/v1/namespaces/prod/pods/shop-2:9901/proxy/gmr",
            "/api/v1/namespaces/prod/pods/shop-1:9901/proxy/../../../secrets",
            "/api/v1/namespaces/prod/pods/shop-1:9901/proxy/%2e%2e/%2e%2e/secrets",
            "https://evil.example/api/v1/namespaces/prod/pods/shop-1:9901/proxy/gmr",
            "//evil.example/",
            "",
        ] {
            assert!(to(other).is_err(), "{other}");
        }
    }
}
