//! A crate that denies every lint a user could deny: the expansions must compile in it.
//!
//! Its sections are registered when the crate is linked; `tests/it/expansion.rs` checks them.
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
// Some sections return an `Option` only to test that type.
#![allow(clippy::unnecessary_wraps)]

/// gmr under another name, as a crate that re-exports it might have.
pub mod reexport {
    pub use gmr as meditation;
}

pub mod bare;
pub mod made;
pub mod r#mod;
pub mod returns;
pub mod shapes;
