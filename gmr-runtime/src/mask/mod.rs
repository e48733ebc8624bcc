//! The gate that secrets do not pass: whatever a report shows of the adopter's data goes through here first,
//! be it a value that serializes, free text, or a command line. It fails closed: what cannot be judged is
//! masked, and the mask is always `***`. It reads nothing but what it is given, does no I/O, and leaves the
//! look of a report to the views.
//!
//! | file | what it judges |
//! |---|---|
//! | `keys` | the name of a field, a flag, a variable, a type: is what it names a secret? `lexicon` has the words |
//! | `values` | a piece of text by itself; `pairs`, `quoting`, `tokens` and `urls` find the parts to mask |
//! | `serializer` | anything `Serialize`, on its way to a [`Value`](crate::model::Value); `tree` holds it meanwhile |
//! | `arguments` | command lines |
//! | `secret` | nothing: what the adopter declared to be a secret |

mod arguments;
mod boundary;
mod error;
mod keys;
mod lexicon;
mod pairs;
mod quoting;
mod secret;
mod serializer;
mod tokens;
mod tree;
mod urls;
mod values;

pub(crate) use arguments::arguments;
pub use secret::{Secret, masked};
pub(crate) use serializer::to_value;
pub(crate) use values::text;

/// What stands in the place of a secret.
const MASK: &str = "***";
