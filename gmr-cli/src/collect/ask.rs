//! One request for a report: within its time, no more than so many bytes, and from nobody but the
//! host that was named. What comes back is a report, or a reason.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::time::Duration;

use gmr_runtime::Report;
use ureq::http::header::LOCATION;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body, Error};

use super::endpoints::Endpoint;
use crate::args::Collect;
use crate::http;
use crate::output::{as_u64, counted};

/// The token, for who does not want a file.
const VARIABLE: &str = "GMR_COLLECT_TOKEN";

/// A path can redirect to the one with a slash at its end, and that to another.
const MAX_REDIRECTS: u32 = 3;

pub(super) struct Asker {
    agent: Agent,
    /// `Bearer ..`
    authorization: Option<String>,
    max_mib: u32,
}

impl Asker {
    pub(super) fn new(args: &Collect) -> Result<Self, String> {
        Ok(Self {
            agent: http::agent("application/json"),
            authorization: authorization(args)?,
            max_mib: args.max_mib,
        })
    }

    /// The report of a process, as JSON on one line.
    pub(super) fn ask(&self, endpoint: &Endpoint, timeout: Duration) -> Result<String, String> {
        let begun = std::time::Instant::now();
        let reason = |error| self.reason(error, timeout);
        let mut uri = endpoint.uri.clone();
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
                let limit = u64::from(self.max_mib) << 20;
                let bytes = answer.into_body().into_with_config().limit(limit).read_to_vec();
                return report(bytes.map_err(reason)?);
            } else {
                return Err(http::refusal(answer));
            }
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }

    fn reason(&self, error: Error, timeout: Duration) -> String {
        match error {
            Error::BodyExceedsLimit(_) => {
                format!("its answer has more than {} MiB; --max-mib allows more", self.max_mib)
            }
            error => http::reason(error, timeout),
        }
    }
}

/// The header with the token. It is never on the command line, which everyone on the machine can
/// read.
fn authorization(args: &Collect) -> Result<Option<String>, String> {
    let token = match &args.token_file {
        Some(path) => {
            let read = fs::read_to_string(path);
            Some(read.map_err(|error| format!("could not read {}: {error}", path.display()))?)
        }
        None => env::var(VARIABLE).ok(),
    };
    let Some(token) = token else { return Ok(None) };
    let token = token.trim();
    // What is wrong with it is not shown.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token is not one: it is empty, or has spaces or other characters in it".to_owned());
    }
    Ok(Some(format!("Bearer {token}")))
}

/// Where the answer redirects to, if that is the same host and port: nobody else is asked, and gets
/// the token.
fn redirected(uri: &Uri, answer: &Response<Body>) -> Result<Uri, String> {
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else {
        return Err(format!("HTTP {}, without saying where to", answer.status().as_u16()));
    };
    let other = || format!("it redirects to `{}`, and is not followed there", http::cut(location));
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

/// Checks that it is a report, and puts it on one line. It stays as it is otherwise, also what this
/// release does not know.
fn report(bytes: Vec<u8>) -> Result<String, String> {
    let size = counted(as_u64(bytes.len()), "byte");
    let text = String::from_utf8(bytes).map_err(|_| format!("its answer of {size} is not text"))?;
    Report::from_json(&text)
        .map_err(|error| format!("its answer of {size} is not a report as JSON: {error}"))?;
    Ok(on_one_line(text.trim()))
}

/// JSON without the white space between its values, beginning as `gmr` expects of a report.
fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut is_in_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if is_in_string || !c.is_ascii_whitespace() {
            line.push(c);
        }
        is_in_string ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_put_on_one_line_as_it_is() {
        let pretty = "{\n  \"a b\": \"x \\\" y\\\\\",\r\n\t\"c\": [ 1.50, {} ] \n}";
        assert_eq!(on_one_line(pretty), r#"{"a b":"x \" y\\","c":[1.50,{}]}"#);
        let json = Report::capture().to_json();
        assert_eq!(on_one_line(json.trim()), json.trim());
    }

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
