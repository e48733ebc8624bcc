//! Masks secrets in everything a report shows of the program's own data: serialized values, free
//! text and command lines. In doubt it masks: under a sensitive name, a value is shown only if it
//! cannot be a secret, and a value whose end is unclear is masked to the farthest one. The mask is
//! always `***`. It works only on its arguments, does no I/O, and leaves layout to the views.
//! `docs/secrets.md` lists the rules. Depend on the `gmr` crate, which re-exports what programs
//! use.
//!
//! | file | what it does |
//! |---|---|
//! | `keys` | classifies names of fields, flags, variables and types, by the words in `lexicon`, `nouns` and `foreign` |
//! | `values` | masks free text; the next ones find the spans to mask |
//! | `pairs`, `quoting` | names and their values, and where values end |
//! | `messages` | values in messages of parsers, and in calls |
//! | `commands` | command lines in text, by `judge` |
//! | `tokens`, `hashes` | secrets that are known by their form |
//! | `urls` | passwords and tokens in URLs |
//! | `decoded` | text that is encoded once |
//! | `providers` | the forms of tokens by their issuers |
//! | `words` | splits names into words |
//! | `hand` | what the program and its operator say about names |
//! | `explain` | which parts of a value are masked, and why |
//! | `index` | searches for many strings at once |
//! | `looks` | whether a word looks random, asked where the place suggests a secret |
//! | `serializer` | turns anything `Serialize` into a [`Value`] |
//! | `shapes` | masks entries of a map and pairs in a list by what other entries say |
//! | `tree` | holds that value while it is built, and limits its size |
//! | `error` | why a value could not be serialized |
//! | `arguments` | masks command lines as `judge` says, by what `programs` knows of some programs |
//! | `boundary` | the nearest character boundary |
//! | `value` | the tree of values that remains: [`Value`] |
//! | `secret` | the public types for what the user declares to be secret |

mod arguments;
mod boundary;
mod commands;
mod decoded;
mod error;
mod explain;
mod foreign;
mod hand;
mod hashes;
mod index;
mod judge;
mod keys;
mod lexicon;
mod looks;
mod messages;
mod nouns;
mod pairs;
mod programs;
mod providers;
mod quoting;
mod secret;
mod serializer;
mod shapes;
mod tokens;
mod tree;
mod urls;
mod value;
mod values;
mod words;

pub use arguments::arguments;
pub use error::MaskError;
pub use explain::explain;
pub use hand::set_names;
pub use secret::{Secret, masked};
pub use serializer::{field, to_value};
#[doc(hidden)]
pub use value::NEWTYPE;
pub use value::Value;
pub use values::text;

/// Replaces a secret.
const MASK: &str = "***";

#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;
