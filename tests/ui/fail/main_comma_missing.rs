#[gmr::main(version = "1" product = "Shop")]
fn main() {}
