//! One request to a receiver of OTLP, in protobuf over HTTP, and what its answer means by the
//! specification. It does not know what is sent, and tries nothing again.

use std::error::Error as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::messages::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse, Status,
};
use super::settings::Settings;
use crate::threads;

const PROTOBUF: &str = "application/x-protobuf";

/// The most that is read of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// The longest wait that a receiver can ask for.
const MAX_WAIT: Duration = Duration::from_hours(1);

pub(super) struct Receiver {
    client: Client,
    url: Url,
    gzip: bool,
    timeout: Duration,
    runtime: &'static Runtime,
}

/// What has become of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the records, but for so many that it refuses.
    Taken { refused: u64, remark: String },
    /// It refuses these records, now and later.
    Refused(String),
    /// It can take them later.
    Later { reason: String, after: Option<Duration> },
    /// It takes no records from here.
    Denied(String),
}

impl Receiver {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            client: settings.client()?,
            url: settings.url.clone(),
            gzip: settings.gzip,
            timeout: settings.timeout,
            runtime: threads::runtime()?,
        })
    }

    /// For people, without what follows the path: that can be a key.
    pub(super) fn name(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }

    pub(super) fn send(&self, records: &ExportLogsServiceRequest) -> Answer {
        let mut body = records.encode_to_vec();
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, PROTOBUF);
        if self.gzip {
            body = compressed(&body);
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let sent = self.runtime.block_on(async {
            let response = request.body(body).send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read(response).await;
            // Of an error, the status is enough.
            let body = if status.is_success() { body? } else { body.unwrap_or_default() };
            Ok((status, headers, body))
        });
        match sent {
            Ok((status, headers, body)) => answer(status, &headers, &body),
            Err(error) => Answer::Later { reason: self.reason(&error), after: None },
        }
    }

    /// Why there is no whole answer.
    fn reason(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no complete answer within {}", humantime::format_duration(self.timeout));
        }
        // The outer ones have the URL, or say less.
        let mut source = error.source();
        while let Some(inner) = source.and_then(|error| error.source()) {
            source = Some(inner);
        }
        source.map_or_else(|| "no answer".to_owned(), ToString::to_string)
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let done = encoder.write_all(bytes).and_then(|()| encoder.finish());
    done.expect("memory takes all")
}

async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            body.truncate(MAX_ANSWER);
            break;
        }
    }
    Ok(body)
}

fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    if status.is_success() {
        // Some receivers answer with nothing, or with text.
        let response = ExportLogsServiceResponse::decode(body).unwrap_or_default();
        let ExportLogsPartialSuccess { rejected_log_records, error_message } =
            response.partial_success.unwrap_or_default();
        let refused = rejected_log_records.try_into().unwrap_or_default();
        return Answer::Taken { refused, remark: line(&error_message) };
    }
    let said = said(headers, body);
    let reason = format!("HTTP {}{}{said}", status.as_u16(), if said.is_empty() { "" } else { ": " });
    match status.as_u16() {
        429 | 502..=504 => Answer::Later { reason, after: wait(headers) },
        // The address or the access is not right, whatever is sent.
        300..=399 | 401 | 403..=405 | 407 => Answer::Denied(reason),
        _ => Answer::Refused(reason),
    }
}

/// For how long the receiver wants to be left alone.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// What the answer to an error says.
fn said(headers: &HeaderMap, body: &[u8]) -> String {
    let is_protobuf = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == PROTOBUF.as_bytes());
    let status = is_protobuf.then(|| Status::decode(body).ok()).flatten();
    status.map_or_else(|| line(&String::from_utf8_lossy(body)), |status| line(&status.message))
}

/// The first line of a text, for a message.
fn line(text: &str) -> String {
    const MAX: usize = 200;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    first.chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn of(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
        answer(StatusCode::from_u16(status).expect("a status"), &headers.collect(), body)
    }

    #[test]
    fn answers_mean_what_the_specification_says() {
        let taken = |refused, remark: &str| Answer::Taken { refused, remark: remark.to_owned() };
        assert_eq!(of(200, &[], b""), taken(0, ""));
        assert_eq!(of(200, &[], b"\x0a\x08\x08\x02\x12\x04full"), taken(2, "full"));
        assert_eq!(of(202, &[("content-type", "text/plain")], b"thank you"), taken(0, ""));
        let later = |reason: &str, seconds: Option<u64>| Answer::Later {
            reason: reason.to_owned(),
            after: seconds.map(Duration::from_secs),
        };
        assert_eq!(of(503, &[("retry-after", "7")], b"busy\nvery"), later("HTTP 503: busy", Some(7)));
        assert_eq!(of(429, &[("retry-after", "soon")], b""), later("HTTP 429", None));
        assert_eq!(of(502, &[("retry-after", "999999")], b""), later("HTTP 502", Some(3_600)));
        assert_eq!(of(504, &[], b"\xff"), later("HTTP 504: \u{fffd}", None));
        let status = [("content-type", PROTOBUF)];
        assert_eq!(of(400, &status, b"\x08\x03\x12\x03bad"), Answer::Refused("HTTP 400: bad".to_owned()));
        for status in [400, 408, 413, 500, 501] {
            assert_eq!(of(status, &[], b""), Answer::Refused(format!("HTTP {status}")));
        }
        for status in [301, 307, 401, 403, 404] {
            assert_eq!(of(status, &[], b""), Answer::Denied(format!("HTTP {status}")));
        }
    }
}
