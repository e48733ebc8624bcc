//! What all requests over HTTP have in common: nobody is asked but the host that was named, and an
//! answer that is not what was wanted becomes a reason for people. It knows nothing of what is asked
//! for.

use std::io;
use std::time::Duration;

use gmr_collect::cut;
use ureq::http::Response;
use ureq::{Agent, Body, Error};

use crate::output;

/// What is read of an answer that is not what was asked for, for its first line.
const MAX_REFUSAL: u64 = 4 << 10;

/// Makes requests for this type of content.
pub(crate) fn agent(accept: &str) -> Agent {
    let config = Agent::config_builder()
        // The answers to them have the reason.
        .http_status_as_error(false)
        // Whoever asks looks at them.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // What is sent is for that host.
        .proxy(None)
        .max_idle_connections(0)
        .accept(accept)
        .user_agent(concat!("gmr/", env!("CARGO_PKG_VERSION")))
        .build();
    config.into()
}

/// Why there is no whole answer. `timeout` is the time that it had.
pub(crate) fn reason(error: Error, timeout: Duration) -> String {
    match error {
        Error::Timeout(_) => format!("no complete answer within {}", output::time(timeout)),
        Error::HostNotFound => "there is no host of that name".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "its answer is not complete".to_owned()
        }
        Error::Io(error) => error.to_string(),
        error => format!("it has not answered as HTTP: {error}"),
    }
}

/// `HTTP 401: a report needs ..`
pub(crate) fn refusal(answer: Response<Body>) -> String {
    let status = answer.status();
    let text = answer.into_body().into_with_config().limit(MAX_REFUSAL).lossy_utf8(true).read_to_string();
    let text = text.unwrap_or_default();
    let said = text.lines().map(str::trim).find(|line| !line.is_empty());
    match said {
        Some(said) => format!("HTTP {}: {}", status.as_u16(), cut(said)),
        None => format!("HTTP {}", status.as_u16()),
    }
}
