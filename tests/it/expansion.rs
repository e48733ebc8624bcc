//! Filled by the macros.
