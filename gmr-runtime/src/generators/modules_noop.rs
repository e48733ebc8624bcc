//! Modules on platforms on which gmr cannot read them: an error that says so.

use crate::model::Content;

pub(super) fn generate() -> Content {
    Content::Error("modules can be read on Linux (x86_64, aarch64) only".into())
}
