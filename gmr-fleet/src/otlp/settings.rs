//! How the receiver of OTLP is reached, by the environment variables of OpenTelemetry's specification.
//! Those for logs come before those for all signals. What is secret in them is in no message.

use std::env;
use std::fs;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Url, redirect};

/// What the specification has for requests, if no variable says another.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Settings {
    pub(super) url: Url,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    headers: HeaderMap,
    /// In PEM: the certificate that the receiver's is checked by, and those for who it asks.
    trusted: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

impl Settings {
    /// For the receiver at this URL.
    pub(super) fn of(url: &str) -> Result<Self, String> {
        Self::read(url, |name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // The name and the value.
        let of = |name: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_LOGS_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
        };
        let file = |name| match of(name) {
            Some((name, path)) => {
                let read = fs::read(&path);
                read.map(Some).map_err(|error| format!("could not read {path}, which is in {name}: {error}"))
            }
            None => Ok(None),
        };
        if let Some((name, protocol)) = of("PROTOCOL").filter(|(_, protocol)| protocol != "http/protobuf") {
            return Err(format!("{name} is `{protocol}`; only `http/protobuf` is there"));
        }
        let gzip = match of("COMPRESSION") {
            Some((_, compression)) if compression == "gzip" => true,
            Some((name, compression)) if compression != "none" => {
                return Err(format!("{name} is `{compression}`; expected `gzip` or `none`"));
            }
            _ => false,
        };
        let timeout = match of("TIMEOUT") {
            Some((name, value)) => {
                let ms = value.trim().parse().ok().filter(|ms| *ms > 0);
                Duration::from_millis(
                    ms.ok_or_else(|| format!("{name} is `{value}`; expected milliseconds"))?,
                )
            }
            None => TIMEOUT,
        };
        let headers = match of("HEADERS") {
            Some((name, headers)) => parsed(&headers).map_err(|reason| format!("{name}: {reason}"))?,
            None => HeaderMap::new(),
        };
        let identity = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            _ => {
                return Err("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need \
                            each other"
                    .to_owned());
            }
        };
        let trusted = file("CERTIFICATE")?;
        Ok(Self { url: address(url)?, timeout, gzip, headers, trusted, identity })
    }

    /// Who makes the requests. They go to nobody else: no redirect is followed.
    pub(super) fn client(&self) -> Result<Client, String> {
        let failed = |error: reqwest::Error| format!("could not prepare TLS: {error}");
        let mut builder = Client::builder()
            .timeout(self.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("gmr/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers.clone());
        if let Some(trusted) = &self.trusted {
            builder = builder.tls_built_in_root_certs(false);
            for certificate in Certificate::from_pem_bundle(trusted).map_err(failed)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let Some(identity) = &self.identity {
            builder = builder.identity(Identity::from_pem(identity).map_err(failed)?);
        }
        builder.build().map_err(failed)
    }
}

/// Where logs are sent to, from the address of a receiver.
fn address(text: &str) -> Result<Url, String> {
    const PATH: &str = "/v1/logs";
    let expected = || format!("expected the URL of a receiver, as in `http://collector:4318`, not `{text}`");
    // Everyone on the machine can read the command line, and messages name the URL.
    if text.contains('@') {
        return Err("a URL must not have a password in it; use OTEL_EXPORTER_OTLP_HEADERS".to_owned());
    }
    let mut url: Url = text.parse().map_err(|_| expected())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.fragment().is_some() {
        return Err(expected());
    }
    // As the specification has it for OTEL_EXPORTER_OTLP_ENDPOINT, also for who gives all of it.
    if !url.path().ends_with(PATH) {
        let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

/// `api-key=secret,tenant=a%20b`
fn parsed(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (pair, place) in text.split(',').zip(1..).filter(|(pair, _)| !pair.trim().is_empty()) {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let name: HeaderName = name.trim().parse().ok()?;
            let mut value = HeaderValue::from_bytes(&decoded(value.trim())?).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = header.ok_or_else(|| format!("header {place} is not as in `name=value`"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Without the encoding of URLs. `None` if that is not right.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read("http://collector:4318", |name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_receiver_gets_logs_at_the_path_for_them() {
        for (text, url) in [
            ("http://collector:4318", "http://collector:4318/v1/logs"),
            ("https://example.com/otlp/", "https://example.com/otlp/v1/logs"),
            ("https://example.com/otlp/v1/logs", "https://example.com/otlp/v1/logs"),
            ("http://[::1]:4318/?x=1", "http://[::1]:4318/v1/logs?x=1"),
        ] {
            assert_eq!(address(text).map(String::from).as_deref(), Ok(url));
        }
        for text in ["collector:4318", "ftp://x", "http://", "/v1/logs", "http://x/#y"] {
            assert!(address(text).expect_err(text).contains("expected the URL"), "{text}");
        }
        let error = address("https://me:secret@example.com").expect_err("a password");
        assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn variables_are_those_of_the_specification() {
        let plain = read(&[]).expect("settings");
        assert_eq!((plain.timeout, plain.gzip, plain.headers.len()), (TIMEOUT, false, 0));
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "not-read=1"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "api-key = s%3Dcret%2C , Tenant=a=b,"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ]);
        let settings = settings.expect("settings");
        assert_eq!((settings.timeout, settings.gzip), (Duration::from_millis(250), true));
        assert_eq!([&settings.headers["api-key"], &settings.headers["tenant"]], ["s=cret,", "a=b"]);
        assert_eq!(settings.headers.len(), 2);
        let shown = format!("{:?}", settings.headers);
        assert!(!shown.contains("cret"), "{shown}");
    }

    #[test]
    fn what_is_wrong_with_a_variable_is_said_without_its_secrets() {
        for (name, value, said) in [
            ("PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"),
            ("LOGS_COMPRESSION", "zstd", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION is `zstd`"),
            ("TIMEOUT", "10s", "expected milliseconds"),
            ("TIMEOUT", "0", "expected milliseconds"),
            ("HEADERS", "api-key=ok,secret", "header 2"),
            ("HEADERS", "api-key=secret%0a", "header 1"),
            ("HEADERS", "api-key=secret%+1", "header 1"),
            ("HEADERS", "a secret=1", "header 1"),
            ("CERTIFICATE", "/nowhere", "could not read /nowhere"),
            ("CLIENT_KEY", "/dev/null", "need each other"),
        ] {
            let read = read(&[(&format!("OTEL_EXPORTER_OTLP_{name}"), value)]);
            let error = read.map(drop).expect_err(name);
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
