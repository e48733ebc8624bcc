//! A section in a module that nothing calls. A linker drops its object file where the library is
//! linked statically.

#[gmr::section]
fn unreferenced() -> &'static str {
    "it is linked"
}
