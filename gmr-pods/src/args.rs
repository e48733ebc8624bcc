//! The command line: its arguments, and their help.

use std::path::PathBuf;

use clap::Parser;

/// Asks the pods of a Kubernetes cluster for their reports at once.
///
/// They are asked through the API server's proxy, with your own rights: those of the kubeconfig, or
/// inside of a cluster those of the pod. You need `list` on `pods`, and `get` on `pods/proxy`. Prints
/// each report on a line of its own, or writes it to a file. Whoever does not answer in time is named on
/// standard error, with the reason.
///
/// A token of the pods is sent in the header `X-Gmr-Token`: the API server keeps `Authorization` to itself.
#[derive(Debug, Parser)]
#[command(
    name = "gmr-pods",
    bin_name = "gmr collect pods",
    version,
    after_help = "Exit codes: 0 if it was done, 1 if it could not be done, 2 for wrong arguments, 4 if some \
                  reports are there, and others are not."
)]
pub(crate) struct Args {
    /// The labels of the pods, as `kubectl -l` has them: `app=shop`, `app=shop,tier in (web, api)`.
    #[arg(value_name = "LABELS", value_parser = selector)]
    pub(crate) selector: String,
    /// In this namespace. By default, that of the context, or of the pod.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The kubeconfig. By default, what `KUBECONFIG` names, or `~/.kube/config`.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The port that serves reports: its number, or its name in the pod.
    #[arg(long, default_value = "gmr", value_name = "PORT")]
    pub(crate) port: String,
    /// The path at which reports are served.
    #[arg(long, default_value = "/gmr", value_name = "PATH", value_parser = path)]
    pub(crate) path: String,
    /// With --at-most: so many of each version, and at least one. A version is an image.
    #[arg(long, requires = "at_most")]
    pub(crate) of_each_version: bool,
    #[command(flatten)]
    pub(crate) options: gmr_collect::Options,
}

fn selector(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("expected labels, as in `app=shop`".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A path of a URL.
fn path(text: &str) -> Result<String, String> {
    let parsed = text.parse::<http::uri::PathAndQuery>();
    match parsed {
        Ok(path) if text.starts_with('/') && !path.path().split('/').any(|part| part == "..") => {
            Ok(text.to_owned())
        }
        _ => Err("expected a path, as in `/gmr`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_as_clap_wants_them() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_path_stays_within_the_pod() {
        for text in ["/gmr", "/", "/admin/gmr?x=1"] {
            assert_eq!(path(text).as_deref(), Ok(text));
        }
        for text in ["", "gmr", "/../../pods", "/a/../b", "/a b", "http://x/gmr"] {
            assert!(path(text).is_err(), "{text}");
        }
    }
}
