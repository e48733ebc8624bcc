//! Sections and configuration groups: registering them, converting what their functions return, and
//! running them in isolation from the report.
//!
//! Nothing here knows about signals, about text, or about what a particular section shows.

pub(crate) mod added;
pub mod convert;
pub(crate) mod generator;
pub(crate) mod output;
pub(crate) mod panics;
pub(crate) mod registry;
pub(crate) mod run;
mod stack;
