//! Whom `gmr collect` asks: URLs from the command line, from files, and from the addresses of
//! names. It asks nobody but the resolver.

use std::collections::HashSet;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ureq::http::Uri;

use crate::args::Collect;
use crate::{output, sources};

/// All endpoints, each once, and the names that have no address, with the reason. A URL that can't
/// be asked is an error at once: nobody is asked by a list that is not what was meant.
pub(super) fn of(args: &Collect, timeout: Duration) -> Result<(Vec<Uri>, Vec<String>), String> {
    let (mut uris, mut failed) = (Vec::new(), Vec::new());
    for url in &args.urls {
        uris.push(uri(url).map_err(|error| format!("{url}: {error}"))?);
    }
    for path in &args.from {
        uris.extend(listed(path)?);
    }
    for (name, addresses) in args.dns.iter().zip(resolved(&args.dns, timeout)) {
        match addresses {
            Ok(addresses) => uris.extend(addresses),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    let mut known = HashSet::new();
    uris.retain(|uri| known.insert(uri.clone()));
    if uris.is_empty() && failed.is_empty() {
        return Err("there is no URL in what was given".to_owned());
    }
    Ok((uris, failed))
}

/// A URL that can be asked.
fn uri(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        // Everyone on the machine can read the command line, and messages name the URL.
        _ if authority.contains('@') => {
            Err("a URL must not have a password in it; use --token-file, or GMR_COLLECT_TOKEN".to_owned())
        }
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("https") => {
            Err("`gmr` has no TLS; ask on the admin port itself, or by a tunnel to it, such as `kubectl \
                 port-forward` or `ssh -L`"
                .to_owned())
        }
        _ => Err("expected a URL as in `http://10.0.0.7:9901/gmr`".to_owned()),
    }
}

/// The URLs of a file, one a line. Empty lines and those that begin with `#` are left out.
fn listed(path: &Path) -> Result<Vec<Uri>, String> {
    let text = sources::text(path)?;
    let lines =
        text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let uris = lines.map(|(line, number)| {
        uri(line).map_err(|error| format!("{}, line {number}: {line}: {error}", sources::shown(path)))
    });
    uris.collect()
}

/// The URLs of all addresses of each `NAME:PORT[/PATH]`.
///
/// By address, and not by name: each address is another process, and gmr's own router answers to
/// addresses, but only to names that it is told.
fn resolved(names: &[String], timeout: Duration) -> Vec<Result<Vec<Uri>, String>> {
    // The resolver of the C library has no deadline.
    let lookups = names.iter().map(|name| {
        let (sender, addresses) = channel();
        let host = name.split('/').next().unwrap_or_default().to_owned();
        let look = move || drop(sender.send(host.to_socket_addrs().map(Iterator::collect::<Vec<_>>)));
        let _ = thread::Builder::new().name("resolve".to_owned()).spawn(look);
        addresses
    });
    let lookups: Vec<_> = lookups.collect();
    let found = names.iter().zip(lookups).map(|(name, addresses)| match addresses.recv_timeout(timeout) {
        Ok(Ok(addresses)) => at(name, addresses),
        Ok(Err(error)) => Err(format!("could not find its addresses: {error}")),
        Err(_) => Err(format!("could not find its addresses within {}", output::time(timeout))),
    });
    found.collect()
}

fn at(name: &str, mut addresses: Vec<SocketAddr>) -> Result<Vec<Uri>, String> {
    // Where most services mount the router.
    let path = name.find('/').map_or("/gmr", |start| &name[start..]);
    addresses.sort_unstable();
    addresses.iter().map(|address| uri(&format!("http://{address}{path}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_can_be_asked_are_taken() {
        for url in ["http://10.0.0.7:9901/gmr", "http://[::1]:9901/", "http://shop"] {
            assert!(uri(url).is_ok(), "{url}");
        }
        for (url, said) in [
            ("https://shop/gmr", "no TLS"),
            ("http://me:secret@shop/gmr", "--token-file"),
            ("ftp://shop", "expected a URL"),
            ("shop:9901", "expected a URL"),
            ("/gmr", "expected a URL"),
            ("", "not a URL"),
            ("http://sh op/", "not a URL"),
        ] {
            let error = uri(url).expect_err(url);
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn a_name_stands_for_all_its_addresses() {
        let addresses = ["[::1]:80", "10.0.0.7:80"].map(|address| address.parse().expect("an address"));
        let shown = |name| -> Vec<String> {
            at(name, addresses.to_vec()).expect("URLs").iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown("shop:80"), ["http://10.0.0.7:80/gmr", "http://[::1]:80/gmr"]);
        assert_eq!(shown("shop:80/x/y?z=1"), ["http://10.0.0.7:80/x/y?z=1", "http://[::1]:80/x/y?z=1"]);
        let names = ["127.0.0.1:9901", "127.0.0.1", "no such name:1"].map(str::to_owned);
        let found = resolved(&names, Duration::from_secs(10));
        assert_eq!(found[0].as_ref().expect("an address").len(), 1);
        assert!(found[1].is_err() && found[2].is_err(), "{found:?}");
    }
}
