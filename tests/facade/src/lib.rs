//! What a program finds in gmr-tokio when it uses that in place of tokio. This crate compiles if
//! nothing is missing; a test runs the program.

#[rustfmt::skip]
mod api;
pub mod program;
mod signatures;
