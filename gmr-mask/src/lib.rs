//! Masks secrets in everything a report shows of the program's own data: serialized values, free
//! text and command lines. In doubt it masks: under a sensitive name, a value is shown only if it
//! cannot be a secret, and a value whose end is unclear is masked to the farthest one. The mask is
//! always `***`. It works only on its arguments, does no I/O, and leaves layout to the views.
//! `docs/masking.md` lists the rules. Depend on the `gmr` crate, which re-exports what programs use.
//!
//! | file | what it does |
//! |---|---|
//! | `keys` | classifies names of fields, flags, variables and types, by the words in `lexicon` |
//! | `values` | masks free text; `pairs`, `quoting`, `tokens` and `urls` find the spans to mask |
//! | `serializer` | turns anything `Serialize` into a [`Value`] |
//! | `tree` | holds that value while it is built, and limits its size |
//! | `error` | why a value could not be serialized |
//! | `arguments` | masks command lines |
//! | `boundary` | the nearest character boundary |
//! | `value` | the tree of values that remains: [`Value`] |
//! | `secret` | the public types for what the user declares to be secret |

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
mod value;
mod values;

pub use arguments::arguments;
pub use error::MaskError;
pub use secret::{Secret, masked};
pub use serializer::{field, to_value};
#[doc(hidden)]
pub use value::NEWTYPE;
pub use value::Value;
pub use values::text;

/// Replaces a secret.
const MASK: &str = "***";

#[cfg(test)]
mod tests;
