//! Green Threads: the asynchronous tasks. None can be tracked yet, and the section says so.

use crate::model::{Content, GreenThreads};

pub(super) fn generate() -> Content {
    Content::GreenThreads(GreenThreads { tracked: 0 })
}
