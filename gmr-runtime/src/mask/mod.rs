//! Masks secrets in everything a report shows of the program's own data: serialized values, free
//! text and command lines. In doubt it masks: under a sensitive name, a value is shown only if it
//! cannot be a secret, and a value whose end is unclear is masked to the farthest one. The mask is
//! always `***`. It works only on its arguments, does no I/O, and leaves layout to the views.
//! `docs/masking.md` lists the rules.
//!
//! | file | what it does |
//! |---|---|
//! | `keys` | classifies names of fields, flags, variables and types, by the words in `lexicon` |
//! | `values` | masks free text; `pairs`, `quoting`, `tokens` and `urls` find the spans to mask |
//! | `serializer` | turns anything `Serialize` into a [`Value`](crate::model::Value) |
//! | `tree` | holds that value while it is built, and limits its size |
//! | `error` | why a value could not be serialized |
//! | `arguments` | masks command lines |
//! | `boundary` | the nearest character boundary |
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
mod values;

pub(crate) use arguments::arguments;
pub use secret::{Secret, masked};
pub(crate) use serializer::{field, to_value};
pub(crate) use values::text;

/// Replaces a secret.
const MASK: &str = "***";

#[cfg(all(test, not(gmr_units)))]
mod tests;
