//! Linux: ELF files with DWARF debug information.

mod debug_files;
mod demangle;
mod dwarf;
mod entries;
mod index;
mod lines;
mod md5;
mod parallel;
mod reading;
mod resolver;
mod sections;
mod source;
mod split;
#[cfg(all(test, not(gmr_units)))]
mod tests;

pub(crate) use resolver::ModuleFiles;
#[cfg(feature = "__fuzz")]
pub(crate) use resolver::resolve_bytes;
