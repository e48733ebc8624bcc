//! The option `format`.

#[gmr::main(format = "json-lines")]
fn main() {}
