//! `gmr collect`: asks many processes for their reports at once, over HTTP, and nobody that is not
//! named. Pods are asked by another program.

mod ask;
mod endpoints;

use std::process::ExitCode;

use gmr_collect::{Limits, Round, chosen};

use crate::args::{Collect, Elsewhere};
use crate::{external, output};
use ask::Asker;

pub(crate) fn run(args: &Collect) -> Result<ExitCode, String> {
    if let Some(Elsewhere::Pods(args)) = &args.elsewhere {
        return external::pods(&args.arguments).map(|()| ExitCode::SUCCESS);
    }
    let limits = Limits::new(&args.options);
    let asker = Asker::new(args)?;
    let (endpoints, failed) = endpoints::of(args, limits.next())?;
    let chosen = chosen(endpoints, args.options.at_most);
    let round = Round { asker, chosen, failed, limits, noun: "endpoint", warn: output::warn };
    round.run(&args.options)
}
