//! The strictest crate that an adopter could have: the expansions have to compile in it.
//!
//! Every section here is a real one, registered when the crate is linked; `tests/it/expansion.rs` looks for them.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unused,
    unused_qualifications,
    unreachable_pub
)]
#![deny(rust_2018_idioms, rust_2024_compatibility, future_incompatible, nonstandard_style, let_underscore)]
#![deny(single_use_lifetimes, unused_lifetimes, unused_import_braces, unused_results, trivial_casts)]
#![deny(clippy::all, clippy::pedantic, clippy::items_after_statements)]
#![deny(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
// Sections that only show what may be returned have no other reason for an `Option`.
#![allow(clippy::unnecessary_wraps)]

/// Another name for gmr, as a crate would have it that hands it on.
pub mod reexport {
    pub use gmr as meditation;
}

pub mod bare;
pub mod made;
pub mod r#mod;
pub mod returns;
pub mod shapes;
