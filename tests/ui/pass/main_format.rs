//! A format, by its name.

#[gmr::main(format = "json-lines")]
fn main() {}
