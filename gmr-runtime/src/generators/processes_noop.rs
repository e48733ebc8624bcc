//! Processes on platforms other than Linux: the section says that it cannot list them.

use crate::model::Content;

pub(super) fn generate() -> Content {
    Content::Error("processes can be listed on Linux only".into())
}
