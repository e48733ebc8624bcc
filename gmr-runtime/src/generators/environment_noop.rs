//! Environment on platforms other than Linux: an error that says so.

use crate::model::Content;

pub(super) fn generate() -> Content {
    Content::Error("the environment can be read on Linux only".into())
}
