//! How `gmr collect` asks many processes for their reports at once, whatever leads to them: over HTTP,
//! or through the API server of a cluster. It asks each at most once, so many at a time, and keeps what
//! comes. What has not answered in time is named with the reason, and does not hold up the others.
//!
//! It makes no connection: who uses it says how one process is asked ([`Ask`]).
//!
//! | module | what it is for |
//! |---|---|
//! | `options` | the arguments that all ways of asking have in common |
//! | `token` | the token of those who are asked |
//! | `at_most` | how many of several things, as an argument has it |
//! | `chosen` | which of all are asked |
//! | `round` | asking all of them, within the time that there is |
//! | `answer` | what came back: a report, or a reason |
//! | `kept` | where reports go |
//! | `progress` | how many have answered, on a terminal |

mod answer;
mod at_most;
mod chosen;
mod kept;
mod options;
mod progress;
mod round;
mod token;

pub use self::answer::cut;
pub use self::at_most::AtMost;
pub use self::chosen::{Chosen, chosen, chosen_of_each};
pub use self::options::{Options, time};
pub use self::round::{Ask, Limits, Round};
