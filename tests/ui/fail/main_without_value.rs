#[gmr::main(vendor)]
fn main() {}
