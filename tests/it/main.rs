//! The integration tests.

mod expansion;
