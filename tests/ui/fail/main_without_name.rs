#[gmr::main("1.2.3")]
fn main() {}
