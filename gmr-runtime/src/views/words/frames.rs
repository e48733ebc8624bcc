//! The wording of frames.

use std::borrow::Cow;

use crate::model::Frame;
use crate::views::escape::clean;

/// `module+0xoffset`, or the address alone if no module contains it.
pub(in crate::views) fn place(frame: &Frame) -> String {
    match (&frame.module, frame.module_offset) {
        (Some(module), Some(offset)) => format!("{}+{offset:#x}", clean(module)),
        _ => format!("{:#x}", frame.address),
    }
}

/// The path without cargo's registry directory and without the compiler's hash. The model has the
/// full path.
pub(in crate::views) fn short_path(path: &str) -> Cow<'_, str> {
    let registry =
        path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
    let compiler = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    clean(registry.or(compiler).unwrap_or(path))
}
