//! `gmr collect pods`: asks the pods of a Kubernetes cluster for their reports, through its API server,
//! with the rights of whoever runs it.
//!
//! It makes no connection but to the API server of the kubeconfig, lists pods there, and asks each at
//! most once. It changes nothing.
//!
//! | module | what it is for |
//! |---|---|
//! | `args` | the command line |
//! | `cluster` | the API server, and the rights to use it |
//! | `pods` | which pods there are, and where each is asked |
//! | `ask` | one request for a report |
//! | `refusal` | why the API server or a pod says no |

mod args;
mod ask;
mod cluster;
mod pods;
mod refusal;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use gmr_collect::{Limits, Round, chosen, chosen_of_each};
use gmr_runtime::__cli::printable;

use args::Args;
use ask::Asker;
use cluster::Cluster;

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let args = Args::parse();
    run(&args).unwrap_or_else(|error| {
        warn(&error);
        ExitCode::FAILURE
    })
}

fn run(args: &Args) -> Result<ExitCode, String> {
    let limits = Limits::new(&args.options);
    let token = args.options.token()?.as_deref().map(ask::header).transpose()?;
    let cluster = Cluster::of(args)?;
    let (pods, failed) = pods::of(&cluster, args, limits.next())?;
    let at_most = args.options.at_most;
    let chosen = if args.of_each_version {
        chosen_of_each(pods, at_most, |pod| pod.image.clone())
    } else {
        chosen(pods, at_most)
    };
    let asker = Asker::new(cluster, token, args);
    Round { asker, chosen, failed, limits, noun: "pod", warn }.run(&args.options)
}

/// Writes a line to standard error. It can quote a pod.
fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "gmr-pods: {}", printable(line));
}
