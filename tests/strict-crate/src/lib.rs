//! The strictest crate.
