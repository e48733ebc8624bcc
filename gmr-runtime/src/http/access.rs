//! Who may request a report. A page that an operator has open in a browser must not: a browser
//! sends its requests from inside the network, where the admin port is.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::request::Parts;
use ::http::uri::Authority;
use ::http::{HeaderMap, HeaderName, Method, StatusCode, header};

/// Why a request gets no report, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// A header that the status asks for.
    pub(super) header: Option<(HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), header: None }
    }

    fn with(self, name: HeaderName, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }
}

/// A second header for the token. What is between a client and the service can keep `Authorization` to
/// itself, as Kubernetes' API server does. A page of another origin can't send it: the browser would ask
/// first, and gets no permission.
const TOKEN: HeaderName = HeaderName::from_static("x-gmr-token");

type Authorize = dyn Fn(&Parts) -> bool + Send + Sync;

/// What is asked of a request.
#[derive(Clone, Default)]
pub(super) struct Access {
    /// In lower case, without ports.
    pub(super) hosts: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) authorize: Option<Arc<Authorize>>,
    pub(super) min_interval: Duration,
    /// When the last report was requested.
    last: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for Access {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hosts, token, authorize, min_interval, .. } = self;
        f.debug_struct("Access")
            .field("hosts", hosts)
            .field("token", &token.as_ref().map(|_| "***"))
            .field("authorize", &authorize.is_some())
            .field("min_interval", min_interval)
            .finish()
    }
}

impl Access {
    /// Checks everything but the time since the last report.
    ///
    /// # Errors
    /// The request gets no report.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let own = authority(parts);
        if let Some(own) = &own {
            self.check_host(own)?;
        }
        check_site(&parts.headers)?;
        check_origin(&parts.headers, own.as_ref())?;
        if !self.token.as_deref().is_none_or(|token| has_token(&parts.headers, token)) {
            let text = "this report needs a token: send the header `Authorization: Bearer TOKEN`, or \
                        `X-Gmr-Token: TOKEN` through a proxy that keeps `Authorization` to itself";
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, text);
            return Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"gmr\""));
        }
        if !self.authorize.as_ref().is_none_or(|authorize| authorize(parts)) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "the service does not authorize this request"));
        }
        if ![Method::GET, Method::HEAD].contains(&parts.method) {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "use GET");
            return Err(refusal.with(header::ALLOW, "GET, HEAD"));
        }
        Ok(())
    }

    /// Counts a report, unless the last one is too recent.
    ///
    /// # Errors
    /// It is.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.min_interval.is_zero() {
            return Ok(());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let left = last.map_or(Duration::ZERO, |last| self.min_interval.saturating_sub(last.elapsed()));
        if left.is_zero() {
            *last = Some(Instant::now());
            return Ok(());
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let text = format!("the last report is too recent; request the next one in {seconds} s");
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, text);
        Err(refusal.with(header::RETRY_AFTER, seconds.to_string()))
    }

    /// With DNS rebinding, a page's own host name leads to the admin port, so that the browser
    /// takes both for the same origin. No page can choose an IP address or `localhost` as its name.
    fn check_host(&self, own: &Authority) -> Result<(), Refusal> {
        let host = own.host().trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let is_loopback = host == "localhost" || host.ends_with(".localhost");
        if is_address || is_loopback || self.hosts.contains(&host) {
            return Ok(());
        }
        let text = format!(
            "reports are not served for the host `{host}`, which a page of another site could have led \
             here: use the IP address or `localhost`, or name the host in the program: \
             gmr::http::Admin::new().host(\"{host}\")"
        );
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, text))
    }
}

/// The host that was requested. HTTP/2 has it in the URI.
fn authority(parts: &Parts) -> Option<Authority> {
    let host = parts.headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
    // What can't be parsed is no host that is allowed.
    let parse = |host: &str| host.parse().unwrap_or_else(|_| Authority::from_static("invalid"));
    host.map(parse).or_else(|| parts.uri.authority().cloned())
}

/// What browsers say of the page that has made the request. Other clients do not send it, nor do
/// browsers to a host that is neither local nor on HTTPS.
fn check_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(site) = headers.get("sec-fetch-site") else { return Ok(()) };
    if [&b"same-origin"[..], b"none"].contains(&site.as_bytes()) {
        return Ok(());
    }
    let text = "a page of another site has requested this report: to open it, enter its address";
    Err(Refusal::new(StatusCode::FORBIDDEN, text))
}

fn check_origin(headers: &HeaderMap, own: Option<&Authority>) -> Result<(), Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    if host.zip(own).is_some_and(|(host, own)| own.as_str().eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "a page of another origin has requested this report"))
}

/// Whether one of both headers has the token. The other one can be for somebody else.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let is_token = |given: &[u8]| are_same(given.trim_ascii(), token.as_bytes());
    let is_bearer = headers.get(header::AUTHORIZATION).is_some_and(|value| {
        let parts = value.as_bytes().split_at_checked("Bearer ".len());
        parts.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case(b"Bearer ") && is_token(given))
    });
    is_bearer || headers.get(TOKEN).is_some_and(|value| is_token(value.as_bytes()))
}

