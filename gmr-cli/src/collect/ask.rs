//! One request for a report: within its time, no more than so many bytes, and from nobody but the
//! host that was named. What comes back is a report, or a reason.

use std::borrow::Cow;
use std::time::Duration;

use gmr_collect::{Ask, Options, cut};
use ureq::http::header::LOCATION;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body, Error};

use crate::args::Collect;
use crate::http;

/// A path can redirect to the one with a slash at its end, and that to another.
const MAX_REDIRECTS: u32 = 3;

pub(super) struct Asker {
    agent: Agent,
    /// `Bearer ..`
    authorization: Option<String>,
    options: Options,
}

impl Asker {
    pub(super) fn new(args: &Collect) -> Result<Self, String> {
        Ok(Self {
            agent: http::agent("application/json"),
            authorization: args.options.token()?.map(|token| format!("Bearer {token}")),
            options: args.options.clone(),
        })
    }

    fn reason(&self, error: Error, timeout: Duration) -> String {
        match error {
            Error::BodyExceedsLimit(_) => self.options.too_long(),
            error => http::reason(error, timeout),
        }
    }
}

impl Ask for Asker {
    type Endpoint = Uri;

    fn ask(&self, endpoint: &Uri, timeout: Duration) -> Result<Vec<u8>, String> {
        let begun = std::time::Instant::now();
        let reason = |error| self.reason(error, timeout);
        let mut uri = endpoint.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(reason(Error::Timeout(ureq::Timeout::Global)));
            }
            let mut request = self.agent.get(&uri).config().timeout_global(Some(left)).build();
            if let Some(authorization) = &self.authorization {
                request = request.header("authorization", authorization);
            }
            let answer = request.call().map_err(reason)?;
            let status = answer.status();
            if status.is_redirection() {
                uri = redirected(&uri, &answer)?;
            } else if status.as_u16() == 200 {
                let limit = self.options.max_bytes();
                let bytes = answer.into_body().into_with_config().limit(limit).read_to_vec();
                return bytes.map_err(reason);
            } else {
                return Err(http::refusal(answer));
            }
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }

    /// Host and port.
    fn name(endpoint: &Uri) -> String {
        endpoint.authority().map_or("", |authority| authority.as_str()).to_owned()
    }
}

/// Where the answer redirects to, if that is the same host and port: nobody else is asked, and gets
/// the token.
fn redirected(uri: &Uri, answer: &Response<Body>) -> Result<Uri, String> {
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else {
        return Err(format!("HTTP {}, without saying where to", answer.status().as_u16()));
    };
    let other = || format!("it redirects to `{}`, and is not followed there", cut(location));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let to = if location.starts_with('/') && !location.starts_with("//") {
        Cow::Owned(format!("http://{authority}{location}"))
    } else {
        Cow::Borrowed(location)
    };
    let to: Uri = to.parse().map_err(|_| other())?;
    let is_same = to.scheme() == uri.scheme() && to.authority() == uri.authority();
    if is_same { Ok(to) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_on_the_same_host_only() {
        let uri: Uri = "http://10.0.0.7:9901/gmr".parse().expect("a URL");
        let to = |location: &str| {
            let answer = Response::builder().status(308).header(LOCATION, location);
            redirected(&uri, &answer.body(Body::builder().data("")).expect("an answer"))
        };
        for same in ["/gmr/", "http://10.0.0.7:9901/gmr/"] {
            assert_eq!(to(same).expect(same).to_string(), "http://10.0.0.7:9901/gmr/");
        }
        for other in [
            "http://10.0.0.8:9901/gmr",
            "http://10.0.0.7:9902/gmr",
            "http://10.0.0.7/gmr",
            "https://10.0.0.7:9901/gmr",
            "//evil.example/gmr",
            "http://10.0.0.7:9901@evil.example/gmr",
            "gmr/",
            "",
        ] {
            assert!(to(other).is_err(), "{other}");
        }
    }
}
