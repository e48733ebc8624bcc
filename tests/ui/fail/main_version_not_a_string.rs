#[gmr::main(version = 1.2)]
fn main() {}
