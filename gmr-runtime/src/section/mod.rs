//! Sections and configuration groups: who has registered, what their functions return, and running them so that none
//! can harm the report.
//!
//! This room knows nothing of signals, of text, or of what any particular section shows.

pub(crate) mod added;
pub mod convert;
pub(crate) mod generator;
pub(crate) mod output;
pub(crate) mod panics;
pub(crate) mod registry;
pub(crate) mod run;
mod stack;
