//! Linux: ELF files with DWARF debug information.

mod debug_files;
mod dwarf;
mod resolver;

pub(crate) use resolver::resolve;
