//! Linux: ELF files with DWARF debug information.

mod debug_files;
mod dwarf;
mod resolver;

pub(crate) use resolver::resolve;
#[cfg(feature = "__fuzz")]
pub(crate) use resolver::resolve_bytes;