/// Takes as long for any `given` of the same length, so that the time does not tell how much of it
/// is right.
fn are_same(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != secret.len());
    for (index, byte) in given.iter().enumerate() {
        let expected = secret.get(index % secret.len().max(1)).copied().unwrap_or_default();
        // Without it, the compiler could end the loop at the first difference.
        difference |= std::hint::black_box(byte ^ expected);
    }
    difference == 0 && !secret.is_empty()
}

#[cfg(test)]
mod tests {
    use ::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let builder =
            headers.iter().fold(Request::builder(), |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap().into_parts().0
    }

    fn status(access: &Access, headers: &[(&str, &str)]) -> u16 {
        access.check(&parts(headers)).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn a_name_that_a_page_could_have_is_no_host_unless_the_program_says_so() {
        let access = Access { hosts: vec!["admin.example".into()], ..Access::default() };
        for host in [
            "localhost",
            "LOCALHOST:9901",
            "shop.localhost:80",
            "localhost.",
            "127.0.0.1:9901",
            "10.0.0.7",
            "[::1]:9901",
            "admin.example",
            "Admin.Example.:9901",
        ] {
            assert_eq!(status(&access, &[("host", host)]), 200, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "[evil]",
            "",
            "a b",
            "1.2.3",
        ] {
            assert_eq!(status(&access, &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&access, &[]), 200, "a browser sends it always");
        let refusal = access.check(&parts(&[("host", "evil.example:80")])).unwrap_err();
        assert!(refusal.text.contains("Admin::new().host(\"evil.example\")"), "{}", refusal.text);
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let access = Access::default();
        let host = ("host", "localhost:9901");
        for site in ["same-origin", "none"] {
            assert_eq!(status(&access, &[host, ("sec-fetch-site", site)]), 200, "{site}");
        }
        for site in ["cross-site", "same-site", "", "new"] {
            assert_eq!(status(&access, &[host, ("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(status(&access, &[host, ("origin", "http://localhost:9901")]), 200);
        for origin in ["http://localhost:9902", "http://evil.example", "null", "http://localhost", ""] {
            assert_eq!(status(&access, &[host, ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(status(&access, &[("origin", "http://localhost:9901")]), 403, "without a host");
    }

    #[test]
    fn a_token_is_needed_if_there_is_one() {
        let access = Access { token: Some("t0ken".into()), ..Access::default() };
        for value in ["Bearer t0ken", "bearer  t0ken "] {
            assert_eq!(status(&access, &[("authorization", value)]), 200, "{value}");
        }
        for value in ["Bearer t0ke", "Bearer t0kent0ken", "Bearer ", "t0ken", "Basic t0ken", "Bearer t0keN"] {
            assert_eq!(status(&access, &[("authorization", value)]), 401, "{value}");
        }
        assert_eq!(status(&access, &[]), 401);
        for value in ["t0ken", " t0ken "] {
            assert_eq!(status(&access, &[("x-gmr-token", value)]), 200, "{value}");
        }
        for value in ["t0ke", "t0kent0ken", "", "Bearer t0ken", "t0keN"] {
            assert_eq!(status(&access, &[("x-gmr-token", value)]), 401, "{value}");
        }
        // One of them can be for a proxy on the way.
        let (right, wrong) = ("Bearer t0ken", "Basic eDp5");
        for (authorization, own, expected) in
            [(wrong, "t0ken", 200), (right, "x", 200), (wrong, "x", 401), ("Bearer x", "", 401)]
        {
            let headers = [("authorization", authorization), ("x-gmr-token", own)];
            assert_eq!(status(&access, &headers), expected, "{headers:?}");
        }
        let empty = Access { token: Some(String::new()), ..Access::default() };
        for header in [("authorization", "Bearer "), ("x-gmr-token", "")] {
            assert_eq!(status(&empty, &[header]), 401, "an empty token opens nothing");
        }
        assert!(!format!("{access:?}").contains("t0ken"), "{access:?}");
    }

    #[test]
    fn the_service_decides_last() {
        let authorize: Arc<Authorize> = Arc::new(|parts| parts.headers.contains_key("x-operator"));
        let access = Access { authorize: Some(authorize), ..Access::default() };
        assert_eq!((status(&access, &[("x-operator", "a")]), status(&access, &[])), (200, 403));
    }

    #[test]
    fn reports_have_a_least_interval_if_one_is_set() {
        let access = Access::default();
        assert!(access.admit().is_ok() && access.admit().is_ok());
        let access = Access { min_interval: Duration::from_hours(1), ..Access::default() };
        assert_eq!(access.admit(), Ok(()));
        let refusal = access.clone().admit().unwrap_err();
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refusal.header, Some((header::RETRY_AFTER, "3600".to_owned())));
    }
}
