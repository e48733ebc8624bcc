//! Processes on platforms other than Linux: an error that says so.

use crate::model::Content;

pub(super) fn generate() -> Content {
    Content::Error("listing processes is supported on Linux only".into())
}
