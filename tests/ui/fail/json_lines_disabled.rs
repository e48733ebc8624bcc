#[gmr::main(format = "json-lines")]
fn main() {}
