//! Descriptors on platforms on which gmr cannot list them: an error that says so.

use crate::model::Content;

pub(super) fn generate() -> Content {
    Content::Error("descriptors can be listed on Linux (x86_64, aarch64) only".into())
}
