//! A crate that contributes a section and nothing else.
