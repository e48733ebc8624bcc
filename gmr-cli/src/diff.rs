//! `gmr diff`: two reports beside each other. A thread is at the same place only if both reports
//! show the same stack, and no processor time was counted between them. It does not say that a
//! thread is stuck: one that waits for work is at the same place, too.

mod compare;
mod shown;

use compare::compare;

use crate::args::Diff;
use crate::{output, sources};

pub(crate) fn run(args: &Diff, pager: bool) -> Result<(), String> {
    let (older, newer) = (sources::latest(&args.older)?, sources::latest(&args.newer)?);
    if older.heading.made_at > newer.heading.made_at {
        output::warn(
            "the first report is the later one; what is new and what is gone is the other way round",
        );
    }
    let comparison = compare(&older, &newer);
    if args.json {
        return output::json(&comparison);
    }
    shown::page(&comparison, args.top).print(pager)
}
